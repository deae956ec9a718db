"""How policies are combined, what a scope promises, and how a decision is explained."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import EntryID
from noria.security import Policy, Principal, Scope
from noria.security.conditions import compile_condition
from noria.security.expression import Expression
from noria.security.policy import AllConditions, ExpressionRule

ALICE = Principal("alice", {"role": "editor"})
NOT_TWO_NUMBERS = "cannot be evaluated: expected two numbers, or texts that are written like numbers, found a text and a number"
NIL_COMPARED = "expression:1:14: cannot compare nil with a number by >"


def policy(
    name, effect="allow", actions="*", resources="*", *, condition=None, expression=None, strict=False
):
    rule = None
    if condition is not None:
        rule = AllConditions((compile_condition(*condition, strict=strict),))
    if expression is not None:
        rule = ExpressionRule(Expression(expression, strict=strict))
    return Policy(EntryID("app", name), effect, actions, resources, rule)


def outcome(*policies, meta=None):
    return Scope(policies).evaluate(ALICE, "queue.publish", "app:tasks", meta).outcome


WITH = {
    "allow": policy("allow"),
    "deny": policy("deny", "deny"),
    "silent": policy("silent", "allow", "other.action"),
    "false": policy("false", "deny", condition=("meta.x", "eq", 2)),
    "broken allow": policy("broken_allow", "allow", condition=("actor.id", "gt", 1)),
    "broken deny": policy("broken_deny", "deny", condition=("actor.id", "gt", 1)),
    "broken deny expression": policy("broken_expression", "deny", expression="meta.missing > 1"),
}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], "undefined"),
        (["silent"], "undefined"),
        (["allow"], "allow"),
        (["deny"], "deny"),
        (["allow", "deny"], "deny"),
        (["allow", "silent", "false"], "allow"),
        (["broken allow"], "undefined"),
        (["allow", "broken allow"], "allow"),
        (["broken deny"], "deny"),
        (["allow", "broken deny"], "deny"),
        (["allow", "broken deny expression"], "deny"),
        (["broken allow", "deny"], "deny"),
    ],
)
def test_a_deny_wins_any_allow_allows_and_silence_is_undefined_in_any_order(policies, expected):
    for order in itertools.permutations(policies):
        assert outcome(*(WITH[name] for name in order)) == expected


def condition_or_expression(kind, effect, trouble):
    conditions = {"missing field": ("meta.none", "gt", 5), "wrong type": ("meta.word", "gt", 5)}
    expressions = {"missing field": "meta.none == 5", "wrong type": "meta.word > 5"}
    given = (
        {"condition": conditions[trouble]} if kind == "condition" else {"expression": expressions[trouble]}
    )
    return given, effect


@pytest.mark.parametrize("kind", ["condition", "expression"])
@pytest.mark.parametrize(
    ("trouble", "strict", "effect", "expected"),
    [
        ("missing field", False, "allow", "undefined"),
        ("missing field", False, "deny", "undefined"),
        ("missing field", True, "allow", "undefined"),
        ("missing field", True, "deny", "deny"),
        ("wrong type", False, "allow", "undefined"),
        ("wrong type", False, "deny", "deny"),
        ("wrong type", True, "deny", "deny"),
    ],
)
def test_what_goes_wrong_fails_closed(kind, trouble, strict, effect, expected):
    given, _ = condition_or_expression(kind, effect, trouble)

    assert outcome(policy("p", effect, strict=strict, **given), meta={"word": "x"}) == expected


@pytest.mark.parametrize(("effect", "expected"), [("allow", "undefined"), ("deny", "deny")])
def test_metadata_that_cannot_be_built_fails_closed(effect, expected):
    def broken():
        raise OSError("gone")

    decision = Scope([policy("p", effect, condition=("meta.x", "eq", 1))]).evaluate(ALICE, "a", "r", broken)

    assert decision.outcome == expected
    assert "OSError: gone" in decision.reason


def test_a_decision_names_the_first_deciding_policy_in_the_order_of_ids():
    scope = Scope([policy("z"), policy("b"), policy("y", "deny"), policy("c", "deny")])

    decision = scope.evaluate(ALICE, "a", "r")

    assert str(decision.policy) == "app:c"
    assert decision.reason == "app:c denies it"
    assert not decision.allowed
    assert (
        str(scope.without(EntryID("app", "c")).without(EntryID("app", "y")).evaluate(ALICE, "a", "r").policy)
        == "app:b"
    )


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        (Scope(), "the scope has no policies"),
        (Scope([WITH["silent"]]), "no policy allows it"),
        (
            Scope([WITH["broken allow"]]),
            f"no policy allows it; app:broken_allow cannot be evaluated: actor.id gt 1 {NOT_TWO_NUMBERS}",
        ),
        (
            Scope([WITH["broken deny expression"]]),
            f"app:broken_expression denies it, for it cannot be evaluated: {NIL_COMPARED}",
        ),
    ],
)
def test_a_reason_is_a_sentence(scope, reason):
    assert scope.evaluate(ALICE, "queue.publish", "app:tasks").reason == reason


def test_a_scope_never_changes():
    first, second, instead = policy("first"), policy("second"), policy("first", "deny")
    scope = Scope([first])

    bigger = scope.with_(second)
    replaced = bigger.with_(instead)

    assert scope.policies() == (first,)
    assert bigger.policies() == (first, second)
    assert replaced.policies() == (instead, second)
    assert bigger.contains(second.id)
    assert not scope.contains(second.id)
    assert bigger.without(second.id).policies() == (first,)
    assert scope.without(second.id) is scope


def test_a_scope_without_policies_is_a_scope():
    assert Scope()
    assert len(Scope()) == 0


def test_filters_come_first_so_a_rule_that_would_fail_is_not_asked():
    narrow = policy("narrow", "deny", "queue.consume", condition=("actor.id", "gt", 1))

    assert outcome(policy("allow"), narrow) == "allow"


def test_metadata_is_built_once_and_only_if_a_policy_looks():
    built = []

    def meta():
        built.append(1)
        return {"x": 1}

    Scope([policy("p")]).evaluate(ALICE, "a", "r", meta)
    assert built == []

    looking = [policy(name, condition=("meta.x", "eq", 1)) for name in "pq"]
    assert Scope(looking).evaluate(ALICE, "a", "r", meta).allowed
    assert built == [1]


@pytest.mark.parametrize(
    ("actions", "resources", "expected"),
    [
        ("queue.consume", "*", True),
        (["other", "queue.consume"], "app:tasks", True),
        ("queue.*", "*", True),
        ("*.consume", "app:*", True),
        ("*", "*", False),
        (["*", "other"], "*", False),
        ("queue.publish", "*", False),
        ("queue.consume", "app:others", False),
    ],
)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_a_scope_names_an_action_if_a_pattern_other_than_a_bare_star_matches_it(
    actions, resources, expected, effect
):
    scope = Scope([policy("p", effect, actions, resources), policy("q", "allow", "*", "*")])

    assert scope.names("queue.consume", "app:tasks") is expected


NAMES = st.sampled_from(["a", "b", "c"])
POLICIES = st.builds(
    policy,
    NAMES,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["*", "read", "write"]),
    st.sampled_from(["*", "app:x"]),
    condition=st.one_of(
        st.none(),
        st.tuples(
            st.sampled_from(["meta.x", "actor.id"]), st.sampled_from(["eq", "gt"]), st.sampled_from([1, 2])
        ),
    ),
)


def model(policies, action, resource, x):
    """The specification's sentences, one after the other."""
    effects = []
    for each in policies:
        if action not in each.actions.texts and "*" not in each.actions.texts:
            continue
        if resource not in each.resources.texts and "*" not in each.resources.texts:
            continue
        for condition in each.rule.conditions if each.rule else ():
            left, right = (x if condition.field.path == "meta.x" else "alice"), condition.value
            if condition.operator == "eq":
                holds = left == right
            elif left == "alice":
                holds = each.effect == "deny"
            else:
                holds = left is not None and left > right
            if not holds:
                break
        else:
            effects.append(each.effect)
    return "deny" if "deny" in effects else "allow" if effects else "undefined"


