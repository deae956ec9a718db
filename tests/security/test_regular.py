"""The linear-time regular expressions against Python's, and against patterns that stop Python's."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.security.errors import PatternRefused, PolicyError
from noria.security.regular import (
    MAX_FOLLOWING,
    MAX_PATTERN,
    MAX_STATES,
    MAX_TEXT,
    RegularExpression,
    RememberedExpressions,
)

PLAIN = ["a", "b", "A", "_", r"\.", "-", "é", ""]
CLASSES = [
    ".",
    r"\d",
    r"\w",
    r"\s",
    r"\D",
    r"\W",
    r"\S",
    "[ab]",
    "[^a]",
    "[a-c0-9]",
    r"[\d_]",
    r"[^\n]",
    "[]a]",
    "[a-]",
]
ATOMS = st.sampled_from([*PLAIN, *CLASSES, "^", "$", r"\b", r"\B"])


def suffixed(part):
    suffixes = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??"])
    return st.tuples(part, suffixes).map(lambda pair: f"(?:{pair[0]}){pair[1]}")


PATTERNS = st.recursive(
    ATOMS,
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=3).map("".join),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        suffixed(part),
        part.map(lambda inner: f"(?i:{inner})"),
        part.map(lambda inner: f"(?s:{inner})"),
        part.map(lambda inner: f"(?m:{inner})"),
    ),
    max_leaves=6,
)
TEXTS = st.text("aAbc01_-. \né", min_size=1, max_size=6)


def python_dialect(pattern):
    """The same pattern for `re`: its `$` also matches before a last line end, RE2's does not."""
    scopes, out, escaped, in_class = [False], [], False, False
    position = 0
    while position < len(pattern):
        if not escaped and not in_class:
            if pattern.startswith("(?m:", position):
                scopes.append(True)
                out.append("(?m:")
                position += 4
                continue
            if pattern[position] == "(":
                scopes.append(scopes[-1])
            elif pattern[position] == ")":
                scopes.pop()
            elif pattern[position] == "$" and not scopes[-1]:
                out.append(r"\Z")
                position += 1
                continue
            elif pattern[position] == "[":
                in_class = True
                out.append("[")
                position += 1
                if pattern.startswith("]", position):
                    out.append(r"\]")
                    position += 1
                continue
        elif in_class and not escaped and pattern[position] == "]":
            in_class = False
        escaped = not escaped and pattern[position] == "\\"
        out.append(pattern[position])
        position += 1
    return "".join(out)


@settings(max_examples=400)
@given(PATTERNS, TEXTS)
def test_it_answers_as_python_does(pattern, text):
    expected = re.search(python_dialect(pattern), text, re.ASCII) is not None

    assert RegularExpression(pattern).search(text) is expected


