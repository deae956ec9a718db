"""`json`: text to values and back, and whether a value fits a schema.

Knows: the standard library's JSON. Must not know: what a schema means.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..faults import INTERNAL, INVALID, LuaError
from .module import Module, Surroundings
from .schemas import Schemas


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
        return _loaded(text)
    except (ValueError, RecursionError) as error:
        raise LuaError(f"json.decode: {error}", kind=INTERNAL, retryable=False) from error


def _loaded(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# ---- schemas ----------------------------------------------------------------------------------------------

_schemas = Schemas()


def validate(schema: Any = None, value: Any = None) -> bool:
    """Whether a value fits a schema, which is a table or a text."""
    if value is None:
        raise _invalid("value required")
    return _fits(schema, value)


def validate_string(schema: Any = None, text: Any = None) -> bool:
    """The same for the value of a JSON text, which may be null."""
    if not isinstance(text, str):
        raise _invalid("expected a JSON text")
    try:
        value = _loaded(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"the text is no JSON: {error}") from error
    return _fits(schema, value)


def _fits(schema: Any, value: Any) -> bool:
    if not isinstance(schema, str | dict) and schema != []:  # an empty table may be meant as either
        raise _invalid("expected a schema, a table or a text")
    problem = _schemas.problem(schema if isinstance(schema, str) else encode(schema or {}), value)
    if problem is not None:
        raise _invalid(problem)
    return True


def _invalid(text: str) -> LuaError:
    return LuaError(f"json.validate: {text}", kind=INVALID, retryable=False)


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"encode": encode, "decode": decode, "validate": validate, "validate_string": validate_string}


MODULE = Module(name="json", functions=_functions, script="json.lua")
