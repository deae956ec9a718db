"""The guard: strict mode, counting, events, audit hooks, prepared checks."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import Bus, EntryID
from noria.security import AccessDenied, Guard, Policy, Principal, Scope
from noria.security.conditions import compile_condition
from noria.security.events import Denied
from noria.security.policy import AllConditions

ALICE = Principal("alice")


def policy(name, effect="allow", actions="*", resources="*", condition=None):
    rule = AllConditions((compile_condition(*condition),)) if condition else None
    return Policy(EntryID("app", name), effect, actions, resources, rule)


ALLOWING = Scope([policy("allow")])
LOOKING = Scope([policy("allow"), policy("big", "deny", condition=("meta.size", "gt", 10))])


@pytest.mark.parametrize(
    ("who", "scope", "missing"),
    [
        (None, None, "there is neither a principal nor a scope"),
        (None, ALLOWING, "there is no principal"),
        (ALICE, None, "there is no scope"),
    ],
)
def test_what_is_not_guarded_is_allowed_in_normal_mode_and_denied_in_strict_mode(who, scope, missing):
    normal = Guard().decide(who, scope, "read", "app:x")
    strict = Guard(strict=True).decide(who, scope, "read", "app:x")

    assert (normal.allowed, normal.reason) == (True, f"{missing}, and strict mode is off")
    assert (strict.outcome, strict.reason) == (
        "deny",
        f"{missing}, and strict mode denies what is not guarded",
    )
    assert Guard().prepare(who, scope, "read", "app:x").static == normal
    assert Guard(strict=True).prepare(who, scope, "read", "app:x").static == strict


@pytest.mark.parametrize("strict", [True, False])
def test_with_both_only_an_allow_allows_in_either_mode(strict):
    guard = Guard(strict=strict)

    assert guard.decide(ALICE, ALLOWING, "read", "app:x").allowed
    assert guard.decide(ALICE, Scope(), "read", "app:x").outcome == "undefined"
    assert guard.decide(ALICE, LOOKING, "read", "app:x", {"size": 11}).outcome == "deny"
    assert guard.denials == 2


def test_require_raises_with_everything_that_is_known():
    guard = Guard()

    assert guard.require(ALICE, ALLOWING, "read", "app:x").allowed
    with pytest.raises(AccessDenied) as raised:
        guard.require(ALICE, LOOKING, "read", "app:x", {"size": 11})

    error = raised.value
    assert str(error) == "alice may not read on 'app:x': app:big denies it"
    assert (error.principal, error.action, error.resource) == (ALICE, "read", "app:x")
    assert error.decision.policy == EntryID("app", "big")
    assert error.retryable is False


def test_a_denial_is_an_event_and_an_allowance_is_not():
    bus, seen = Bus(), []
    bus.subscribe(seen.append, Denied)
    guard = Guard(bus=bus)

    guard.decide(ALICE, ALLOWING, "read", "app:x")
    guard.decide(ALICE, LOOKING, "read", "app:x", {"size": 11})
    Guard(strict=True, bus=bus).decide(None, None, "read", "app:y")

    assert seen == [
        Denied(
            principal="alice",
            action="read",
            resource="app:x",
            policy=EntryID("app", "big"),
            reason="app:big denies it",
        ),
        Denied(
            principal=None,
            action="read",
            resource="app:y",
            policy=None,
            reason="there is neither a principal nor a scope, and strict mode denies what is not guarded",
        ),
    ]


def test_an_audit_hook_sees_every_decision_until_it_unsubscribes():
    guard, seen = Guard(), []
    check = guard.prepare(ALICE, ALLOWING, "read", "app:x")
    assert not guard.audited

    unsubscribe = guard.audit(seen.append)
    assert guard.audited
    guard.decide(ALICE, LOOKING, "write", "app:y", {"size": 11})
    check.decide(lambda: {"id": "m1"})
    guard.decide(None, None, "read", "app:z")
    unsubscribe()
    unsubscribe()
    guard.decide(ALICE, ALLOWING, "read", "app:x")

    assert not guard.audited
    assert [(each.action, each.resource, each.decision.outcome) for each in seen] == [
        ("write", "app:y", "deny"),
        ("read", "app:x", "allow"),
        ("read", "app:z", "allow"),
    ]
    assert [dict(each.meta) for each in seen] == [{"size": 11}, {"id": "m1"}, {}]
    assert seen[0].principal is ALICE


def test_unsubscribing_one_hook_leaves_the_other_even_if_it_is_the_same_function():
    guard, seen = Guard(), []
    first, second = guard.audit(seen.append), guard.audit(seen.append)

    first()
    first()
    guard.decide(ALICE, ALLOWING, "read", "app:x")

    assert (len(seen), guard.audited) == (1, True)
    second()
    assert not guard.audited


@pytest.mark.parametrize("raised", [RuntimeError("hook"), SystemExit(1)])
def test_a_hook_that_raises_harms_nobody(raised, caplog):
    guard, seen = Guard(), []

    def failing(_decided):
        raise raised

    guard.audit(failing)
    guard.audit(seen.append)

    assert guard.decide(ALICE, ALLOWING, "read", "app:x").allowed
    assert len(seen) == 1
    assert "an audit hook failed" in caplog.text


def test_metadata_that_cannot_be_built_is_audited_as_none(caplog):
    guard, seen = Guard(), []
    guard.audit(seen.append)

    guard.prepare(ALICE, ALLOWING, "read", "app:x").decide(lambda: {}["gone"])

    assert dict(seen[0].meta) == {}
    assert "cannot be built" in caplog.text


def test_a_check_that_needs_no_metadata_is_static_and_still_counts_denials():
    guard = Guard()
    allowed = guard.prepare(ALICE, ALLOWING, "read", "app:x")
    denied = guard.prepare(ALICE, Scope([policy("no", "deny")]), "read", "app:x")

    assert allowed.static.allowed
    assert denied.static.outcome == "deny"
    assert guard.denials == 0
    assert denied.decide() == denied.static
    assert guard.denials == 1


def test_a_check_is_static_when_the_policies_that_look_at_metadata_speak_of_something_else():
    scope = Scope([policy("allow"), policy("big", "deny", "write", condition=("meta.size", "gt", 10))])

    assert Guard().prepare(ALICE, scope, "read", "app:x").static.allowed
    assert Guard().prepare(ALICE, scope, "write", "app:x").static is None


def test_metadata_of_a_static_check_is_never_built():
    check = Guard().prepare(ALICE, ALLOWING, "read", "app:x")

    assert check.decide(lambda: pytest.fail("nobody looks")).allowed


CONDITIONS = st.one_of(
    st.none(), st.tuples(st.sampled_from(["meta.x", "actor.id"]), st.sampled_from(["eq", "gt"]), st.just(1))
)
POLICIES = st.lists(
    st.builds(
        policy,
        st.sampled_from("abcd"),
        st.sampled_from(["allow", "deny"]),
        st.sampled_from(["*", "read", "write"]),
        condition=CONDITIONS,
    ),
    max_size=4,
)


@given(POLICIES, st.lists(st.sampled_from([None, 1, 2, "x"]), max_size=3))
def test_a_prepared_check_answers_exactly_as_the_scope(policies, values):
    scope = Scope(policies)
    guard = Guard()
    check = guard.prepare(ALICE, scope, "read", "app:x")
    for value in values:
        meta = {} if value is None else {"x": value}
        expected = scope.evaluate(ALICE, "read", "app:x", meta)

        assert check.decide(meta) == check.decide(lambda given=meta: given) == expected
        assert guard.decide(ALICE, scope, "read", "app:x", meta) == expected
        assert check.static in (None, expected)


def test_denials_are_counted_by_all_threads():
    guard = Guard(strict=True)
    threads = [
        threading.Thread(target=lambda: [guard.decide(None, None, "read", "app:x") for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert guard.denials == 2000