@given(PATTERNS, st.lists(TEXTS, min_size=2, max_size=5))
def test_what_it_remembers_of_one_text_does_not_change_its_answer_for_another(pattern, texts):
    used = RegularExpression(pattern)

    assert [used.search(text) for text in texts] == [
        RegularExpression(pattern).search(text) for text in texts
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|aa)+$",
        "^(a|a?)+$",
        "(.*a){20}$",
        "(x+x+)+y",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "a*a*a*a*a*b",
        "(a*)*b",
    ],
)
def test_a_pattern_that_stops_a_backtracking_engine_ends(pattern):
    # 2 ** 4000 steps for `re`; the suite's time limit is the assertion.
    assert RegularExpression(pattern).search("a" * 4000 + "!") is False


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        (r"(a)\1", 3, "back references"),
        ("(?=a)", 2, "looking ahead"),
        ("a(?!b)", 3, "looking ahead"),
        ("(?<=a)b", 2, "looking behind"),
        ("(?<!a)b", 2, "looking behind"),
        ("(?>a)", 2, "atomic"),
        ("(?P=name)", 2, "back references"),
        ("(?(1)a|b)", 2, "conditional"),
        ("a++", 2, "repetition of a repetition"),
        ("*a", 0, "nothing to repeat"),
        ("a|*", 2, "nothing to repeat"),
        ("(a", 0, "not closed"),
        ("a)", 1, "unmatched )"),
        ("[a", 0, "not closed"),
        ("[b-a]", 1, "range"),
        ("[[:nope:]]", 1, "unknown class"),
        ("a{2,1}", 1, "above the greatest"),
        ("a{1001}", 1, "at most 1000"),
        (r"a\Z", 1, r"\z"),
        (r"\q", 0, "unknown escape"),
        ("a\\", 2, "ends too early"),
        (r"\x4", 0, "expected"),
        (r"\p{Greek}", 2, "unknown Unicode category"),
        ("(?x)a", 2, "unknown flag"),
        ("(?P<1>a)", 4, "group name"),
        ("(" * 51 + ")" * 51, 50, "nested"),
        ("(a{100}){100}", 0, "too large"),
        ("a" * (MAX_PATTERN + 1), MAX_PATTERN, "longer than 512"),
    ],
)
def test_what_cannot_run_in_linear_time_is_refused_with_its_place(pattern, position, words):
    with pytest.raises(PatternRefused, match=re.escape(words)) as raised:
        RegularExpression(pattern)

    assert raised.value.position == position


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^a$", "a\n", False),
        (r"^a\z", "a", True),
        (r"\Aa", "ba", False),
        ("(?m)^b$", "a\nb\nc", True),
        ("(?i)STRASSE", "strasse", True),
        ("(?i)[^a]", "A", False),
        ("a{,2}", "a{,2}", True),
        ("{", "{", True),
        (r"\x41\x{1F600}", "A\N{GRINNING FACE}", True),
        (r"\pL\p{Lu}\PL", "éÉ1", True),
        ("[[:alpha:]][[:^digit:]]", "é1a", False),
        ("(?P<name>a)(?<other>b)", "ab", True),
        ("(?i)a(?-i)b", "Ab", True),
        ("(?i)a(?-i)b", "AB", False),
        ("", "", True),
        (r"\bword\b", "a word.", True),
        (r"\d+", "٣", False),
        ("a(?i)b|c", "C", True),
    ],
)
def test_the_dialect_is_re2s(pattern, text, expected):
    assert RegularExpression(pattern).search(text) is expected


def test_a_text_that_is_too_long_is_an_error_not_an_answer():
    pattern = RegularExpression("a")

    assert pattern.search("a" * MAX_TEXT)
    with pytest.raises(PolicyError, match="too long to match; at most 4096"):
        pattern.search("a" * (MAX_TEXT + 1))


def test_patterns_of_requests_are_remembered_up_to_a_limit():
    known = RememberedExpressions(limit=3)

    assert [known.search(f"^{number}$", "3") for number in range(5)] == [False, False, False, True, False]
    assert len(known) == 3


def test_a_pattern_of_a_request_may_be_smaller_than_one_of_a_policy():
    assert RegularExpression("a{300}").search("a" * 300)
    with pytest.raises(PatternRefused, match="at most 200"):
        RememberedExpressions().search("a{300}", "a")


@settings(max_examples=50)
@given(st.text("ab()[]{}*+?|^$\\.-,0123dwsbBAzxpP:<>=!imsU", max_size=30), TEXTS)
def test_any_text_is_a_pattern_or_refused(pattern, text):
    try:
        outcome = RegularExpression(pattern).search(text)
    except PatternRefused as refused:
        outcome = refused

    if isinstance(outcome, PatternRefused):
        assert 0 <= outcome.position <= len(pattern)
    else:
        assert outcome in (True, False)


def test_it_stays_small_however_many_different_characters_it_reads():
    pattern = RegularExpression("x$")

    for start in range(0, 40_000, 4000):
        pattern.search("".join(map(chr, range(start, start + 4000))))

    assert all(len(state.following) <= MAX_FOLLOWING for state in pattern._states.values())


def test_it_forgets_rather_than_grow_when_a_pattern_leads_to_many_states():
    pattern = RegularExpression("(a|b)*a(a|b){12}c")
    text = f"{0x5DEECE66D5DEECE66D:b}".replace("0", "a").replace("1", "b") * 20

    assert pattern.search(text) is False
    assert pattern.search(f"{text}a{'b' * 12}c") is True
    assert len(pattern._states) <= MAX_STATES
