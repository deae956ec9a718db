"""Entry IDs."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import EntryID, NoriaError

namespaces = st.from_regex(r"[A-Za-z0-9_-]{1,5}(\.[A-Za-z0-9_-]{1,5}){0,3}", fullmatch=True)
names = st.from_regex(r"[A-Za-z0-9_./-]{1,12}", fullmatch=True)
ids = st.builds(EntryID, namespaces, names)


@given(ids)
def test_an_id_survives_its_text(entry_id):
    assert EntryID.parse(str(entry_id)) == entry_id
    assert EntryID.parse(str(entry_id), "elsewhere") == entry_id
    assert EntryID.parse(entry_id.name, entry_id.namespace) == entry_id


@given(st.lists(ids))
def test_ids_are_ordered_as_their_texts_are(some):
    assert [str(each) for each in sorted(some)] == sorted(str(each) for each in some)


@given(ids, ids)
def test_equal_ids_and_only_they_are_one_key(left, right):
    assert (left == right) == (str(left) == str(right))
    assert len({left, right}) == len({str(left), str(right)})


@given(ids)
def test_an_id_can_be_copied_and_pickled(entry_id):
    assert copy.deepcopy(entry_id) == entry_id
    assert hash(pickle.loads(pickle.dumps(entry_id))) == hash(entry_id)


@given(st.text(max_size=12))
def test_any_text_is_an_id_or_a_clear_error(text):
    try:
        said = str(EntryID.parse(text, "app"))
    except NoriaError as error:
        said = f"{type(error).__name__} on one line: {len(str(error).splitlines()) == 1}"

    assert said in {text, f"app:{text}", "InvalidID on one line: True"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks", '"tasks" is no full entry ID: write namespace:name'),
        ("", '"" is no full entry ID: write namespace:name'),
        ("app:", '"" is no entry name: a name is letters, digits, _, -, . and /'),
        (":tasks", '"" is no namespace: a namespace is dot-separated words of letters, digits, _ and -'),
        ("a b:c", '"a b" is no namespace: a namespace is dot-separated words of letters, digits, _ and -'),
        ("a..b:c", '"a..b" is no namespace: a namespace is dot-separated words of letters, digits, _ and -'),
        ("a:b:c", '"b:c" is no entry name: a name is letters, digits, _, -, . and /'),
        ("a:ñ", '"ñ" is no entry name: a name is letters, digits, _, -, . and /'),
        ("a:b\n", r'"b\n" is no entry name: a name is letters, digits, _, -, . and /'),
    ],
)
def test_what_is_no_id_is_told_with_the_rule(text, message):
    with pytest.raises(ValueError) as caught:
        EntryID.parse(text)

    assert str(caught.value) == message


def test_an_id_is_compared_with_ids_only():
    assert EntryID("a", "b") != "a:b"
    with pytest.raises(TypeError):
        _ = EntryID("a", "b") < "a:b"
