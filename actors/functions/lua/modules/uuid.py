"""`uuid`: making and reading UUIDs.

Knows: RFC 9562. Must not know: who wants them.
"""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..faults import INVALID, LuaError
from .module import Module, Surroundings

_VARIANTS = {
    uuid.RFC_4122: "RFC4122",
    uuid.RESERVED_MICROSOFT: "Microsoft",
    uuid.RESERVED_NCS: "NCS",
    uuid.RESERVED_FUTURE: "Invalid",
}
_GREGORIAN = 0x01B21DD213814000


def _read(value: Any) -> uuid.UUID:
    try:
        return uuid.UUID(value) if isinstance(value, str) else _refuse(value)
    except ValueError:
        return _refuse(value)


def _refuse(value: Any) -> uuid.UUID:
    raise LuaError(f"not a UUID: {str(value)[:60]}", kind=INVALID, retryable=False)


def _named(make: Callable[[uuid.UUID, str], uuid.UUID]) -> Callable[..., str]:
    def made(namespace: Any = None, name: Any = None) -> str:
        if not isinstance(name, str):
            raise LuaError("expected a name", kind=INVALID, retryable=False)
        return str(make(_read(namespace), name))

    return made


def v7() -> str:
    """Sorts by the time it was made."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | (noise >> 68) << 64 | 2 << 62 | noise & (1 << 62) - 1
    )
    return str(uuid.UUID(int=value))


def validate(value: Any = None) -> bool:
    """Whether it is the text of a UUID."""
    try:
        _read(value)
    except LuaError:
        return False
    return True


def parse(value: Any = None) -> dict[str, Any]:
    """Version, variant, and for versions 1 and 7 the time; for 1 the node."""
    found = _read(value)
    parts: dict[str, Any] = {"version": _version(found), "variant": _VARIANTS[found.variant]}
    if parts["version"] == 1:
        parts["timestamp"] = (found.time - _GREGORIAN) // 10_000_000
        parts["node"] = f"{found.node:012x}"
    elif parts["version"] == 7:
        parts["timestamp"] = (found.int >> 80) // 1000
    return parts


def _version(value: uuid.UUID) -> int:
    return value.int >> 76 & 0xF


def format_(value: Any = None, form: Any = "standard") -> str:
    """`standard`, `simple` or `urn`."""
    found = _read(value)
    forms = {"standard": str(found), "simple": found.hex, "urn": found.urn}
    if form is None or form in forms:
        return forms[form or "standard"]
    raise LuaError(f"no format {form}: standard, simple or urn", kind=INVALID, retryable=False)


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "v1": lambda: str(uuid.uuid1()),
        "v3": _named(uuid.uuid3),
        "v4": lambda: str(uuid.uuid4()),
        "v5": _named(uuid.uuid5),
        "v7": v7,
        "validate": validate,
        "version": lambda value=None: _version(_read(value)),
        "variant": lambda value=None: _VARIANTS[_read(value).variant],
        "parse": parse,
        "format": format_,
    }


MODULE = Module(name="uuid", functions=_functions)
