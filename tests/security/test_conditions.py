"""Every operator, with its field present, missing and of the wrong type, under allow and deny."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import EntryID
from noria.registry.placeholders import EnvText
from noria.security import Policy, Principal, Scope
from noria.security.conditions import OPERATORS, compile_condition
from noria.security.errors import ConditionError, PatternRefused, PolicyError
from noria.security.policy import AllConditions
from noria.security.principals import Request

ALICE = Principal("alice", {"team": "red", "roles": ["editor", "admin"], "limits": {"size": 10}, "level": 5})
TRUE, FALSE, ERROR = "true", "false", "error"


def request_with(meta=None, principal=ALICE):
    return Request(principal, "store.key.get", "app:store", meta or {})


def ask(condition, request):
    try:
        return TRUE if condition.holds(request) else FALSE
    except PolicyError:
        return ERROR


# operator, value, [(left, answer)]; None is a missing field. Pairs, because True and 1 are one key.
TABLE = [
    ("eq", "red", [("red", TRUE), ("blue", FALSE), (None, FALSE), (7, FALSE), (("red",), FALSE)]),
    (
        "eq",
        7,
        [
            (7, TRUE),
            (7.0, TRUE),
            ("007", TRUE),
            ("7.0", TRUE),
            ("seven", FALSE),
            (True, FALSE),
            (None, FALSE),
        ],
    ),
    ("eq", True, [(True, TRUE), ("true", TRUE), (1, FALSE), (False, FALSE), (None, FALSE)]),
    ("ne", "red", [("red", FALSE), ("blue", TRUE), (None, FALSE), (7, TRUE), (("red",), TRUE)]),
    (
        "lt",
        5,
        [(4, TRUE), (5, FALSE), ("4.5", TRUE), ("many", ERROR), (True, ERROR), ((1,), ERROR), (None, FALSE)],
    ),
    (
        "gt",
        5,
        [(6, TRUE), (5, FALSE), ("6", TRUE), ("many", ERROR), (True, ERROR), ((1,), ERROR), (None, FALSE)],
    ),
    ("lte", "5", [(5, TRUE), (6, FALSE), ("5.0", TRUE), ("many", ERROR), (False, ERROR), (None, FALSE)]),
    ("gte", "5", [(5, TRUE), (4, FALSE), ("5.0", TRUE), ("", ERROR), (False, ERROR), (None, FALSE)]),
    ("in", ["a", 1], [("a", TRUE), (1, TRUE), ("1", TRUE), ("b", FALSE), ((1,), FALSE), (None, FALSE)]),
    ("in", "a", [("a", TRUE), ("b", FALSE), (None, FALSE)]),
    ("nin", ["a", 1], [("a", FALSE), ("1", FALSE), ("b", TRUE), ((1,), TRUE), (None, FALSE)]),
    ("contains", "b", [("abc", TRUE), ("xyz", FALSE), (("a", "b"), TRUE), (("a",), FALSE), (None, FALSE)]),
    ("contains", 2, [(123, TRUE), (13, FALSE), (("2",), TRUE), (True, FALSE), (None, FALSE)]),
    ("ncontains", "b", [("abc", FALSE), ("xyz", TRUE), (("a", "b"), FALSE), (None, FALSE)]),
    ("matches", "^a.c$", [("abc", TRUE), ("xabc", FALSE), (None, FALSE), ((1,), ERROR)]),
    ("matches", "2", [(123, TRUE), ("x2x", TRUE), (True, FALSE), (None, FALSE)]),
    ("nmatches", "^a", [("abc", FALSE), ("xabc", TRUE), (None, FALSE), ((1,), ERROR)]),
    ("exists", True, [("x", TRUE), (0, TRUE), ("", TRUE), (None, FALSE)]),
    ("exists", False, [("x", FALSE), (0, FALSE), (None, TRUE)]),
    ("nexists", True, [("x", FALSE), (0, FALSE), (None, TRUE)]),
    ("nexists", False, [("x", TRUE), ("", TRUE), (None, FALSE)]),
]
CASES = [
    pytest.param(operator, value, left, answer, id=f"{left!r} {operator} {value!r}")
    for operator, value, answers in TABLE
    for left, answer in answers
]


def meta_of(left):
    return {} if left is None else {"x": list(left) if isinstance(left, tuple) else left}


def test_the_table_has_every_operator_with_a_present_and_a_missing_field():
    assert {operator for operator, _, _ in TABLE} == set(OPERATORS)
    assert all((None, FALSE) in answers or (None, TRUE) in answers for _, _, answers in TABLE)


@pytest.mark.parametrize(("operator", "value", "left", "answer"), CASES)
def test_an_operator_answers_as_the_specification_says(operator, value, left, answer):
    assert ask(compile_condition("meta.x", operator, value), request_with(meta_of(left))) == answer


@pytest.mark.parametrize("effect", ["allow", "deny"])
@pytest.mark.parametrize(("operator", "value", "left", "answer"), CASES)
def test_an_error_makes_a_deny_apply_and_an_allow_not(operator, value, left, answer, effect):
    rule = AllConditions((compile_condition("meta.x", operator, value),))
    scope = Scope([Policy(EntryID("app", "policy"), effect, "*", "*", rule)])

    decision = scope.evaluate(ALICE, "read", "app:store", meta_of(left))

    applies = {TRUE: effect, FALSE: "undefined", ERROR: "deny" if effect == "deny" else "undefined"}
    assert decision.outcome == applies[answer]
    assert ("cannot be evaluated" in decision.reason) is (answer == ERROR)


@pytest.mark.parametrize(("operator", "value", "left", "answer"), CASES)
def test_a_strict_policy_takes_a_missing_field_for_an_error(operator, value, left, answer):
    condition = compile_condition("meta.x", operator, value, strict=True)

    missing = left is None and operator not in ("exists", "nexists")
    assert ask(condition, request_with(meta_of(left))) == (ERROR if missing else answer)


def test_a_strict_policy_takes_a_missing_field_on_the_right_for_an_error_too():
    condition = compile_condition("meta.x", "ne", value_from="meta.y", strict=True)

    assert ask(condition, request_with({"x": 1, "y": 2})) == TRUE
    assert ask(condition, request_with({"x": 1})) == ERROR


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, "a"], [1, "a"], TRUE),
        ([1, "a"], ["a", 1], FALSE),
        ([1], [1, 2], FALSE),
        ({"a": [1]}, {"a": [1]}, TRUE),
        ({"a": [1]}, {"a": [2]}, FALSE),
        ({"a": 1}, {"b": 1}, FALSE),
        ({"a": None}, {"a": None}, TRUE),
        ([1], {"a": 1}, FALSE),
        ({"a": 1}, "map[a:1]", FALSE),
    ],
)
def test_lists_and_maps_are_compared_by_structure(left, right, expected):
    assert ask(compile_condition("meta.x", "eq", right), request_with({"x": left})) == expected


def test_long_identifiers_that_differ_in_the_last_digit_are_different():
    condition = compile_condition("meta.x", "eq", "90071992547409931")

    assert ask(condition, request_with({"x": "90071992547409930"})) == FALSE
    assert ask(condition, request_with({"x": 90071992547409931})) == TRUE


@pytest.mark.parametrize(
    "left", [" 7", "7 ", "1_0", "0x10", "inf", "nan", "\N{ARABIC-INDIC DIGIT SEVEN}", "1" * 400]
)
def test_only_plain_decimal_texts_are_numbers(left):
    assert ask(compile_condition("meta.x", "gt", 0), request_with({"x": left})) == ERROR


@pytest.mark.parametrize(
    ("operator", "right", "expected"),
    [
        ("eq", None, FALSE),
        ("ne", None, TRUE),
        ("lt", None, ERROR),
        ("in", None, ERROR),
        ("nin", None, ERROR),
        ("contains", None, FALSE),
        ("ncontains", None, TRUE),
        ("matches", None, ERROR),
        ("exists", None, TRUE),
        ("nexists", None, FALSE),
        ("exists", "yes", TRUE),
        ("in", 7, ERROR),
        ("in", ["abc"], TRUE),
        ("matches", "^a", TRUE),
        ("matches", "(a", ERROR),
        ("nmatches", "(a", ERROR),
        ("matches", ["a"], ERROR),
        ("matches", "(a{100}){100}", ERROR),
    ],
)
def test_value_from_takes_the_right_side_from_the_request(operator, right, expected):
    condition = compile_condition("meta.x", operator, value_from="meta.y")

    assert ask(condition, request_with({"x": "abc", "y": right})) == expected


def test_value_from_wins_over_a_value():
    condition = compile_condition("meta.x", "eq", "value", value_from="actor.meta.team")

    assert ask(condition, request_with({"x": "red"})) == TRUE


def test_existence_of_what_is_missing_is_an_error_when_compared_with_no_bool():
    assert (
        ask(compile_condition("meta.x", "exists", value_from="meta.y"), request_with({"y": "yes"})) == ERROR
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("actor.id", "alice"),
        ("actor.meta.team", "red"),
        ("actor.meta.limits.size", 10),
        ("actor.meta.limits.none", None),
        ("actor.meta.team.deeper", None),
        ("meta.message.headers.tenant", "t1"),
        ("meta.message.nothing.tenant", None),
        ("action", "store.key.get"),
        ("action.ignored", "store.key.get"),
        ("resource", "app:store"),
        ("key", "k1"),
        ("a.literal.key", "k2"),
    ],
)
def test_a_path_finds_its_field_or_nothing(path, expected):
    meta = {"message": {"headers": {"tenant": "t1"}}, "key": "k1", "a.literal.key": "k2"}
    wanted = expected if expected is not None else "unused"

    assert compile_condition(path, "eq", wanted).field.read(request_with(meta)) == expected


def test_all_meta_of_the_actor_is_a_field_too():
    assert ask(compile_condition("actor.meta", "exists", value=True), request_with()) == TRUE


@pytest.mark.parametrize("path", ["actor.id", "actor.meta.team", "actor.meta"])
def test_an_actor_with_neither_id_nor_meta_is_an_error(path):
    anonymous = request_with(principal=Principal(""))

    assert ask(compile_condition(path, "nexists", value=True), anonymous) == ERROR


@pytest.mark.parametrize(
    ("field", "operator", "value", "message"),
    [
        ("actor", "eq", 1, "the field 'actor' says too little; expected actor.id or actor.meta.<key>"),
        ("meta", "eq", 1, "the field 'meta' says too little; expected meta.<key>"),
        ("meta.", "eq", 1, "the field 'meta.' says too little; expected meta.<key>"),
        ("actor.name", "eq", 1, "an actor has id and meta, not 'name'"),
        ("actor.mete", "eq", 1, "an actor has id and meta, not 'mete'; did you mean 'meta'?"),
        ("meta.x", "equal", 1, "unknown operator 'equal'"),
        ("meta.x", "contain", 1, "unknown operator 'contain'; did you mean 'contains'?"),
        ("meta.x", "eq", None, "a condition needs `value` or `value_from`, found neither"),
        ("meta.x", "exists", "yes", "exists expects true or false, found a text"),
        ("meta.x", "nexists", 1, "nexists expects true or false, found a number"),
        ("meta.x", "in", 5, "in expects a list or a text, found a number"),
        ("meta.x", "lt", "many", "lt expects a number, found a text"),
        ("meta.x", "matches", ["a"], "matches expects a regular expression, found a list"),
    ],
)
def test_a_wrong_condition_is_refused_with_what_was_expected(field, operator, value, message):
    with pytest.raises(ConditionError) as raised:
        compile_condition(field, operator, value)

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("operator", ["matches", "nmatches"])
def test_a_pattern_that_is_not_regular_is_refused(operator):
    with pytest.raises(PatternRefused, match="back references"):
        compile_condition("meta.x", operator, r"(a)\1")


def test_an_error_never_repeats_a_value_of_the_configuration():
    condition = compile_condition("meta.x", "gt", 424242).shown_as("${env:LIMIT}")

    with pytest.raises(ConditionError) as raised:
        condition.holds(request_with({"x": "many"}))

    assert "424242" not in str(raised.value)
    assert "meta.x gt '${env:LIMIT}' cannot be evaluated" in str(raised.value)


def test_the_reason_shows_both_sides_of_a_comparison_with_another_field():
    condition = compile_condition("meta.tenant", "eq", value_from="actor.meta.tenant")
    principal = Principal("writer", {"tenant": "acme"})

    assert condition.why_not(Request(principal, "call", "app:f", {"tenant": "globex"})) == (
        "meta.tenant eq actor.meta.tenant is false: meta.tenant is 'globex', actor.meta.tenant is 'acme'"
    )
    assert condition.why_not(Request(Principal("writer"), "call", "app:f", {"tenant": "globex"})).endswith(
        "meta.tenant is 'globex', actor.meta.tenant is missing"
    )


def test_the_reason_shows_lists_and_maps_as_they_are_written():
    condition = compile_condition("resource", "in", value_from="actor.meta.publishes")
    principal = Principal("writer", {"publishes": ["app:a", {"b": [1]}]})

    assert condition.why_not(Request(principal, "call", "app:f")).endswith(
        "resource is 'app:f', actor.meta.publishes is ['app:a', {'b': [1]}]"
    )


def test_the_reason_shows_the_name_of_a_variable_on_either_side_and_never_its_content():
    secret = EnvText("top-secret", raw="${env:TENANT}")
    condition = compile_condition("meta.tenant", "eq", value_from="actor.meta.tenant")
    principal = Principal("writer", {"tenant": secret})
    reason = condition.why_not(Request(principal, "call", "app:f", {"tenant": "globex"}))

    assert "top-secret" not in reason
    assert "actor.meta.tenant is <the value of ${env:TENANT}>" in reason


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(OPERATORS), PLAIN, PLAIN)
def test_whatever_the_values_are_there_is_an_answer(operator, left, right):
    condition = compile_condition("meta.x", operator, value_from="meta.y")

    assert ask(condition, request_with({"x": left, "y": right})) in (TRUE, FALSE, ERROR)


@given(PLAIN, PLAIN)
def test_a_negated_operator_is_the_opposite_wherever_there_is_an_answer(left, right):
    opposite = {TRUE: FALSE, FALSE: TRUE, ERROR: ERROR}
    request = request_with({"x": left, "y": right})
    for operator, negated in (
        ("eq", "ne"),
        ("in", "nin"),
        ("contains", "ncontains"),
        ("matches", "nmatches"),
    ):
        answers = [
            ask(compile_condition("meta.x", name, value_from="meta.y"), request)
            for name in (operator, negated)
        ]

        assert answers == ([FALSE, FALSE] if left is None else [answers[0], opposite[answers[0]]])
