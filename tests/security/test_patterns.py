"""Wildcard patterns against a model that tries everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.security.patterns import Patterns, compile_pattern, is_bare_star

ALPHABET = "ab.:"
TEXTS = st.text(ALPHABET, max_size=8)
PATTERNS = st.text(ALPHABET + "**", max_size=8)


def naively_matches(pattern, text):
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naively_matches(pattern[1:], text) or (bool(text) and naively_matches(pattern, text[1:]))
    return bool(text) and text[0] == pattern[0] and naively_matches(pattern[1:], text[1:])


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("*", "anything", True),
        ("queue.*", "queue.publish", True),
        ("queue.*", "queue.", True),
        ("queue.*", "queue", False),
        ("queue.*", "queuexyz", False),
        ("*.read", "store.read", True),
        ("*.read", "read", False),
        ("a*c", "abc", True),
        ("a*c", "ac", True),
        ("a*a", "a", False),
        ("*key*", "store.key.get", True),
        ("*key*", "store.get", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "ac", False),
        ("**", "x", True),
        ("a**c", "abc", True),
        ("queue.publish", "queue.publish", True),
        ("queue.publish", "Queue.publish", False),
        ("document:*", "document:1", True),
        ("app.*suffix", "app.the suffix", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("a*", "a\nb", True),
    ],
)
def test_a_star_stands_for_any_run_of_characters_and_nothing_else_does(pattern, text, expected):
    assert compile_pattern(pattern)(text) is expected


@given(PATTERNS, TEXTS)
def test_the_compiled_matcher_agrees_with_trying_everything(pattern, text):
    assert compile_pattern(pattern)(text) is naively_matches(pattern, text)


@given(st.lists(PATTERNS, min_size=1, max_size=4), TEXTS)
def test_several_patterns_match_when_one_of_them_does(patterns, text):
    expected = any(naively_matches(pattern, text) for pattern in patterns)

    assert Patterns(tuple(patterns)).match(text) is expected


@given(st.lists(PATTERNS, min_size=1, max_size=4), TEXTS)
def test_bare_stars_name_nothing(patterns, text):
    named = [pattern for pattern in patterns if set(pattern) != {"*"}]

    assert Patterns(tuple(patterns)).name(text) is any(naively_matches(pattern, text) for pattern in named)


@pytest.mark.parametrize(("pattern", "expected"), [("*", True), ("***", True), ("", False), ("a*", False)])
def test_a_bare_star_is_nothing_but_stars(pattern, expected):
    assert is_bare_star(pattern) is expected


def test_many_stars_over_a_long_text_end_quickly():
    # A backtracking matcher would not end in the life of the universe; the suite's time limit is the assertion.
    assert not compile_pattern("a*" * 100 + "b")("a" * 100_000)
