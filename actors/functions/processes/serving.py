"""The answers to what a handler asks for from its process.

Each is given in the thread that waits for the call, where the call's own context is the current one: whatever the
handler asks for is authorised as if it ran here. Knows: what may be asked. Must not know: pipes, processes.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import NotInHandler, NotSendable
from ...handle import CurrentMessage, HandlerContext
from .failures import Failure, packed
from .wire import Answer, Ask, Frame, MessageFrame

if TYPE_CHECKING:
    from ...runtime import Runtime


def frame_of(context: HandlerContext) -> Frame:
    """What a handler gets to see of its context."""
    scope = context.scope
    return Frame(
        principal=context.principal,
        policies=None if scope is None else tuple(str(policy.id) for policy in scope),
        values=dict(context.values),
        deadline=context.deadline,
        message=_message_frame(context),
    )


def _message_frame(context: HandlerContext) -> MessageFrame | None:
    delivery, binding = context.delivery, context.binding
    if delivery is None or binding is None:
        return None
    message = delivery.message
    return MessageFrame(
        id=message.id, queue=str(binding.queue.id), attempt=delivery.attempt, headers=dict(message.headers)
    )


def answer(ask: Ask, context: HandlerContext) -> Answer | Failure:
    """Do what a handler asks for. What goes wrong goes back to the handler."""
    try:
        arguments = loads(ask.name, "an argument", ask.arguments)
        return Answer(ANSWERS[ask.name](context, *arguments))
    except BaseException as error:  # also what a function that it calls raises
        return packed(error)


def loads(who: object, what: str, data: bytes) -> Any:
    """Read what a handler has sent. Raises NotSendable, as for a class that only the handler's file has."""
    try:
        return pickle.loads(data)  # noqa: S301  (as trusted as the handler)
    except Exception as error:
        raise NotSendable(str(who), what, str(error)) from error


def _publish_many(context: HandlerContext, *arguments: Any) -> list[str]:
    queue, bodies, headers, timeout = arguments
    return _runtime(context).publish_many(queue, bodies, headers, timeout=timeout)


def _call(context: HandlerContext, function: str, arguments: tuple[Any, ...]) -> Any:
    return _runtime(context).call(function, *arguments)


def _info(context: HandlerContext, queue: str) -> dict[str, int]:
    return _runtime(context).info(queue)


def _runtime(context: HandlerContext) -> "Runtime":
    if context.runtime is None:
        raise NotInHandler("runtime")
    return context.runtime


def _ack(context: HandlerContext) -> None:
    _message(context).ack()


def _nack(context: HandlerContext, delay: float | None) -> None:
    _message(context).nack(delay=delay)


def _reject(context: HandlerContext, reason: str) -> None:
    _message(context).reject(reason)


def _message(context: HandlerContext) -> CurrentMessage:
    found = context.current_message()
    if found is None:
        raise NotInHandler("message")
    return found


def _decide(context: HandlerContext, action: str, resource: str, meta: Mapping[str, Any] | None) -> Any:
    if context.guard is None:
        raise NotInHandler("can")
    return context.guard.decide(context.principal, context.scope, action, resource, meta)


def _evaluate(context: HandlerContext, action: str, resource: str, meta: Mapping[str, Any] | None) -> Any:
    if context.scope is None or context.principal is None:
        raise NotInHandler("scope")
    return context.scope.evaluate(context.principal, action, resource, meta)


def _explain(context: HandlerContext, action: str, resource: str, meta: Mapping[str, Any] | None) -> Any:
    if context.scope is None or context.principal is None:
        raise NotInHandler("scope")
    return context.scope.explain(context.principal, action, resource, meta)


def _names(context: HandlerContext, action: str, resource: str) -> bool:
    return context.scope is not None and context.scope.names(action, resource)


ANSWERS: Mapping[str, Callable[..., Any]] = {
    "publish_many": _publish_many,
    "call": _call,
    "info": _info,
    "ack": _ack,
    "nack": _nack,
    "reject": _reject,
    "decide": _decide,
    "evaluate": _evaluate,
    "explain": _explain,
    "names": _names,
}
