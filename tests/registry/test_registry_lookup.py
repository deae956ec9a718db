"""Asking a registry."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import EntryID, EntryNotFound, Registry
from noria.registry.entry import Entry
from noria.registry.find import compile_criteria
from noria.registry.problem import Source

APP = """
namespace: app
meta: {team: core}
entries:
  - {name: driver, kind: queue.driver.memory, meta: {tags: [a, b], size: 1, "x.y": flat, x: {y: deep, z: 3}}}
  - {name: queue, kind: queue.queue, driver: driver, meta: {tags: [b], size: true, title: Tasks to do}}
  - {name: handler, kind: function.python, meta: {team: other, title: Handler}}
"""


@pytest.fixture
def registry(loaded):
    return loaded(APP)


def test_an_entry_is_found_by_id_and_by_text(registry):
    entry = registry["app:queue"]

    assert entry is registry[EntryID("app", "queue")]
    assert registry.get("app:queue") is entry
    assert registry.get("app:nothing") is None
    assert "app:queue" in registry
    assert EntryID("app", "queue") in registry
    assert entry in registry
    assert "app:nothing" not in registry
    assert 3 not in registry
    assert len(registry) == 3
    assert repr(registry) == "<Registry of 3 entries>"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("app:queu", 'there is no entry "app:queu"; did you mean "app:queue"?'),
        ("ap:queue", 'there is no entry "ap:queue"; did you mean "app:queue"?'),
        ("queue", 'there is no entry "queue"; did you mean "app:queue"?'),
        ("ap:queu", 'there is no entry "ap:queu"; did you mean "app:queue"?'),
        ("app:zzz", 'there is no entry "app:zzz"'),
    ],
)
def test_an_entry_that_is_not_there_is_told_with_the_nearest(registry, wanted, message):
    with pytest.raises(EntryNotFound) as caught:
        registry[wanted]

    assert (str(caught.value), caught.value.id) == (message, wanted)
    assert isinstance(caught.value, LookupError)
    with pytest.raises(EntryNotFound):
        registry.dependents(wanted)


def test_iterating_yields_entries_in_the_order_of_their_ids(registry):
    assert [str(entry.id) for entry in registry] == ["app:driver", "app:handler", "app:queue"]


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ({}, "driver handler queue"),
        ({".kind": "queue.*"}, "driver queue"),
        ({".kind": "*.memory"}, "driver"),
        ({".kind": "q*.d*y"}, "driver"),
        ({".kind": "queue"}, ""),
        ({".kind": "*"}, "driver handler queue"),
        ({".name": "[hq]*"}, ""),
        ({".id": "app:*r", ".ns": "app"}, "driver handler"),
        ({"meta.team": "core"}, "driver queue"),
        ({"meta.team": "core", ".kind": "queue.queue"}, "queue"),
        ({"meta.size": 1}, "driver"),
        ({"meta.size": True}, "queue"),
        ({"meta.tags": ["b"]}, "driver queue"),
        ({"meta.tags": ["b", "a"]}, "driver"),
        ({"meta.tags": []}, "driver queue"),
        ({"meta.team": ["core"]}, ""),
        ({"meta.x.y": "flat"}, "driver"),
        ({"meta.x.z": 3}, "driver"),
        ({"meta.x.z.q": 3}, ""),
        ({"meta.none": None}, ""),
        ({"~meta.title": "^T.*do$"}, "queue"),
        ({"~meta.size": "1"}, ""),
        ({"*meta.title": "and"}, "handler"),
        ({"*meta.tags": "a"}, "driver"),
        ({"^meta.title": "Ta"}, "queue"),
        ({"$meta.title": "er"}, "handler"),
        ({"^meta.tags": "a"}, ""),
    ],
)
def test_entries_are_found_by_criteria(registry, criteria, names):
    assert " ".join(entry.id.name for entry in registry.find(criteria)) == names


KNOWN = "known are .id, .ns, .name, .kind or meta.…, the latter also with ~ * ^ or $ before it"


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"kind": "x"}, f'unknown criterion "kind": {KNOWN}; did you mean ".kind"?'),
        ({".knd": "x"}, f'unknown criterion ".knd": {KNOWN}; did you mean ".kind"?'),
        ({"team": "x"}, f'unknown criterion "team": {KNOWN}'),
        ({"!meta.x": "x"}, f'unknown criterion "!meta.x": {KNOWN}'),
        ({"meta.": "x"}, f'unknown criterion "meta.": {KNOWN}'),
        ({"~.kind": "x"}, f'unknown criterion "~.kind": {KNOWN}; did you mean ".kind"?'),
        ({"": "x"}, f'unknown criterion "": {KNOWN}'),
        ({".kind": 3}, '".kind": expected text, found 3'),
        ({"^meta.x": ["a"]}, '"^meta.x": expected text, found a list'),
        (
            {"~meta.x": "("},
            '"~meta.x": "(" is no regular expression: missing ), unterminated subpattern at position 0',
        ),
    ],
)
def test_a_criterion_that_means_nothing_is_an_error(registry, criteria, message):
    with pytest.raises(ValueError) as caught:
        registry.find(criteria)

    assert str(caught.value) == message


def naive_glob(pattern, text):
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive_glob(pattern[1:], text) or bool(text and naive_glob(pattern, text[1:]))
    return bool(text) and pattern[0] == text[0] and naive_glob(pattern[1:], text[1:])


@given(st.text("ab.*", max_size=6), st.text("ab.", min_size=1, max_size=8))
def test_a_star_stands_for_any_run_of_characters(pattern, name):
    entry = Entry(id=EntryID("n", name), kind="k", source=Source(Path("x.yaml"), 1, 1))

    assert compile_criteria({".name": pattern})(entry) == naive_glob(pattern, name)


def test_an_empty_registry_is_one_too():
    assert (Registry().levels(), list(Registry()), Registry().find()) == ((), [], ())
