"""`json`: text to values and back.

Knows: the standard library's JSON. Must not know: schemas' dialects.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..faults import INTERNAL, INVALID, LuaError
from .module import Module, Surroundings


def encode(value: Any = None) -> str:
    """JSON text, without blanks; infinities and NaN are null."""
    try:
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LuaError(f"cannot encode: {error}", kind=INTERNAL, retryable=False) from error


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {_text(key): _finite(item) for key, item in value.items()}
        case list():
            return [_finite(item) for item in value]
    return _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        raise LuaError("cannot encode: a string is not UTF-8", kind=INTERNAL, retryable=False)
    return value


def decode(text: Any = None) -> Any:
    """The value of a JSON text. A value that is no string comes back as it is: bodies are decoded already."""
    if text is None:
        raise LuaError("json.decode: expected a text, found nil", kind=INVALID, retryable=False)
    if not isinstance(text, str | bytes):
        return text
    if not text:
        raise LuaError("json.decode: the text is empty", kind=INVALID, retryable=False)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LuaError(f"json.decode: {error}", kind=INTERNAL, retryable=False) from error


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"encode": encode, "decode": decode}


MODULE = Module(name="json", functions=_functions, script="json.lua")
