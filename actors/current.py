"""What a handler's code can ask for without being handed it: its message, its context, publishing.

Knows: the call context that is current here. Must not know: who made it current.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..security import current_context
from .errors import NotInHandler
from .handle import CurrentMessage, HandlerContext


def context() -> HandlerContext:
    """The call context: principal, scope, values, deadline and the `cancelled` event.

    Raises:
        NotInHandler: nothing that a runtime called is running here.
    """
    current = current_context()
    if not isinstance(current, HandlerContext):
        raise NotInHandler("context")
    return current


class _Message:
    """The current message: `message()` is the object, `message.id` and the rest are short for `message().id`."""

    def __call__(self) -> CurrentMessage:
        """The message that is being handled here.

        Raises:
            NotInHandler: no message is.
        """
        current = current_context()
        found = current.current_message() if isinstance(current, HandlerContext) else None
        if found is None:
            raise NotInHandler("message")
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self(), name)


message = _Message()


def publish(
    queue: str,
    body: Any,
    headers: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
) -> str:
    """Publish under the principal of the handler that runs here; return the message ID when it is safe.

    See `Runtime.publish` for what it promises and raises beside these.

    Raises:
        NotInHandler: nothing that a runtime called is running here.
        AccessDenied: the principal may not `queue.publish`, or not to this queue.
    """
    runtime = context().runtime
    if runtime is None:
        raise NotInHandler("publish")
    return runtime.publish(queue, body, headers, timeout=timeout)


def publish_many(
    queue: str,
    bodies: Iterable[Any],
    headers: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
) -> list[str]:
    """Publish a batch under the principal of the handler that runs here; see `publish`."""
    runtime = context().runtime
    if runtime is None:
        raise NotInHandler("publish_many")
    return runtime.publish_many(queue, bodies, headers, timeout=timeout)


def call(function: str, *arguments: Any) -> Any:
    """Call a function of the application, in Python or Lua, under the principal of the handler that runs here.

    The called function inherits the context. See `Runtime.call` for what it raises beside these.

    Raises:
        NotInHandler: nothing that a runtime called is running here.
        AccessDenied: the principal may not `funcs.call` it.
    """
    runtime = context().runtime
    if runtime is None:
        raise NotInHandler("call")
    return runtime.call(function, *arguments)


def start_thread(target: Callable[..., Any], *arguments: Any) -> threading.Thread:
    """Start a daemon thread that inherits the call context: `publish`, `context` and `can` work in it.

    Plain `threading.Thread` starts with an empty context in Python, and `publish` there would be refused.
    """
    inherited = contextvars.copy_context()
    thread = threading.Thread(target=inherited.run, args=(target, *arguments), daemon=True)
    thread.start()
    return thread
