"""`registry`: what the application declares, as far as it may be seen.

The registry of a runtime does not change, so there is one version of it, and nothing to apply.
Knows: entries as they are written, never what `${env:…}` became. Must not know: configs, files.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .....registry import Entry, Registry
from .....security.errors import PolicyError
from .....security.patterns import compile_pattern
from .....security.regular import RegularExpression
from ..faults import INTERNAL, INVALID, NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE, LuaError
from .access import current_runtime, is_allowed
from .module import Module, Surroundings

#: The only version: what was loaded.
ONLY_VERSION: Final = 0

Predicate = Callable[[Entry], bool]

ROOTS: Final[Mapping[str, Callable[[Entry], str]]] = {
    ".id": lambda entry: str(entry.id),
    ".ns": lambda entry: entry.id.namespace,
    ".name": lambda entry: entry.id.name,
    ".kind": lambda entry: entry.kind,
}


def _invalid(text: str) -> LuaError:
    return LuaError(text, kind=INVALID, retryable=False)


def _registry() -> Registry:
    runtime = current_runtime()
    if runtime is None:
        raise LuaError("no registry in context", kind=INTERNAL, retryable=False)
    return runtime.registry


def _shown(entry: Entry) -> dict[str, Any]:
    return {"id": str(entry.id), "kind": entry.kind, "meta": entry.meta, "data": entry.data}


def _visible(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [_shown(entry) for entry in entries if is_allowed("registry.get", str(entry.id))]


# ---- entries ---------------------------------------------------------------------------------------------


def parse_id(text: Any = None) -> dict[str, str]:
    """The two parts of an ID; a bare name has an empty namespace."""
    if not isinstance(text, str) or not text:
        raise _invalid("entry ID required")
    namespace, colon, name = text.partition(":")
    return {"ns": namespace, "name": name} if colon else {"ns": "", "name": text}


def get(id_: Any = None) -> dict[str, Any]:
    """One entry."""
    if not isinstance(id_, str) or not id_:
        raise _invalid("entry ID required")
    if not is_allowed("registry.get", id_):
        raise LuaError(f"not allowed: {id_}", kind=PERMISSION_DENIED, retryable=False)
    found = _registry().get(id_)
    if found is None:
        raise LuaError(f"entry not found: {id_}", kind=NOT_FOUND, retryable=False)
    return _shown(found)


def entries() -> list[dict[str, Any]]:
    """Every entry that may be seen, in the order of IDs."""
    return _visible(_registry())


def namespace(name: Any = None) -> list[dict[str, Any]]:
    """Those of one namespace."""
    if not isinstance(name, str) or not name:
        raise _invalid("namespace required")
    return _visible(entry for entry in _registry() if entry.id.namespace == name)


def find(criteria: Any = None) -> list[dict[str, Any]]:
    """Those that fit all criteria."""
    if criteria is None or criteria == []:
        return entries()
    if not isinstance(criteria, dict):
        raise _invalid("expected a table of criteria")
    ours = [_predicate(key, value) for key, value in criteria.items() if _is_ours(key, value)]
    theirs = {str(key): value for key, value in criteria.items() if not _is_ours(key, value)}
    try:
        found = _registry().find(theirs)
        return _visible(entry for entry in found if all(fits(entry) for fits in ours))
    except (PolicyError, ValueError) as error:
        raise _invalid(str(error)) from error


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
        raise _invalid(f"{key}: {error}") from error
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


# ---- versions --------------------------------------------------------------------------------------------


def version(id_: Any = None) -> int:
    """The version of this number; none is the current one."""
    if isinstance(id_, bool) or not isinstance(id_, int | float | None) or (id_ or 0) < 0:
        raise _invalid("expected the number of a version, from 0")
    if id_ not in (None, ONLY_VERSION):
        raise LuaError(f"version not found: {id_:g}", kind=NOT_FOUND, retryable=False)
    return ONLY_VERSION


def snapshot_at(id_: Any = None) -> int:
    """As `version`; Wippy's numbers of snapshots begin at 1."""
    if isinstance(id_, bool) or not isinstance(id_, int | float) or id_ <= 0:
        raise _invalid("expected the number of a version, above 0")
    return version(id_)


def apply_version(id_: Any = None) -> bool:
    """Go to a version: there is only the one where everybody is."""
    if not is_allowed("registry.apply_version", ""):
        raise LuaError("not allowed: registry.apply_version", kind=PERMISSION_DENIED, retryable=False)
    version(id_)
    return True


def refuse_changes() -> None:
    """A running application is not changed by its functions."""
    raise LuaError(
        "the registry cannot be changed while the application runs: change its definition files, and start it again",
        kind=UNAVAILABLE,
        retryable=False,
    )


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "parse_id": parse_id,
        "get": get,
        "entries": entries,
        "namespace": namespace,
        "find": find,
        "version": version,
        "snapshot_at": snapshot_at,
        "apply_version": apply_version,
        "refuse_changes": refuse_changes,
    }


MODULE = Module(name="registry", functions=_functions, script="registry.lua")
