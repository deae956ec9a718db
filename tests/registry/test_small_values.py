"""Durations, texts from files, numbers between bounds."""

import copy
import pickle
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import Duration, FileText, between
from noria.registry.placeholders import EnvText, LooseText
from noria.registry.values import parse_duration

UNITS = {
    "ns": "1e-9",
    "us": "1e-6",
    "µs": "1e-6",
    "ms": "1e-3",
    "s": "1",
    "m": "60",
    "h": "3600",
    "d": "86400",
}

numbers = st.decimals(0, 10_000, places=3) | st.integers(0, 10_000).map(Decimal)
parts = st.tuples(numbers, st.sampled_from(sorted(UNITS)))


@given(st.lists(parts, min_size=1, max_size=4))
def test_a_duration_is_the_exact_sum_of_its_parts(some):
    text = "".join(f"{number}{unit}" for number, unit in some)
    exact = sum((number * Decimal(UNITS[unit]) for number, unit in some), Decimal(0))

    assert parse_duration(text) == float(exact)


@given(st.floats(0, 1e12) | st.integers(0, 10**12))
def test_a_bare_number_is_seconds(number):
    assert parse_duration(number) == number
    assert parse_duration(f"{Decimal(number):f}") == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("7d", 604800),
        ("0.1s0.2s", 0.3),
        ("+5s", 5),
        (" 5s ", 5),
    ],
)
def test_durations_are_written_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("soon", 'the text "soon"'),
        ("", 'the text ""'),
        ("1x", 'the text "1x"'),
        ("1h 30m", 'the text "1h 30m"'),
        ("-5s", 'the text "-5s"'),
        ("1e3", 'the text "1e3"'),
        ("9" * 400, f'the text "{"9" * 59}…"'),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, "nothing"),
        ([], "a list"),
        ({}, "a mapping"),
        (b"5s", "a bytes"),
    ],
)
def test_what_is_no_duration_is_refused(value, found):
    with pytest.raises(ValueError) as caught:
        parse_duration(value)

    assert str(caught.value) == (
        f'expected a duration such as "1h30m", "250ms" or a number of seconds, found {found}'
    )


@attrs.frozen(kw_only=True)
class Bounded:
    count: int = between(1, 1000, default=1)
    share: float = between(0, 1, default=0.5)
    patience: Duration = between(0, default=1.0)
    limit: "Duration | None" = between(1, 5, default=None)
    many: "int" = between(0, default=0)


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"count": 2000}, "expected an integer from 1 to 1000, found 2000"),
        ({"count": True}, "expected an integer from 1 to 1000, found true"),
        ({"count": "4"}, 'expected an integer from 1 to 1000, found the text "4"'),
        ({"share": 1.5}, "expected a number from 0 to 1, found 1.5"),
        ({"share": float("nan")}, "expected a number from 0 to 1, found nan"),
        (
            {"patience": -1},
            'expected a duration such as "1h30m", "250ms" or a number of seconds, found -1',
        ),
        (
            {"limit": 6},
            'expected a duration such as "1h30m", "250ms" or a number of seconds, from 1 to 5 seconds, found 6',
        ),
        ({"many": -1}, "expected an integer of at least 0, found -1"),
    ],
)
def test_bounds_also_hold_for_objects_built_in_python(given_values, message):
    with pytest.raises(ValueError) as caught:
        Bounded(**given_values)

    assert str(caught.value) == message


def test_bounds_include_both_ends():
    assert Bounded(count=1, share=0, limit=5).count == 1
    assert Bounded(count=1000, share=1, limit=1).limit == 1


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda text: pickle.loads(pickle.dumps(text))])
def test_special_texts_are_texts_and_keep_what_they_know(clone):
    from_file = clone(FileText("x = 1", Path("/app/x.py")))
    loose = clone(LooseText("4", 4))
    secret = clone(EnvText("hunter2", None, "${env:PASSWORD}"))

    assert (from_file, from_file.path) == ("x = 1", Path("/app/x.py"))
    assert (loose, loose.plain) == ("4", 4)
    assert (secret, repr(secret)) == ("hunter2", "<the value of ${env:PASSWORD}>")


def test_a_text_that_was_not_in_a_file_has_no_path():
    assert FileText("x").path is None
