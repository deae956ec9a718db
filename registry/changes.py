"""Changes: what is to become of a registry, one entry at a time (spec, registry 5).

Knows: entries as plain data, and how they become nodes. Does not know: kinds, files, who wants the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from .composer import DEEPEST
from .ids import EntryID
from .node import Node
from .problem import FieldPath, Problem, Source
from .raw import RawEntry
from .wording import quote

if TYPE_CHECKING:
    from .entry import Entry
    from .registry import Registry

#: Stands for a file where an entry came from a change instead.
CHANGE: Final = Path("<change>")


def _entry_id(given: EntryID | str) -> EntryID:
    return given if isinstance(given, EntryID) else EntryID.parse(given)


@attrs.frozen
class Create:
    """Declare an entry that is not there yet.

    Args:
        id: `namespace:name`, or its text. Raises InvalidID for anything else.
        kind: as in `kind: queue.consumer`.
        data: its fields, as a definition file would have them: plain data, `${env:NAME}` included.
        meta: its `meta`.
    """

    id: EntryID = attrs.field(converter=_entry_id)
    kind: str = attrs.field(validator=attrs.validators.instance_of(str))
    data: Mapping[str, Any] = attrs.field(factory=dict)
    meta: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Update:
    """Declare an entry anew: `data` and `meta` take the place of what it had, as a whole.

    Its kind stays; `kind` may say which it is.
    """

    id: EntryID = attrs.field(converter=_entry_id)
    data: Mapping[str, Any] = attrs.field(factory=dict)
    meta: Mapping[str, Any] = attrs.field(factory=dict)
    kind: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Delete:
    """Take an entry out."""

    id: EntryID = attrs.field(converter=_entry_id)


Change = Create | Update | Delete


def differences(before: Registry, after: Registry) -> tuple[Change, ...]:
    """The changes that lead from one registry to another, by what their entries declare; deletions first."""
    changes: list[Change] = []
    for entry in before:
        there = after.get(entry.id)
        if there is None or there.kind != entry.kind:
            changes.append(Delete(entry.id))
    for entry in after:
        was = before.get(entry.id)
        if was is None or was.kind != entry.kind:
            changes.append(Create(entry.id, entry.kind, entry.data, entry.meta))
        elif (was.data, was.meta) != (entry.data, entry.meta):
            changes.append(Update(entry.id, entry.data, entry.meta))
    return tuple(changes)


def affected(before: Registry, after: Registry, also: Iterable[EntryID] = ()) -> frozenset[EntryID]:
    """What is not the same in both: entries that came, went or changed, and all that need them, directly or not.

    An entry has changed when it is of another kind, means something else or depends on others; where it stands in a
    file, and its `meta`, do not count. `also` are entries that count as changed.
    """
    waiting = [*changed(before, after), *also]
    reached: set[EntryID] = set()
    while waiting:
        target = waiting.pop()
        if target not in reached:
            reached.add(target)
            for registry in (before, after):
                if target in registry:
                    waiting.extend(registry.dependents(target))
    return frozenset(reached)


def changed(before: Registry, after: Registry) -> frozenset[EntryID]:
    """As `affected`, without those that only need what has changed."""
    ids = _ids(before) | _ids(after)
    return frozenset(id_ for id_ in ids if _has_changed(before.get(id_), after.get(id_)))


def _ids(registry: Registry) -> set[EntryID]:
    return {entry.id for entry in registry}


def _has_changed(was: Entry | None, is_: Entry | None) -> bool:
    if was is is_ or was is None or is_ is None:
        return was is not is_
    return (was.kind, was.config, was.dependencies) != (is_.kind, is_.config, is_.dependencies)


def place_of(number: int) -> Source:
    """Where a change stands: `<change>:2:1` is the second of its set."""
    return Source(CHANGE, number, 1)


class NotPlain(Exception):
    """A declaration that is no plain data, and where."""

    def __init__(self, change: Create | Update, number: int, path: FieldPath, text: str) -> None:
        super().__init__(text)
        self.problem = Problem.at(place_of(number), text, entry=change.id, path=path)


def raw_entry(change: Create | Update, kind: str, number: int, base: Path) -> RawEntry:
    """The entry that a change declares, as nodes.

    Args:
        change: what is declared.
        kind: of the entry.
        number: of the change in its set, from 1.
        base: where a relative `file://` starts.

    Raises:
        NotPlain: a value that no definition file could have.
    """
    source = place_of(number)

    def node(value: Any, path: FieldPath = ()) -> Node:
        if len(path) > DEEPEST:
            raise NotPlain(change, number, path[:1], f"nested more than {DEEPEST} levels deep")
        if value is None or isinstance(value, str | bool | int | float):
            return Node(value, source, text=value if isinstance(value, str) else None, base=base)
        if isinstance(value, list | tuple):
            return Node([node(item, (*path, index)) for index, item in enumerate(value)], source, base=base)
        if not isinstance(value, Mapping):
            raise NotPlain(change, number, path, f"expected plain data, found {type(value).__name__}")
        unnamed = next((name for name in value if not isinstance(name, str)), None)
        if unnamed is not None:
            raise NotPlain(change, number, path, f"a field's name is a text, found {quote(str(unnamed))}")
        return Node({name: node(item, (*path, name)) for name, item in value.items()}, source, base=base)

    def mapping(value: Any, path: FieldPath) -> Node:
        if not isinstance(value, Mapping):
            raise NotPlain(
                change, number, path, f"expected a mapping of fields, found {type(value).__name__}"
            )
        return node(value)

    return RawEntry(
        id=change.id,
        kind=node(kind),
        meta=mapping(change.meta, ("meta",)),
        data=mapping(change.data, ()),
        source=source,
        name=node(change.id.name),
    )
