"""`funcs`: calling other functions of the application.

Knows: `Runtime.call`, which authorises. Must not know: in which language the other one is written.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .....security import current_context
from .....security.errors import AccessDenied
from ....handle import HandlerContext
from ..faults import INTERNAL, INVALID, PERMISSION_DENIED, LuaError
from .module import Module, Surroundings


def checked_id(function: Any) -> str:
    """A function ID with namespace and name."""
    if not isinstance(function, str) or not function:
        raise LuaError("function ID required", kind=INVALID, retryable=False)
    namespace, _, name = function.partition(":")
    if not namespace or ":" not in function:
        raise LuaError("namespace required in function ID", kind=INVALID, retryable=False)
    if not name:
        raise LuaError("name required in function ID", kind=INVALID, retryable=False)
    return function


def call(function: Any = None, *arguments: Any) -> Any:
    """Call a function under the principal of this call; its first value."""
    wanted = checked_id(function)
    context = current_context()
    if not isinstance(context, HandlerContext) or context.runtime is None:
        raise LuaError("no runtime to call functions of", kind=INTERNAL, retryable=False)
    try:
        return context.runtime.call(wanted, *arguments)
    except AccessDenied as error:
        raise LuaError(f"not allowed: {wanted}", kind=PERMISSION_DENIED, retryable=False) from error


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"call": call}


MODULE = Module(name="funcs", functions=_functions)
