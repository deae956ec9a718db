"""Kinds: the table from the name of a kind to the class of its configuration.

Knows: names, classes, entry points. Does not know: any particular kind; nothing registers on import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import PluginFailed

if TYPE_CHECKING:
    from .entry import Entry
    from .registry import Registry

#: What a check yields: the path of a field ("lifecycle.security.groups[0]", or its steps) and a message.
Complaint = tuple["str | Iterable[str | int]", str]

ENTRY_POINTS: Final = "noria.kinds"


def _is_attrs_class(_instance: Any, _attribute: Any, value: Any) -> None:
    if not isinstance(value, type) or not attrs.has(value):
        raise TypeError(f"the config of a kind is an attrs class, not {value!r}")


@attrs.frozen
class Kind:
    """A kind of entry.

    Args:
        name: as in `kind: queue.consumer`.
        config: the attrs class that an entry's fields become. Unknown keys are errors; fields without
            default are required. A validator's ValueError becomes the message at the field's place.
        check: what only the whole registry can tell. Called with an entry whose fields and references
            are known to be good, as are all entries that it needs, and with the registry of all such
            entries; yields the path of a field and a message for each thing that is wrong. Broken entries
            are not in that registry: before it says that something does not exist, the check asks
            `registry.is_complete("its.kind")`. What it raises while entries are lacking is not told.
            Messages need not (and where a value may come from `${env:…}` must not) repeat values: noria
            shows the place.
    """

    name: str
    config: type[Any] = attrs.field(validator=_is_attrs_class)
    check: Callable[[Entry, Registry], Iterable[Complaint]] | None = None


class Kinds:
    """The kinds that a registry may hold. Not thread-safe while it is being filled."""

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self._table: dict[str, Kind] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: Kind) -> None:
        """Add a kind. Raises ValueError when the name is taken."""
        if kind.name in self._table:
            raise ValueError(f"the kind {kind.name} is already registered")
        self._table[kind.name] = kind

    def get(self, name: str) -> Kind | None:
        """The kind of that name, or None."""
        return self._table.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._table))

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[Kind]:
        return iter([self._table[name] for name in self.names])

    def __len__(self) -> int:
        return len(self._table)

    def with_plugins(self) -> Kinds:
        """A new table: these kinds and those that installed packages add.

        A package adds kinds with an entry point of the group `noria.kinds` that names a Kind or an
        iterable of Kinds. Raises PluginFailed, naming the entry point, when it cannot be imported,
        is something else, or takes a name that is already taken.
        """
        extended = Kinds(self)
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)):
            try:
                loaded = point.load()
                for kind in [loaded] if isinstance(loaded, Kind) else loaded:
                    extended.register(_a_kind(kind))
            except Exception as error:
                raise PluginFailed(
                    f"the entry point {point.name} = {point.value} of {ENTRY_POINTS} cannot be used: {error}"
                ) from error
        return extended


def _a_kind(candidate: Any) -> Kind:
    if not isinstance(candidate, Kind):
        raise TypeError(f"{candidate!r} is no Kind")
    return candidate