@given(
    st.lists(POLICIES, max_size=4, unique_by=lambda each: each.id),
    st.sampled_from(["read", "write"]),
    st.sampled_from(["app:x", "app:y"]),
    st.sampled_from([None, 1, 2, 3]),
)
def test_a_scope_decides_as_the_specification_says(policies, action, resource, x):
    meta = {} if x is None else {"x": x}

    assert Scope(policies).evaluate(ALICE, action, resource, meta).outcome == model(
        policies, action, resource, x
    )


@pytest.mark.parametrize(
    ("explained", "applies", "failed", "reason"),
    [
        (policy("p"), True, None, "actions and resources match"),
        (
            policy("p", "allow", "store.*"),
            False,
            "actions",
            "none of its actions (store.*) matches 'queue.publish'",
        ),
        (
            policy("p", "allow", "*", ["app:a", "app:b"]),
            False,
            "resources",
            "none of its resources (app:a, app:b) matches 'app:tasks'",
        ),
        (
            policy("p", condition=("meta.size", "lt", 10)),
            False,
            "condition 1",
            "meta.size lt 10 is false: meta.size is 12",
        ),
        (
            policy("p", condition=("meta.none", "lt", 10)),
            False,
            "condition 1",
            "meta.none lt 10 is false: meta.none is missing",
        ),
        (
            policy("p", condition=("meta.size", "gt", 10)),
            True,
            None,
            "actions and resources match and its rule holds",
        ),
        (policy("p", expression="meta.size == 1"), False, "expression", "the expression is false"),
        (
            policy("p", "allow", condition=("meta.word", "gt", 10)),
            False,
            None,
            f"meta.word gt 10 {NOT_TWO_NUMBERS}; it therefore allows nothing",
        ),
        (
            policy("p", "deny", expression="meta.word > 10"),
            True,
            None,
            "expression:1:11: cannot compare a text with a number by >; a deny that cannot be evaluated denies",
        ),
    ],
)
def test_an_explanation_says_what_failed_and_why(explained, applies, failed, reason):
    [explanation] = Scope([explained]).explain(ALICE, "queue.publish", "app:tasks", {"size": 12, "word": "x"})

    assert (explanation.applies, explanation.failed, explanation.reason) == (applies, failed, reason)
    assert (explanation.error is not None) is ("cannot be evaluated" in reason)
    assert str(explanation) == (
        f"app:p ({explained.effect}) {'applies' if applies else 'does not apply'}: {reason}"
    )


