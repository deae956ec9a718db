"""`ctx`: the values that callers have passed along.

Knows: the call context. Must not know: who set them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .....security import current_context
from ..faults import INTERNAL, INVALID, NOT_FOUND, LuaError
from .module import Module, Surroundings


def _values() -> Mapping[str, Any]:
    context = current_context()
    if context is None:
        raise LuaError("no call context", kind=INTERNAL, retryable=False)
    return context.values


def get(key: Any = None) -> Any:
    """One value."""
    if not isinstance(key, str) or not key:
        raise LuaError("expected a key", kind=INVALID, retryable=False)
    values = _values()
    if key not in values:
        raise LuaError(f"key not found: {key}", kind=NOT_FOUND, retryable=False)
    return values[key]


def get_all() -> dict[str, Any]:
    """All values."""
    return dict(_values())


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"get": get, "all": get_all}


MODULE = Module(name="ctx", functions=_functions)
