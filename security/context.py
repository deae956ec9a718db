"""CallContext: what travels with a call, and the one place that knows which call is running.

Knows: rights, the message, values, a deadline, cancellation. It is built once for every message, so it is a plain
slotted object; by agreement nobody assigns to the fields of a context that was entered. Does not know queues, workers
or how a handler is called.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from enum import Enum
from threading import Event, Lock
from typing import Any, Final, Literal, Protocol, Self
from weakref import WeakSet

from .decision import Decision
from .guard import Guard
from .principals import NO_META, Meta, Principal
from .scopes import Scope


class _Unset(Enum):
    KEEP = "as it is"


KEEP: Final = _Unset.KEEP
Keep = Literal[_Unset.KEEP]

# One lock for all contexts: it is held for a few instructions, and a context of its own would cost every message.
_lock: Final = Lock()


class Cancellable(Protocol):
    """What wants to hear that a call was cancelled."""

    def cancel(self) -> None:
        """It was."""


class CallContext:
    """What travels with a call. Fields are set once; cancellation is thread-safe; compared by identity.

    Args:
        principal: Who acts, or None.
        scope: The policies it is under, or None.
        guard: The guard of the runtime; None outside of one.
        message: The message that is being handled, for the package that knows what that is; or None.
        values: What callers pass along, by name.
        deadline: When the call should be over, in seconds of `time.monotonic()`; None for never.
    """

    __slots__ = (
        "__weakref__",
        "_derived",
        "_event",
        "deadline",
        "guard",
        "message",
        "principal",
        "scope",
        "values",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - the fields, in the order of how often they are given
        self,
        principal: Principal | None = None,
        scope: Scope | None = None,
        guard: Guard | None = None,
        message: object | None = None,
        values: Mapping[str, Any] = NO_META,
        deadline: float | None = None,
    ) -> None:
        self.principal = principal
        self.scope = scope
        self.guard = guard
        self.message = message
        self.values = values
        self.deadline = deadline
        self._event: Event | None = None
        self._derived: WeakSet[Cancellable] | None = None

    @property
    def cancelled(self) -> Event:
        """Set once the call should end early. Made when it is first asked for; always the same."""
        event = self._event
        if event is None:
            with _lock:
                event = self._event
                if event is None:
                    event = self._event = Event()
        return event

    def cancel(self) -> None:
        """Ask the call, and everything that was derived from it, to end early. Calling it again does nothing."""
        self.cancelled.set()
        with _lock:
            derived = () if self._derived is None else tuple(self._derived)
        for context in derived:
            context.cancel()

    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def derive(
        self,
        *,
        principal: Principal | Keep | None = KEEP,
        scope: Scope | Keep | None = KEEP,
        message: object | None = KEEP,
        values: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Self:
        """The context of a nested call (`spec/security.md` 7).

        Args:
            principal: Replaces the principal; kept if not given.
            scope: Replaces the scope; kept if not given.
            message: Replaces the message; kept if not given.
            values: Joined to the values; the given ones win.
            deadline: The earlier of this one and the caller's counts.

        Returns:
            A context of the same class. It is cancelled with this one, but cancelling it leaves this one alone.
        """
        derived = self._copy()
        if principal is not KEEP:
            derived.principal = principal
        if scope is not KEEP:
            derived.scope = scope
        if message is not KEEP:
            derived.message = message
        if values:
            derived.values = {**self.values, **values}
        derived.deadline = min((d for d in (self.deadline, deadline) if d is not None), default=None)
        self.pass_cancel_on(derived)
        return derived

    def _copy(self) -> Self:
        """A context of the same class with the same fields, those of a subclass too, but not yet cancelled."""
        copy = object.__new__(type(self))
        for owner in type(self).__mro__:
            for name in getattr(owner, "__slots__", ()):
                if name != "__weakref__" and hasattr(self, name):
                    setattr(copy, name, getattr(self, name))
        copy._event = None
        copy._derived = None
        return copy

    def pass_cancel_on(self, other: Cancellable) -> None:
        """Cancel `other` too when this one is cancelled, and at once if it already is. It is held weakly."""
        with _lock:
            if self._derived is None:
                self._derived = WeakSet()
            self._derived.add(other)
        # Only now: a cancel() between these lines would otherwise miss the other one.
        if self._event is not None and self._event.is_set():
            other.cancel()


_current: Final[ContextVar[CallContext | None]] = ContextVar("noria_call_context", default=None)


def enter(context: CallContext) -> Token[CallContext | None]:
    """Make a context the current one of this thread or task, and of the tasks it starts; `leave` it again."""
    return _current.set(context)


def leave(token: Token[CallContext | None]) -> None:
    """Restore what was current before `enter`, in the same thread or task."""
    _current.reset(token)


def current_context() -> CallContext | None:
    """The context of the call that is running, also in the asyncio tasks it started; None outside of a call."""
    return _current.get()


def principal() -> Principal | None:
    """The principal of the call that is running; None outside, or when it has none."""
    context = _current.get()
    return None if context is None else context.principal


def scope() -> Scope | None:
    """The scope of the call that is running; None outside, or when it has none."""
    context = _current.get()
    return None if context is None else context.scope


def can(action: str, resource: str, meta: Meta = None) -> bool:
    """Whether the call that is running may do something.

    Without a principal or a scope the answer is no, also in normal mode (`spec/security.md` 5). The runtime's guard
    counts and shows the decision like any other.

    Args:
        action: What for, such as `queue.publish.queue`.
        resource: On what, such as `app:tasks`.
        meta: What else is known about the request, or a function that builds it.
    """
    context = _current.get()
    if context is None or context.principal is None or context.scope is None:
        return False
    if context.guard is None:
        decision: Decision = context.scope.evaluate(context.principal, action, resource, meta)
    else:
        decision = context.guard.decide(context.principal, context.scope, action, resource, meta)
    return decision.allowed
