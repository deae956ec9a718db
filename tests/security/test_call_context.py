"""The call context: what is current where, what nested calls inherit, and cancellation."""

import asyncio
import contextvars
import gc
import threading
import time

import pytest

from noria.registry import EntryID
from noria.security import (
    CallContext,
    Guard,
    Policy,
    Principal,
    Scope,
    can,
    current_context,
    principal,
    scope,
)
from noria.security.context import enter, leave

ALICE, BOB = Principal("alice"), Principal("bob")
READING = Scope([Policy(EntryID("app", "read"), "allow", "read", "*")])
NOTHING = Scope()


@pytest.fixture
def inside():
    """A context that is current during the test."""
    context = CallContext(ALICE, READING, Guard())
    token = enter(context)
    yield context
    leave(token)


def test_outside_of_a_call_there_is_nothing_and_nothing_is_allowed():
    assert current_context() is None
    assert principal() is None
    assert scope() is None
    assert can("read", "app:x") is False


def test_inside_a_call_its_rights_are_known(inside):
    assert current_context() is inside
    assert principal() is ALICE
    assert scope() is READING
    assert can("read", "app:x") is True
    assert can("write", "app:x") is False
    assert inside.guard.denials == 1


@pytest.mark.parametrize(("who", "under"), [(None, READING), (ALICE, None), (None, None)])
@pytest.mark.parametrize("strict", [True, False])
def test_without_a_principal_or_a_scope_nothing_can_be_done(who, under, strict):
    token = enter(CallContext(who, under, Guard(strict=strict)))

    assert can("read", "app:x") is False

    leave(token)


def test_without_a_guard_the_scope_decides():
    token = enter(CallContext(ALICE, READING))

    assert can("read", "app:x") is True
    assert can("write", "app:x") is False

    leave(token)


def test_leaving_restores_what_was_current_before(inside):
    nested = inside.derive(principal=BOB)
    token = enter(nested)
    assert principal() is BOB

    leave(token)

    assert current_context() is inside


def test_tasks_of_asyncio_inherit_the_context_and_keep_their_own(inside):
    async def under(who):
        token = enter(inside.derive(principal=who))
        await asyncio.sleep(0)
        seen = principal()
        leave(token)
        return seen

    async def main():
        inherited = await asyncio.create_task(asyncio.to_thread(current_context))
        return inherited, await asyncio.gather(under(ALICE), under(BOB))

    assert asyncio.run(main()) == (inside, [ALICE, BOB])


def test_a_bare_thread_inherits_nothing_and_a_copied_context_everything(inside):
    seen = []
    bare = threading.Thread(target=lambda: seen.append(current_context()))
    copied = threading.Thread(
        target=contextvars.copy_context().run, args=(lambda: seen.append(current_context()),)
    )
    for thread in (bare, copied):
        thread.start()
        thread.join()

    assert seen == [None, inside]


def test_a_nested_call_keeps_what_is_not_replaced(inside):
    derived = inside.derive()

    assert (derived.principal, derived.scope, derived.guard) == (ALICE, READING, inside.guard)
    assert derived is not inside
    assert derived != inside


def test_rights_are_replaced_explicitly_also_by_nothing(inside):
    replaced = inside.derive(principal=BOB, scope=NOTHING, message="m")
    dropped = inside.derive(principal=None, scope=None)

    assert (replaced.principal, replaced.scope, replaced.message) == (BOB, NOTHING, "m")
    assert (dropped.principal, dropped.scope) == (None, None)
    assert replaced.derive().message == "m"


def test_values_are_joined_and_the_given_ones_win():
    context = CallContext(values={"a": 1, "b": 1})

    assert context.derive(values={"b": 2, "c": 2}).values == {"a": 1, "b": 2, "c": 2}
    assert context.values == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [(None, None, None), (5.0, None, 5.0), (None, 5.0, 5.0), (5.0, 3.0, 3.0), (3.0, 5.0, 3.0)],
)
def test_the_earlier_deadline_counts(own, given, expected):
    assert CallContext(deadline=own).derive(deadline=given).deadline == expected


def test_remaining_seconds_never_fall_below_none_left():
    assert CallContext().remaining() is None
    assert CallContext(deadline=time.monotonic() - 1).remaining() == 0.0
    assert 0 < CallContext(deadline=time.monotonic() + 1000).remaining() <= 1000


def test_cancelling_reaches_nested_calls_but_not_the_caller():
    caller = CallContext()
    nested = caller.derive()
    innermost = nested.derive()

    nested.cancel()
    assert (caller.cancelled.is_set(), nested.cancelled.is_set(), innermost.cancelled.is_set()) == (
        False,
        True,
        True,
    )

    other = caller.derive()
    caller.cancel()
    caller.cancel()
    assert other.cancelled.is_set()


def test_what_is_derived_from_a_cancelled_call_is_cancelled():
    context = CallContext()
    context.cancel()

    assert context.derive().cancelled.is_set()


def test_a_call_does_not_keep_its_nested_calls_alive():
    context = CallContext()
    for _ in range(10):
        context.derive()
    gc.collect()

    assert len(context._derived) == 0


def test_the_event_is_one_whoever_asks_first():
    for _ in range(200):
        context = CallContext()
        barrier = threading.Barrier(3)
        events = []

        def waiting(context=context, barrier=barrier, events=events):
            barrier.wait()
            events.append(context.cancelled)

        def cancelling(context=context, barrier=barrier):
            barrier.wait()
            context.cancel()

        threads = [threading.Thread(target=each) for each in (waiting, waiting, cancelling)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert events[0] is events[1] is context.cancelled
        assert context.cancelled.is_set()


def test_a_subclass_derives_itself_with_its_own_fields():
    class Richer(CallContext):
        __slots__ = ("runtime", "unset")

    context = Richer(ALICE)
    context.runtime = "runtime"

    derived = context.derive(principal=BOB)

    assert type(derived) is Richer
    assert derived.runtime == "runtime"
    assert not hasattr(derived, "unset")