@given(st.lists(POLICIES, max_size=4, unique_by=lambda each: each.id), st.sampled_from([None, 1, 2]))
def test_explanations_lead_to_the_decision(policies, x):
    scope, meta = Scope(policies), {} if x is None else {"x": x}

    explanations = scope.explain(ALICE, "read", "app:x", meta)

    effects = [explanation.effect for explanation in explanations if explanation.applies]
    decided = "deny" if "deny" in effects else "allow" if effects else "undefined"
    assert scope.evaluate(ALICE, "read", "app:x", meta).outcome == decided
    assert [explanation.policy for explanation in explanations] == sorted(each.id for each in policies)


def test_a_principal_cannot_be_changed_through_what_it_was_made_from():
    meta = {"roles": ["reader"], "limits": {"size": 1}}
    principal = Principal("alice", meta)

    meta["roles"].append("admin")
    meta["limits"]["size"] = 100

    assert principal.meta["roles"] == ("reader",)
    assert principal.meta["limits"]["size"] == 1
    assert principal == Principal("alice", {"roles": ["reader"], "limits": {"size": 1}})
    assert hash(principal) == hash(Principal("alice", {"other": 1}))
    with pytest.raises(TypeError):
        principal.meta["roles"] = ()


def test_an_effect_is_allow_or_deny():
    with pytest.raises(ValueError, match="effect"):
        policy("p", "permit")
