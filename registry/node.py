"""Node: a value of a definition file that remembers where it stands.

Knows: plain values, their place, their text as written. Does not know: YAML, entries, what a value means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from .problem import FieldPath, Source

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@attrs.frozen(eq=False)
class Node:
    """A scalar, a mapping of names to nodes, or a list of nodes, with its place.

    Attributes:
        value: None, bool, int, float, str, `dict[str, Node]` or `list[Node]`.
        source: where the value begins.
        key: where its name in the enclosing mapping begins, if it has one.
        text: a scalar as it was written, without quotes.
        base: the directory that a relative `file://` starts from.
        loose: it came as bare text (an override), so the field decides on its type.
    """

    value: Any
    source: Source
    key: Source | None = None
    text: str | None = None
    base: Path = Path()
    loose: bool = False

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """Name or index and node of everything directly inside."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def plain(self) -> Any:
        """The value without its places: a fresh copy, dicts and lists all the way down."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def find(self, path: FieldPath) -> Node | None:
        """The node at `path` below this one, or None."""
        node: Node | None = self
        for step in path:
            node = dict(node.children()).get(step) if node is not None else None
        return node

    def closest(self, path: FieldPath) -> Node:
        """The node at `path`, or else the deepest one on the way there."""
        node = self
        for step in path:
            inner = dict(node.children()).get(step)
            if inner is None:
                return node
            node = inner
        return node


def field_path(path: str | Iterable[str | int]) -> FieldPath:
    """`"lifecycle.requires[0]"` or its steps, as steps."""
    if not isinstance(path, str):
        return tuple(path)
    return tuple(int(index) if index else name for index, name in _STEP.findall(path))
