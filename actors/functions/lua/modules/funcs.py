"""`funcs`: calling other functions of the application, now or in another thread.

Knows: Runtime.call, which authorises, and whom a call is made for. Must not know: in which language the other one is
written.
"""

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from .....security import current_context
from .....security.context import enter, leave
from .....security.errors import AccessDenied
from ....handle import HandlerContext
from ..background import Background
from ..faults import INTERNAL, INVALID, PERMISSION_DENIED, LuaError, fault_of
from .access import is_allowed
from .module import Module, Surroundings
from .security import principal_of, scope_of
from .tasks import waker


def _refusal(text: str, kind: str = INVALID) -> LuaError:
    return LuaError(text, kind=kind, retryable=False)


def checked_id(function: Any) -> str:
    """A function ID with namespace and name."""
    if not isinstance(function, str) or not function:
        raise _refusal("function ID required")
    namespace, _, name = function.partition(":")
    if not namespace or ":" not in function:
        raise _refusal("namespace required in function ID")
    if not name:
        raise _refusal("name required in function ID")
    return function


def _require(action: str, resource: str) -> None:
    if not is_allowed(action, resource):
        raise _refusal(f"not allowed: {action} on {resource}", PERMISSION_DENIED)


# ---- for whom ----------------------------------------------------------------------------------------------
# Settings cross as a table: `values`, `actor` and `scope`, each only where `with_…` was called.


def context_values(given: Any = None) -> dict[str, Any]:
    """The named values of a table, for `with_context`."""
    _require("funcs.context", "context")
    if not isinstance(given, dict | list):
        raise _refusal("expected a table of values")
    named = given.items() if isinstance(given, dict) else ()
    return {key: value for key, value in named if isinstance(key, str)}


def check_security() -> bool:
    """Whether another actor or scope may be chosen."""
    _require("funcs.security", "security")
    return True


def check_options(given: Any = None) -> bool:
    """Whether these options may be chosen."""
    if not isinstance(given, dict | list):
        raise _refusal("expected a table of options")
    network = given.get("network") if isinstance(given, dict) else None
    if network is not None:
        _require("network.select", str(network))
    return True


def _caller() -> HandlerContext:
    context = current_context()
    if not isinstance(context, HandlerContext) or context.runtime is None:
        raise LuaError("no runtime to call functions of", kind=INTERNAL, retryable=False)
    return context


def _derived(settings: Mapping[str, Any] | None) -> HandlerContext:
    """The context of a call with these settings; it has to be kept for as long as the call may be cancelled.

    A script may have kept them from a call for somebody who was allowed to make them: what matters is who makes this one.
    """
    given = settings or {}
    if given.get("values"):
        _require("funcs.context", "context")
    if "actor" in given or "scope" in given:
        _require("funcs.security", "security")
    context = _caller().derive(values=given.get("values") or None)
    if "actor" in given:
        context.principal = principal_of(given["actor"])
    if "scope" in given:
        context.scope = scope_of(given["scope"])
    return context


def _authorised(context: HandlerContext, function: str) -> Callable[..., Any]:
    assert context.runtime is not None  # noqa: S101  (_caller has looked)
    token = enter(context)
    try:
        return context.runtime.authorised(function)
    except AccessDenied as error:
        raise _refusal(f"not allowed: {function}", PERMISSION_DENIED) from error
    finally:
        leave(token)


def call(settings: Any = None, function: Any = None, *arguments: Any) -> Any:
    """Call a function; its first value."""
    wanted = checked_id(function)
    context = _derived(settings) if settings else _caller()
    return _authorised(context, wanted)(*arguments)


# ---- in another thread -------------------------------------------------------------------------------------


@define(eq=False)
class _Begun:
    """One call that was begun, and how it ended."""

    context: HandlerContext
    value: Any = None
    problem: LuaError | None = None


class Futures:
    """The calls that one state has begun. Its thread uses it; other threads only say that a call has ended."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._tickets = itertools.count(1)
        self._begun: dict[int, _Begun] = {}
        self._ended: deque[int] = deque()

    def begin(self, settings: Any = None, function: Any = None, *arguments: Any) -> int:
        """Begin a call; what to ask for it by."""
        wanted = checked_id(function)
        begun = _Begun(_derived(settings))
        run = _authorised(begun.context, wanted)
        ticket, waiting = next(self._tickets), waker()
        self._begun[ticket] = begun

        def work() -> None:
            try:
                begun.value = run(*arguments)
            except Exception as error:
                begun.problem = fault_of(error)
            except BaseException as error:  # a stray sys.exit() ends its own call, never the thread
                begun.problem = LuaError(f"{type(error).__name__}: {error}", kind=INTERNAL, retryable=False)
            self._ended.append(ticket)
            waiting.cancel()

        self._background.run(work, begun.context.cancel)
        return ticket

    def ended(self) -> list[int]:
        """Which calls have ended since this was asked last."""
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def take(self, ticket: int) -> Any:
        """The value of a call that has ended; what it raised is raised."""
        begun = self._begun.pop(ticket)
        if begun.problem is not None:
            raise begun.problem
        return begun.value

    def cancel(self, ticket: int) -> bool:
        """Ask a call to end early."""
        begun = self._begun.get(ticket)
        if begun is not None:
            begun.context.cancel()
        return begun is not None


def _functions(surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    futures = Futures(surroundings.background)
    return {
        "call": call,
        "begin": futures.begin,
        "ended": futures.ended,
        "take": futures.take,
        "cancel": futures.cancel,
        "context_values": context_values,
        "check_security": check_security,
        "check_options": check_options,
    }


MODULE = Module(name="funcs", functions=_functions, script="funcs.lua")
