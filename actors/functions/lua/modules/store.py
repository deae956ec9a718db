"""`store`: values by key, in the stores of the application.

Knows: which action each verb needs, and how arguments must look. Must not know: how a store keeps anything.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from ....stores import MemoryStore
from ....stores.errors import KeyTaken, StoreFull, VersionChanged
from ....stores.memory import Stored
from ..faults import (
    ALREADY_EXISTS,
    CONFLICT,
    INTERNAL,
    NOT_FOUND,
    PERMISSION_DENIED,
    UNAVAILABLE,
    LuaError,
    invalid,
)
from .access import current_runtime, is_allowed
from .module import Module, Surroundings

DEFAULT_LIMIT: Final = 100
LARGEST_LIMIT: Final = 1000

PUT_OPTIONS: Final = ("ttl", "only_if_absent", "if_version")
LIST_OPTIONS: Final = ("prefix", "after", "limit")


def _require(action: str, store: str, **meta: Any) -> None:
    if not is_allowed(action, store, meta):
        raise LuaError(f"not allowed: {action} on {store}", kind=PERMISSION_DENIED, retryable=False)


# ---- stores ----------------------------------------------------------------------------------------------


def open_store(id_: Any = None) -> str:
    """Whether there is such a store, and it may be used; its ID."""
    if not isinstance(id_, str) or not id_:
        raise invalid("store ID required")
    _require("store.get", id_)
    _find(id_)
    return id_


def _find(id_: str) -> MemoryStore:
    runtime = current_runtime()
    if runtime is None:
        raise LuaError("no resource registry", kind=NOT_FOUND, retryable=False)
    found = runtime.stores.get(id_)
    if found is not None:
        return found
    entry = runtime.registry.get(id_)
    if entry is None:
        raise LuaError(f"acquisition failed: there is no entry {id_}", kind=INTERNAL, retryable=False)
    raise invalid(f"not a store: {id_} is a {entry.kind}")


def info(id_: str) -> dict[str, Any]:
    """What a store can do."""
    _require("store.info", id_)
    _find(id_)
    return {
        "id": id_,
        "backend": "memory",
        "consistency": "strong",
        "durable": False,
        "list": True,
        "versioned": True,
        "conditional_put": True,
        "ttl": True,
    }


# ---- keys ------------------------------------------------------------------------------------------------


def _key(given: Any) -> str:
    """The key as policies and the store know it: `:a` is another way to write `a`, as in an ID."""
    key = given.lstrip(":") if isinstance(given, str) else ""
    if not key:
        raise invalid("key is required")
    return key


def _there(id_: str, key: str) -> Stored:
    stored = _find(id_).get(key)
    if stored is None:
        raise LuaError(f"key not found: {key}", kind=NOT_FOUND, retryable=False)
    return stored


def _entry(stored: Stored) -> dict[str, Any]:
    return {"key": stored.key, "value": stored.value, "version": stored.version}


def get(id_: str, key: Any = None) -> Any:
    """A value."""
    wanted = _key(key)
    _require("store.key.get", id_, key=wanted)
    return _there(id_, wanted).value


def entry(id_: str, key: Any = None) -> dict[str, Any]:
    """A value with its key and version."""
    wanted = _key(key)
    _require("store.key.get", id_, key=wanted)
    return _entry(_there(id_, wanted))


def has(id_: str, key: Any = None) -> bool:
    """Whether there is a value."""
    wanted = _key(key)
    _require("store.key.has", id_, key=wanted)
    return _find(id_).get(wanted) is not None


def delete(id_: str, key: Any = None) -> bool:
    """Whether there was a value to delete."""
    wanted = _key(key)
    _require("store.key.delete", id_, key=wanted)
    return _find(id_).delete(wanted)


def set_(id_: str, key: Any = None, value: Any = None, ttl: Any = None) -> bool:
    """Store a value."""
    _put(id_, key, value, {"ttl": ttl})
    return True


def put(id_: str, key: Any = None, value: Any = None, options: Any = None) -> dict[str, Any]:
    """Store a value, perhaps under a condition; its entry."""
    return _entry(_put(id_, key, value, _options(options, PUT_OPTIONS)))


def _put(id_: str, key: Any, value: Any, options: Mapping[str, Any]) -> Stored:
    wanted = _key(key)
    if value is None:
        raise invalid("value is required")
    ttl = _ttl(options.get("ttl"))
    only_if_absent = _flag(options.get("only_if_absent"))
    if_version = _version(options.get("if_version"))
    if only_if_absent and if_version is not None:
        raise invalid("only_if_absent and if_version exclude each other")
    _require("store.key.set", id_, key=wanted)
    try:
        return _find(id_).put(wanted, value, ttl=ttl, only_if_absent=only_if_absent, if_version=if_version)
    except KeyTaken as error:
        raise LuaError(str(error), kind=ALREADY_EXISTS, retryable=False) from error
    except VersionChanged as error:
        raise LuaError(str(error), kind=CONFLICT, retryable=False) from error
    except StoreFull as error:
        raise LuaError(str(error), kind=UNAVAILABLE, retryable=True) from error


def list_(id_: str, options: Any = None) -> dict[str, Any]:
    """Entries in the order of their keys, a page of them."""
    given = _options(options, LIST_OPTIONS)
    prefix, after = (_text(name, given.get(name)).lstrip(":") for name in ("prefix", "after"))
    limit = _limit(given.get("limit"))
    _require("store.key.list", id_, prefix=prefix)
    page = _find(id_).list(prefix=prefix, after=after, limit=limit)
    return {
        "items": [_entry(stored) for stored in page.items],
        "cursor": page.items[-1].key if page.has_more else None,
        "has_more": page.has_more,
    }


# ---- options ---------------------------------------------------------------------------------------------


def _options(given: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    """A table of options. One that nobody knows is an error: a typo in `if_version` must not overwrite anything."""
    if given is None or given == []:
        return {}
    if not isinstance(given, dict):
        raise invalid("expected a table of options")
    for name in given:
        if name not in known:
            raise invalid(f"unknown option {name}: known are {', '.join(known)}")
    return given


def _whole(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _ttl(given: Any) -> float | None:
    """Seconds; none, and 0, are for ever."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if given is not None and not (is_number and math.isfinite(given) and given >= 0):
        raise invalid("expected a ttl in seconds, from 0")
    return float(given) if given else None


def _flag(given: Any) -> bool:
    if given is not None and not isinstance(given, bool):
        raise invalid("expected only_if_absent to be true or false")
    return bool(given)


def _version(given: Any) -> int | None:
    version = _whole(given)
    if given is not None and version is None:
        raise invalid("expected if_version to be the version of an entry")
    return version


def _text(name: str, given: Any) -> str:
    if given is not None and not isinstance(given, str):
        raise invalid(f"expected {name} to be a text")
    return given or ""


def _limit(given: Any) -> int:
    limit = DEFAULT_LIMIT if given is None else _whole(given)
    if limit is None or not 0 <= limit <= LARGEST_LIMIT:
        raise invalid(f"expected a limit of at most {LARGEST_LIMIT}")
    return limit or DEFAULT_LIMIT


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "open": open_store,
        "info": info,
        "get": get,
        "entry": entry,
        "has": has,
        "delete": delete,
        "set": set_,
        "put": put,
        "list": list_,
    }


MODULE = Module(name="store", functions=_functions, script="store.lua")
