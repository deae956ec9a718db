"""`queue`: publishing, and the message that is being handled.

Knows: Runtime.publish and CurrentMessage, and in which order Wippy looks at arguments. Must not know: drivers.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from .....registry import NoriaError
from .....security import current_context
from .....security.errors import AccessDenied
from ....errors import REJECTED, AlreadySettled, QueueNotFound
from ....handle import CurrentMessage, HandlerContext
from ..faults import INTERNAL, INVALID, PERMISSION_DENIED, LuaError
from .access import is_allowed
from .module import Module, Surroundings
from .moments import NANOSECONDS
from .time import parse_duration

# Shorter delays are seconds of somebody who forgot that numbers are nanoseconds.
_SHORTEST: Final = 1_000_000


def _context() -> HandlerContext:
    context = current_context()
    if isinstance(context, HandlerContext) and context.runtime is not None:
        return context
    raise LuaError("no queue manager in context", kind=INTERNAL, retryable=False)


def _refusal(text: str, kind: str = INVALID) -> LuaError:
    return LuaError(text, kind=kind, retryable=False)


def _require(action: str, resource: str) -> None:
    if not is_allowed(action, resource):
        raise _refusal(f"not allowed: {resource or action}", PERMISSION_DENIED)


def publish(count: int, queue: Any, body: Any, headers: Any) -> bool:
    """Publish under the principal of this call; true when the message is safe. `count` arguments were given."""
    runtime = _context().runtime
    if not isinstance(queue, str) or not queue:
        _require("queue.publish", "")
        raise _refusal("queue ID required")
    if count < 2 or (isinstance(body, dict | list) and not body):
        _require("queue.publish", "")
        _require("queue.publish.queue", queue)
        raise _refusal("message data required" if count < 2 else "message data cannot be empty")
    assert runtime is not None  # noqa: S101  (_context has looked)
    try:
        runtime.publish(queue, body, _headers(headers))
    except AccessDenied as error:
        raise _refusal(f"not allowed: {queue}", PERMISSION_DENIED) from error
    except NoriaError as error:
        raise LuaError(f"publish failed: {error}", kind=INTERNAL, retryable=error.retryable) from error
    return True


def _headers(given: Any) -> dict[str, Any]:
    """Names to texts, numbers and booleans; any other value is null, anything but a table is no headers at all."""
    if not isinstance(given, dict):
        return {}
    return {
        name: value if isinstance(value, str | int | float | bool) else None
        for name, value in given.items()
        if isinstance(name, str)
    }


def info(queue: Any = None) -> dict[str, int]:
    """The figures of a queue."""
    if not isinstance(queue, str) or not queue:
        raise _refusal("queue ID required")
    runtime = _context().runtime
    assert runtime is not None  # noqa: S101
    try:
        return runtime.info(queue)
    except QueueNotFound as error:
        raise _refusal(str(error), INTERNAL) from error
    except NoriaError as error:
        raise LuaError(f"get queue info failed: {error}", kind=INTERNAL, retryable=error.retryable) from error


def _current() -> CurrentMessage | None:
    context = current_context()
    return context.current_message() if isinstance(context, HandlerContext) else None


def _ticket(message: CurrentMessage) -> str:
    """What a script's message object is told by: the same message, delivered again, is another one."""
    return f"{message.attempt}:{message.id}"


def open_message() -> dict[str, str]:
    """The message that is being handled, as its Lua half keeps it."""
    message = _current()
    if message is None:
        raise _refusal("no delivery found in context")
    return {"ticket": _ticket(message), "id": message.id}


def _held(ticket: str) -> CurrentMessage:
    message = _current()
    if message is None or _ticket(message) != ticket:
        raise _refusal("queue.Message released")
    return message


def _seconds(delay: Any) -> float | None:
    """Of a delay as scripts write durations; None for none."""
    if delay is None:
        return None
    nanoseconds = parse_duration(delay) if isinstance(delay, str) else delay
    if isinstance(nanoseconds, bool) or not isinstance(nanoseconds, int | float):
        raise _refusal('expected a delay: a text such as "30s", a Duration, or nanoseconds')
    if not (nanoseconds == 0 or _SHORTEST <= nanoseconds < math.inf):
        raise _refusal(
            f'expected a delay of 0, 1 ms or longer, found {nanoseconds} ns: write seconds as "30s"'
        )
    return nanoseconds / NANOSECONDS


def _reason(given: Any) -> str:
    if given is None:
        return REJECTED
    if isinstance(given, str):
        return given
    if isinstance(given, LuaError):
        return given.text or given.message
    raise _refusal("expected a reason: a text or an error object")


def _settling(message: CurrentMessage, verb: str, more: Any) -> Callable[[], None]:
    """What settles it; `more` is the delay of a nack, the reason of a rejection."""
    match verb:
        case "nack":
            return partial(message.nack, delay=_seconds(more))
        case "reject":
            return partial(message.reject, _reason(more))
        case _:
            return message.ack


def _settle(ticket: str, verb: str, more: Any = None) -> bool:
    settle = _settling(_held(ticket), verb, more)
    try:
        settle()
    except AlreadySettled as error:
        raise _refusal("queue.Message already settled") from error
    except NoriaError as error:
        raise LuaError(f"{verb} failed: {error}", kind=INTERNAL, retryable=error.retryable) from error
    return True


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "publish": publish,
        "info": info,
        "open": open_message,
        "id": lambda ticket: _held(ticket).id,
        "header": lambda ticket, name=None: _held(ticket).header(name) if isinstance(name, str) else None,
        "headers": lambda ticket: _held(ticket).headers,
        "settle": _settle,
        "is_held": lambda ticket: (found := _current()) is not None and _ticket(found) == ticket,
    }


MODULE = Module(name="queue", functions=_functions, script="queue.lua")
