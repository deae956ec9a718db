"""The expression language: grammar, precedence, types, errors with their place, and limits."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.security import Principal
from noria.security.errors import ExpressionError
from noria.security.expression import Expression
from noria.security.expression_functions import FUNCTIONS, PREDICATES
from noria.security.principals import Request

ALICE = Principal("alice", {"role": "editor", "tags": ["a", "b"], "team": {"name": "red"}})
META = {
    "public": False,
    "n": 5,
    "half": 0.5,
    "word": "Hello",
    "list": [1, 2, 3],
    "people": [{"name": "ann", "age": 30}, {"name": "bob", "age": 17}],
    "map": {"k": {"x": 1}, "in": "field"},
    "nothing": None,
}


def answer(text, *, meta=META, strict=False):
    return Expression(text, strict=strict).holds(Request(ALICE, "write", "doc:1", meta))


TRUE_EXPRESSIONS = """
actor.meta.role == "editor" && action == "write" || meta.public == true
actor.id == 'alice' and resource == `doc:1`
actor["id"] == "alice" && actor.meta["role"] == "editor" && actor == {id: "alice", meta: actor.meta}
not meta.public
!(meta.n > 5)
meta.n >= 5 && meta.n <= 5 && meta.n < 6 && meta.n != 6
meta.n == 5.0
meta.n != "5"
true != 1
nil == null
meta.list == [1, 2, 3]
meta.list == [1.0, 2.0, 3.0]
meta.map == {"k": {x: 1}, in: "field"}
"x" + "y" == "xy"
"abc" < "abd"
1 + 2 * 3 == 7
(1 + 2) * 3 == 9
7 / 2 == 3.5
-7 % 3 == -1
7 % -3 == 1
2 ** 3 ** 2 == 512
2 ^ 10 == 1024
-2 ** 2 == -4
+5 == 5
0x1F == 31 && 0b11 == 3 && 0o17 == 15 && 1_000 == 1000 && 1e3 == 1000 && .5 == meta.half
"a" in actor.meta.tags
"c" not in actor.meta.tags
not ("c" in actor.meta.tags)
"k" in meta.map and not ("q" in meta.map)
"x" in nil == false
meta.n in 1..10
meta.n not in [1, 2]
"Hello" contains "ell" and meta.word startsWith "He" and meta.word endsWith "lo"
meta.word not contains "z" && meta.word not startsWith "z"
meta.word matches "^H.*o$"
meta.word not matches "^h"
meta.word matches meta.word
(meta.missing contains "x") == false
(meta.missing matches "x") == false
meta.missing == nil
meta["missing"] == nil
meta.map.missing == nil
meta.missing?.deep.deeper == nil
meta?.map?.k?.x == 1
meta.missing?.items[1:] == nil
meta.missing?.[0] == nil
(meta.missing?.a.b ?? 7) == 7
meta.missing ?? true
meta.missing ?? meta.nothing ?? true
(meta.public ?? true) == false
meta.n > 3 ? true : false
meta.n > 9 ? false : meta.n > 4 ? true : false
meta.public ?: true
meta.map.in == "field"
meta.list[0] == 1 and meta.list[-1] == 3
meta.list[1:] == [2, 3] && meta.list[:1] == [1] && meta.list[1:2] == [2] && meta.word[1:3] == "el"
any(meta.list, # > 2)
any(meta.list, {# > 2})
all(meta.people, #.age > 10)
all(meta.people, {.age > 10})
none(meta.list, # > 3)
one(meta.people, .name == "bob")
len(filter(meta.list, # % 2 == 1)) == 2
map(meta.people, .name) == ["ann", "bob"]
count(meta.list, # >= 2) == 2
find(meta.list, # > 1) == 2 && find(meta.list, # > 9) == nil
any(meta.list, any(meta.people, # == meta.people[0]) && # == 3)
all([], # == 1) && !any([], # == 1)
len("abc") == 3 && len([1]) == 1 && len({a: 1}) == 1
lower("ABC") == "abc" && upper("abc") == "ABC"
trim("  a ") == "a" && trim("xax", "x") == "a"
trimPrefix("abc", "a") == "bc" && trimSuffix("abc", "c") == "ab"
hasPrefix("abc", "ab") && hasSuffix("abc", "bc") && indexOf("abc", "c") == 2
split("a,b", ",") == ["a", "b"] && join(["a", "b"], "-") == "a-b" && join(["a", "b"]) == "ab"
replace("aXbX", "X", "-") == "a-b-"
abs(-3) == 3 && int("42") == 42 && int(4.9) == 4 && float("0.5") == 0.5 && string(7) == "7"
type(1) == "number" && type("") == "text" && type(nil) == "nil" && type(true) == "bool"
max(1, 3, 2) == 3 && min([4, 2]) == 2 && sum([1, 2, 3]) == 6
keys({a: 1}) == ["a"] && values({a: 1}) == [1]
get(meta, "n") == 5 && get(meta, "q", 1) == 1 && get([1], 5) == nil
first([1, 2]) == 1 && last([1, 2]) == 2 && first([]) == nil
uniq([1, 1, 2]) == [1, 2]
"\\u0041\\x42\\n" == "AB\\n"
true // a comment
/* another */ true
[1, 2,] == [1, 2]
{("a" + "b"): 1} == {ab: 1}
len([1, 2, 3][1:]) == 2
""".strip().splitlines()


@pytest.mark.parametrize("text", TRUE_EXPRESSIONS)
def test_the_language_means_what_expr_lang_means(text):
    assert answer(text) is True


def test_every_function_is_shown_by_an_example():
    shown = set(re.findall(r"(\w+)\(", "\n".join(TRUE_EXPRESSIONS)))

    assert {*FUNCTIONS, *PREDICATES} <= shown


def test_an_expression_may_have_several_lines():
    assert answer('action == "write"\n  && // the rest\n  actor.id == "alice"')


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("true || false && false", "true || (false && false)"),
        ("not true || true", "(not true) || true"),
        ("not false == true", "(not false) == true"),
        ("1 + 2 == 3 && 2 < 3", "((1 + 2) == 3) && (2 < 3)"),
        ("1 in [1] == true", "(1 in [1]) == true"),
        ("meta.missing ?? 1 == 1", "(meta.missing ?? 1) == 1"),
        ("1 - 2 - 3 == -4", "((1 - 2) - 3) == -4"),
        ("2 * 3 % 4 == 2", "((2 * 3) % 4) == 2"),
        ("1 + 2 in 1..3 + 1", "(1 + 2) in (1..(3 + 1))"),
        ("true ? false : true ? true : true", "true ? false : (true ? true : true)"),
        ("-meta.n + 6 == 1", "((-meta.n) + 6) == 1"),
    ],
)
def test_operators_bind_as_in_expr_lang(text, same):
    assert answer(text) is answer(same)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: expected a value, found the end of the expression"),
        ("true &&", "1:8: expected a value, found the end of the expression"),
        ("true true", "1:6: expected an operator or the end, found 'true'"),
        ("(true", "1:6: expected ')' to close (, found the end of the expression"),
        (
            "actr.id == 'x'",
            "1:1: unknown variable 'actr'; did you mean 'actor'?; known are actor, action, resource, meta",
        ),
        ("actor.name == 'x'", "1:7: an actor has id and meta, not 'name'"),
        ("true &&\n  lenn(meta.list) == 1", "2:3: unknown function 'lenn'; did you mean 'len'?"),
        ("len == 1", "1:1: len is a function; call it with len(…)"),
        ("len(1, 2) == 1", "1:1: len takes 1 argument"),
        ("get(meta) == 1", "1:1: get takes 2 to 3 arguments"),
        ("any(meta.list)", "1:1: any takes a list and a predicate, such as any(list, # == 1)"),
        ("meta.list.len()", "1:10: a field cannot be called; functions take their value as an argument"),
        ("action = 'x'", "1:8: expected an expression, found '='; equality is =="),
        ("true | false", "1:6: pipes are not supported; either is || or or"),
        ("true & false", "1:6: expected an expression, found '&'; both is && or and"),
        ("action == 'x", "1:11: this text is not closed"),
        ('action == "x', "1:11: this text is not closed"),
        (r"action == '\q'", r"1:12: unknown escape \q"),
        ("meta.n @ 1", "1:8: unexpected character '@'"),
        ("# == 1", "1:1: expected a value, found '#'"),
        ("action && true", "1:1: an operand of && must be a bool, found a text"),
        ("true || 1", "1:9: an operand of || must be a bool, found a number"),
        ("!'x'", "1:2: the operand of ! must be a bool, found a text"),
        ("1 ? true : false", "1:1: the condition of ? must be a bool, found a number"),
        ("1 + 2", "1:3: a policy's expression must yield a bool, this one yields a number"),
        ("'x'", "1:1: a policy's expression must yield a bool, this one yields a text"),
        ("1 < 'a'", "1:3: < needs two values of one type, found a number and a text"),
        ("true < false", "1:1: < needs a number or a text, found a bool"),
        ("1 - 'a' == 1", "1:5: - needs a number, found a text"),
        ("-'a' == 1", "1:2: the operand of - must be a number, found a text"),
        ("1 in 2", "1:6: in needs a list or a map on its right, found a number"),
        ("1 contains 'a'", "1:1: contains needs a text or nil, found a number"),
        ("any('abc', true)", "1:5: the first argument of any must be a list, found a text"),
        ("any(meta.list, 1)", "1:16: a predicate must be a bool, found a number"),
        ("action matches '(a'", "1:16: regular expression, character 1: this group is not closed"),
        (r"action matches '(a)\\1'", "1:16: regular expression, character 4: back references"),
        ("99999999999999999999 == 1", "1:1: this number is too large"),
        ("{1 2}", "1:4: expected ':' after the key, found 2"),
        ("[1 2] == []", "1:4: expected ']' or ',', found 2"),
        ("meta.", "1:6: expected a field name, found the end of the expression"),
        ("0b == 1", "1:2: expected an operator or the end, found 'b'"),
    ],
)
def test_a_mistake_is_found_when_the_policy_is_loaded_and_has_a_place(text, message):
    with pytest.raises(ExpressionError) as raised:
        Expression(text)

    assert str(raised.value).startswith(f"expression:{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meta.missing > 5", "1:14: cannot compare nil with a number by >"),
        ("meta.word > 5", "1:11: cannot compare a text with a number by >"),
        ("meta.missing.deep == 1", "1:14: cannot read 'deep' of nil; ?. allows that"),
        ("meta.word.deep == 1", "1:11: cannot read 'deep' of a text"),
        ("meta.n && true", "1:6: an operand of && must be a bool, found a number"),
        ("!meta.missing", "1:7: the operand of ! must be a bool, found nil"),
        ("meta.n", "1:1: a policy's expression must yield a bool, this one yielded a number"),
        ("meta.list[9] == 1", "1:10: the list has 3 elements, so there is none at 9"),
        ("meta.list['a'] == 1", "1:10: expected an integer, found a text"),
        ("1 % meta.zero == 1", "1:3: division by zero"),
        ("1 / meta.zero == 1", "1:3: division by zero"),
        ("meta.word + 1 == 'x'", "1:11: cannot add a text and a number"),
        ("meta.word - 1 == 1", "1:11: expected a number, found a text"),
        (
            "meta.n in meta.word",
            "1:8: cannot look for something in a text; a part of a text is found by contains",
        ),
        ("meta.n contains 'a'", "1:8: contains needs two texts, found a number and a text"),
        ("meta.word matches '('+'a'", "1:11: regular expression, character 1: this group is not closed"),
        ("len(meta.n) == 1", "1:1: expected a text, a list or a map, found a number"),
        ("any(meta.list, #.x == 1)", "1:18: cannot read 'x' of a number"),
        ("any(meta.list, meta.n)", "1:21: a predicate must be a bool, found a number"),
        ("any(meta.missing, true)", "1:1: expected a list, found nil"),
        ("9223372036854775807 + meta.n == 1", "1:21: the result is too large for an integer"),
        ("10 ** meta.n ** 9 == 1", "1:4: the result of ** is no number"),
        ("int('x') == 1", "1:1: expected a number or a text that is written like one, found a text"),
    ],
)
def test_a_wrong_type_is_an_error_of_the_evaluation_with_a_place(text, message):
    expression = Expression(text)

    with pytest.raises(ExpressionError) as raised:
        expression.holds(Request(ALICE, "write", "doc:1", {**META, "zero": 0}))

    assert str(raised.value) == f"expression:{message}"


@pytest.mark.parametrize("text", ["false && meta.n", "true || meta.n", "meta.public && meta.missing.deep"])
def test_what_is_not_reached_is_not_evaluated(text):
    assert answer(text) in (True, False)


@pytest.mark.parametrize(
    ("text", "strictly"),
    [
        ("meta.missing == nil", "expression:1:6: 'missing' is missing, and the policy is strict"),
        ("meta.map.missing == 1", "expression:1:10: 'missing' is missing, and the policy is strict"),
        ("actor.meta.missing == 1", "expression:1:12: 'missing' is missing, and the policy is strict"),
        ("(meta.missing ?? true) == true", None),
        ("meta?.missing == nil", None),
        ("meta.n == 5", None),
    ],
)
def test_a_strict_expression_takes_a_missing_field_for_an_error(text, strictly):
    assert answer(text) in (True, False)
    if strictly is None:
        assert answer(text, strict=True)
    else:
        with pytest.raises(ExpressionError) as raised:
            answer(text, strict=True)

        assert str(raised.value) == strictly


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("true || " * 600 + "true", "expression:1:4097: longer than 4096 characters"),
        ("(" * 50 + "true" + ")" * 50, "nested more than 40 deep"),
        ("!" * 50 + "true", "nested more than 40 deep"),
        ("1" + "+1" * 50 + " == 1", "nested more than 40 deep"),
        ("meta" + ".a" * 50 + " == 1", "nested more than 40 deep"),
        ("any([" * 30 + "1" + "], true)" * 30, "nested more than 40 deep"),
        ("1 in [" + "1," * 1500 + "]", "larger than 1000 operands and operators"),
    ],
)
def test_length_depth_and_size_are_limited(text, message):
    with pytest.raises(ExpressionError, match=re.escape(message)):
        Expression(text)


def test_a_long_list_of_alternatives_is_not_deep():
    assert answer(" || ".join(["meta.n == 0"] * 150) + " || meta.n == 5")
    assert not answer(" && ".join(["meta.n == 5"] * 150) + " && meta.n == 0")


@pytest.mark.parametrize(
    "text",
    [
        "any(1..1000, any(1..1000, # == -1))",
        "len(map(1..9000, # + # + # + # + # + # + #)) == 1",
        "1..1000000000 == []",
        "meta.big in meta.biggest",
        "any(meta.biggest, meta.long matches '^(a|b)*c$')",
        "uniq(meta.biggest) == []",
        "join(meta.texts, meta.long) == ''",
        "replace(meta.long, 'a', meta.long) == ''",
        "len(split(meta.long, '')) == 0 || any(meta.biggest, split(meta.long, 'b') == [])",
    ],
)
def test_work_is_limited(text):
    biggest = [[1] * 399 + [2]] * 500 if "big in" in text else list(range(50_000))
    meta = {"big": [1] * 400, "biggest": biggest, "long": "a" * 4000, "texts": ["a" * 1000] * 1000}

    with pytest.raises(ExpressionError, match=r"too much work|too long|grows longer"):
        answer(text, meta=meta)


def test_an_expression_says_whether_it_looks_at_metadata():
    assert Expression("any([1], meta.n == #)").uses_meta
    assert not Expression('actor.meta.role == "meta" && "meta" in actor.meta.tags').uses_meta


def test_metadata_that_nests_too_deep_is_an_error_not_a_crash():
    nested = []
    for _ in range(5000):
        nested = [nested]

    with pytest.raises(ExpressionError, match="RecursionError"):
        answer("meta.a == meta.b", meta={"a": nested, "b": [nested[0]]})


def assert_answered_or_refused(text):
    try:
        outcome = answer(text)
    except ExpressionError as error:
        outcome = error

    if isinstance(outcome, ExpressionError):
        assert str(outcome).startswith(f"expression:{outcome.line}:{outcome.column}: ")
        assert 1 <= outcome.line <= text.count("\n") + 1
    else:
        assert outcome in (True, False)


WORDS = st.sampled_from(
    [
        "actor",
        "actor.id",
        "actor.meta",
        "action",
        "resource",
        "meta",
        "meta.n",
        "meta.list",
        "meta.word",
        "meta.missing",
        "#",
        "true",
        "false",
        "nil",
        "1",
        "2.5",
        "'a'",
        "&&",
        "||",
        "!",
        "and",
        "or",
        "not",
        "in",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "..",
        "?.",
        "??",
        "?:",
        "?",
        ":",
        ",",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "len",
        "any",
        "all",
        "filter",
        "map",
        "count",
        "contains",
        "startsWith",
        "matches",
        "upper",
        "'a*'",
        "meta.people",
        ".name",
    ],
)


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_no_sequence_of_words_does_anything_but_answer_or_refuse(text):
    assert_answered_or_refused(text)


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_no_text_does_anything_but_answer_or_refuse(text):
    assert_answered_or_refused(text)
