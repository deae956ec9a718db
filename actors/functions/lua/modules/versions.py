"""The versions of a registry, and how scripts make the next one: half of the module `registry`.

Versions are numbers on their way through here, and operations plain data: `{kind, entry}`.
Knows: what a script may say of an entry. Must not know: what a change does to what runs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .....registry import (
    Change,
    ConfigurationError,
    Create,
    Delete,
    EntryID,
    History,
    NoriaError,
    Update,
    Version,
    VersionNotFound,
)
from .....security.errors import AccessDenied
from ....errors import ChangeInProgress, ChangeOutdated, ChangeWouldLose, FunctionBroken
from ..faults import CONFLICT, INTERNAL, NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE, LuaError, invalid
from .access import current_runtime

if TYPE_CHECKING:
    from ....runtime import Runtime

#: Seconds that a script waits for what it has changed to run, as in Wippy.
PATIENCE: Final = 30.0

FIELDS: Final = frozenset({"id", "kind", "meta", "data"})

Operation = Mapping[str, Any]
Result = TypeVar("Result")


def _runtime() -> "Runtime":
    runtime = current_runtime()
    if runtime is None:
        raise LuaError("no registry in context", kind=INTERNAL, retryable=False)
    return runtime


def history() -> History:
    """That of the runtime of the call that is running."""
    return _runtime().history


def found(number: int) -> Version:
    """A version that there is."""
    try:
        return history()[number]
    except VersionNotFound as error:
        raise LuaError(str(error), kind=NOT_FOUND, retryable=False) from error


# ---- versions --------------------------------------------------------------------------------------------


def version(number: Any = None) -> int:
    """The version of this number; none is the one that holds."""
    if number is None:
        return history().current.number
    if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
        raise invalid("expected the number of a version, from 0")
    if not math.isfinite(number) or int(number) != number:
        raise LuaError(f"version not found: {number:g}", kind=NOT_FOUND, retryable=False)
    return found(int(number)).number


def versions() -> list[int]:
    """Those that are kept."""
    return [each.number for each in history().versions]


def snapshot_at(number: Any = None) -> int:
    """As `version`; Wippy's numbers of snapshots begin at 1."""
    if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
        raise invalid("expected the number of a version, above 0")
    return version(number)


def previous(number: int) -> int | None:
    """The version that this one came from, as long as it is kept."""
    parent = found(number).parent
    return parent if parent in versions() else None


def following(number: int) -> int | None:
    """The latest version that came from this one."""
    return max((each.number for each in history().versions if each.parent == number), default=None)


# ---- changes ---------------------------------------------------------------------------------------------


def operation(kind: str, given: Any = None) -> Operation:
    """What a script wants of an entry, in the form that `changes:ops()` shows."""
    if kind == "delete":
        return {"kind": "entry.delete", "entry": {"id": _id(given)}}
    if not isinstance(given, dict):
        raise invalid("expected an entry: a table with id, kind, meta and data")
    for name in given:
        if name not in FIELDS:
            raise invalid(f"{name}: an entry has id, kind, meta and data; its own fields belong into data")
    if not isinstance(given.get("kind", "" if kind == "update" else None), str):
        raise invalid("kind: expected text")
    entry = {"id": _id(given.get("id")), "meta": _fields(given, "meta"), "data": _fields(given, "data")}
    return {"kind": f"entry.{kind}", "entry": {**entry, "kind": given["kind"]} if "kind" in given else entry}


def _id(given: Any) -> str:
    if isinstance(given, dict) and given.keys() == {"ns", "name"}:
        given = f"{given['ns']}:{given['name']}"
    if not isinstance(given, str):
        raise invalid("expected the ID of an entry: namespace:name, or {ns, name}")
    try:
        return str(EntryID.parse(given))
    except NoriaError as error:
        raise invalid(str(error)) from error


def _fields(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = _spoken(entry.get(name))
    if value is not None and not isinstance(value, dict):
        raise invalid(f"{name}: expected a table of named fields")
    return value or {}


def _spoken(value: Any) -> Any:
    """Without named fields that are empty tables: nobody can know whether a list or a mapping is meant."""
    if isinstance(value, dict):
        kept = {name: _spoken(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ([], {})}
    return [_spoken(inner) for inner in value] if isinstance(value, list) else value


def apply(base: int, operations: Sequence[Operation]) -> int:
    """Make the next version of the one that a script has seen; its number."""
    if not operations:
        raise invalid("no changes")
    runtime = _runtime()
    return _told(lambda: runtime.apply(map(_change, operations), PATIENCE, since=base).number)


def _change(wanted: Operation) -> Change:
    entry = wanted["entry"]
    match wanted["kind"]:
        case "entry.create":
            return Create(entry["id"], entry["kind"], entry["data"], entry["meta"])
        case "entry.update":
            return Update(entry["id"], entry["data"], entry["meta"], kind=entry.get("kind"))
        case _:
            return Delete(entry["id"])


def apply_version(number: int) -> bool:
    """Go to a version."""
    runtime = _runtime()
    return _told(lambda: runtime.apply_version(number, PATIENCE)) is not None


def _told(change: Callable[[], Result]) -> Result:
    """What came of a change; what went wrong, by the kinds of errors that scripts know."""
    try:
        return change()
    except AccessDenied as error:
        raise LuaError(f"not allowed: {error.action}", kind=PERMISSION_DENIED, retryable=False) from error
    except VersionNotFound as error:
        raise LuaError(str(error), kind=NOT_FOUND, retryable=False) from error
    except (ConfigurationError, FunctionBroken) as error:
        raise invalid(str(error)) from error
    except (ChangeOutdated, ChangeWouldLose) as error:
        raise LuaError(str(error), kind=CONFLICT, retryable=False) from error
    except ChangeInProgress as error:
        raise LuaError(str(error), kind=UNAVAILABLE, retryable=True) from error
    except NoriaError as error:
        raise LuaError(str(error), kind=INTERNAL, retryable=False) from error


def delta(before: Any = None, after: Any = None) -> list[Operation]:
    """The operations that lead from some entries to others, deletions first."""
    was, is_ = _by_id(before), _by_id(after)
    changes = [operation("delete", id_) for id_, entry in was.items() if _is_gone(entry, is_.get(id_))]
    for id_, entry in is_.items():
        there = was.get(id_)
        if there is None or there.get("kind") != entry.get("kind"):
            changes.append(operation("create", entry))
        elif there != entry:
            changes.append(operation("update", entry))
    return changes


def _is_gone(entry: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
    return after is None or after.get("kind") != entry.get("kind")


def _by_id(entries: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(entries, list):
        raise invalid("expected a snapshot, a version or a list of entries")
    listed = [operation("create", entry)["entry"] for entry in entries]
    return {entry["id"]: entry for entry in sorted(listed, key=lambda entry: str(entry["id"]))}


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "version": version,
    "versions": versions,
    "snapshot_at": snapshot_at,
    "previous": previous,
    "following": following,
    "operation": operation,
    "copy": lambda operations: operations,
    "apply": apply,
    "apply_version": apply_version,
    "delta": delta,
}
