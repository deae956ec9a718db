"""Who is asking: whether the call that is running may do what a module is asked for, and whose runtime it is in.

Knows: the current context and its guard. Must not know: any module.
"""

from typing import TYPE_CHECKING

from .....security import current_context
from .....security.errors import AccessDenied
from .....security.principals import Meta
from ....handle import HandlerContext

if TYPE_CHECKING:
    from ....runtime import Runtime


def is_allowed(action: str, resource: str, meta: Meta = None) -> bool:
    """The guard's answer, which it counts and shows; without a call nobody is asked."""
    context = current_context()
    if context is None or context.guard is None:
        return True
    try:
        context.guard.require(context.principal, context.scope, action, resource, meta)
    except AccessDenied:
        return False
    return True


def current_runtime() -> "Runtime | None":
    """The runtime of the call that is running; None where there is none."""
    context = current_context()
    return context.runtime if isinstance(context, HandlerContext) else None
