"""Entry: one declaration of the registry.

Knows: what every entry has, whatever its kind. Does not know: any kind, how entries are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from .ids import EntryID
from .node import Node, field_path
from .problem import Problem, Source

_OWN: Final = (("name",), ("kind",), ("meta",))


@attrs.frozen(kw_only=True)
class Skipped:
    """An entry that was left out because its kind is unknown and that was allowed."""

    id: EntryID
    kind: str
    source: Source


@attrs.frozen(kw_only=True)
class Entry:
    """One declaration: `namespace:name`, of a kind.

    Attributes:
        id: unique in its registry.
        kind: as in `kind: queue.queue`.
        meta: free-form; the file's `meta` under the entry's own. Raw.
        data: all other fields as they are written: `${env:…}` and `file://…` are not resolved here, so
            that showing an entry shows no secret. Not to be changed.
        config: an instance of the kind's class, with everything resolved. May hold secrets: it is not
            part of `repr()`.
        source: where the entry begins.
        dependencies: every entry this one refers to, then `meta.depends_on`; each once, itself never.
    """

    id: EntryID
    kind: str
    meta: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    data: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    config: Any = attrs.field(default=None, repr=False, hash=False)
    source: Source = attrs.field(hash=False)
    dependencies: tuple[EntryID, ...] = attrs.field(default=(), hash=False)
    _nodes: Node | None = attrs.field(default=None, repr=False, eq=False)

    def problem(self, path: str | Iterable[str | int], text: str) -> Problem:
        """A problem of this entry, at the place of a field: for what is only found out later.

        `path` is `"lifecycle.requires[0]"` or its steps; `"meta.team"` is a field of `meta`. The place
        is that of the field, or of what encloses it when the field itself is not written.
        """
        steps = field_path(path)
        return Problem.at(self.place(steps), text, entry=self.id, path=steps)

    def place(self, path: str | Iterable[str | int]) -> Source:
        """Where a field stands, or what encloses it when it is not written."""
        steps = field_path(path)
        if self._nodes is None:
            return self.source
        fields = self._nodes.find(("data", *steps[:1]))
        steps = steps if fields is None and steps[:1] in _OWN else ("data", *steps)
        at = self._nodes.find(steps)
        if at is not None:
            return at.source
        around = self._nodes.closest(steps)
        return self.source if around.key is None else around.key
