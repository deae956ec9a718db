"""`registry`: what the application declares, or declared in an earlier version, as far as it may be seen.

Knows: entries as they are written, never what `${env:…}` became. Must not know: configs, files, how versions are made
(versions.py).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .....registry import Entry, Registry
from .....security.errors import PolicyError
from .....security.patterns import compile_pattern
from .....security.regular import RegularExpression
from ..faults import NOT_FOUND, PERMISSION_DENIED, LuaError, invalid
from . import versions
from .access import is_allowed
from .module import Module, Surroundings

Predicate = Callable[[Entry], bool]

ROOTS: Final[Mapping[str, Callable[[Entry], str]]] = {
    ".id": lambda entry: str(entry.id),
    ".ns": lambda entry: entry.id.namespace,
    ".name": lambda entry: entry.id.name,
    ".kind": lambda entry: entry.kind,
}


def _registry(number: int | None) -> Registry:
    """That of a version; None: of the one that holds."""
    return versions.history().current.registry if number is None else versions.found(number).registry


def _shown(entry: Entry) -> dict[str, Any]:
    return {"id": str(entry.id), "kind": entry.kind, "meta": entry.meta, "data": entry.data}


def _visible(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [_shown(entry) for entry in entries if is_allowed("registry.get", str(entry.id))]


# ---- entries ---------------------------------------------------------------------------------------------


def parse_id(text: Any = None) -> dict[str, str]:
    """The two parts of an ID; a bare name has an empty namespace."""
    if not isinstance(text, str) or not text:
        raise invalid("entry ID required")
    namespace, colon, name = text.partition(":")
    return {"ns": namespace, "name": name} if colon else {"ns": "", "name": text}


def get(id_: Any = None, number: int | None = None) -> dict[str, Any]:
    """One entry."""
    if not isinstance(id_, str) or not id_:
        raise invalid("entry ID required")
    if not is_allowed("registry.get", id_):
        raise LuaError(f"not allowed: {id_}", kind=PERMISSION_DENIED, retryable=False)
    found = _registry(number).get(id_)
    if found is None:
        raise LuaError(f"entry not found: {id_}", kind=NOT_FOUND, retryable=False)
    return _shown(found)


def entries(number: int | None = None) -> list[dict[str, Any]]:
    """Every entry that may be seen, in the order of IDs."""
    return _visible(_registry(number))


def namespace(name: Any = None, number: int | None = None) -> list[dict[str, Any]]:
    """Those of one namespace."""
    if not isinstance(name, str) or not name:
        raise invalid("namespace required")
    return _visible(entry for entry in _registry(number) if entry.id.namespace == name)


def find(criteria: Any = None, number: int | None = None) -> list[dict[str, Any]]:
    """Those that fit all criteria."""
    if criteria is None or criteria == []:
        return entries(number)
    if not isinstance(criteria, dict):
        raise invalid("expected a table of criteria")
    ours = [_predicate(key, value) for key, value in criteria.items() if _is_ours(key, value)]
    theirs = {str(key): value for key, value in criteria.items() if not _is_ours(key, value)}
    try:
        found = _registry(number).find(theirs)
        return _visible(entry for entry in found if all(fits(entry) for fits in ours))
    except (PolicyError, ValueError) as error:
        raise invalid(str(error)) from error


# ---- patterns of scripts ---------------------------------------------------------------------------------


def _is_ours(key: Any, value: Any) -> bool:
    """Whether a criterion is a pattern. No limit of a script reaches into `re`: what can take for ever there stays here."""
    return isinstance(value, str) and (key in ROOTS or str(key).startswith("~meta."))


def _predicate(key: str, value: str) -> Predicate:
    if key in ROOTS:
        read, matches = ROOTS[key], compile_pattern(value)
        return lambda entry: matches(read(entry))
    try:
        expression = RegularExpression(value)
    except PolicyError as error:
        raise invalid(f"{key}: {error}") from error
    name = key.removeprefix("~meta.")
    return lambda entry: isinstance(found := _meta(entry, name), str) and expression.search(found)


def _meta(entry: Entry, name: str) -> Any:
    """The field of this name, else the one that it is a path to."""
    if name in entry.meta:
        return entry.meta[name]
    value: Any = entry.meta
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "parse_id": parse_id,
        "get": get,
        "entries": entries,
        "namespace": namespace,
        "find": find,
        **versions.FUNCTIONS,
    }


MODULE = Module(name="registry", functions=_functions, script="registry.lua")
