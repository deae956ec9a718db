"""`env`: variables of the process's environment.

Knows: os.environ and the actions `env.get` and `env.set`. Must not know: which variables matter.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..faults import INVALID, NOT_FOUND, PERMISSION_DENIED, LuaError
from .access import is_allowed
from .module import Module, Surroundings


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        raise LuaError("expected the name of a variable", kind=INVALID, retryable=False)
    return name


def get(name: Any = None) -> str:
    """The value of a variable."""
    wanted = _name(name)
    if not is_allowed("env.get", wanted):
        raise LuaError(f"not allowed: {wanted}", kind=PERMISSION_DENIED, retryable=False)
    if wanted not in os.environ:
        raise LuaError(f"variable not found: {wanted}", kind=NOT_FOUND, retryable=False)
    return os.environ[wanted]


def set_(name: Any = None, value: Any = None) -> bool:
    """Set a variable, for this process and what it starts."""
    wanted = _name(name)
    if not isinstance(value, str) or "\0" in value:
        raise LuaError("expected a text as value", kind=INVALID, retryable=False)
    if not is_allowed("env.set", wanted):
        raise LuaError(f"not allowed: {wanted}", kind=PERMISSION_DENIED, retryable=False)
    os.environ[wanted] = value
    return True


def get_all() -> dict[str, str]:
    """The variables that the principal may read."""
    return {name: value for name, value in os.environ.items() if is_allowed("env.get", name)}


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"get": get, "set": set_, "get_all": get_all}


MODULE = Module(name="env", functions=_functions)
