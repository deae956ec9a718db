"""One definition file as a tree of nodes, every value and key with its line and column.

Knows: PyYAML's nodes: scalars, aliases, merge keys, duplicate keys. Does not know: what is in a file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import attrs
import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from .composer import DEEPEST, TAG, Unreadable, compose, mark
from .node import Node
from .problem import Problem, Source
from .wording import quote

_MERGE: Final = f"{TAG}merge"


@attrs.frozen
class Document:
    """A parsed file: its keys can be looked at before the rest of it must make sense."""

    file: Path
    roots: list[yaml.Node]
    size: int

    @classmethod
    def parse(cls, file: Path, content: bytes) -> Document:
        """Raises Unreadable when the content is no YAML (or JSON, by the file's suffix)."""
        return cls(file, compose(file, content), len(content))

    @property
    def keys(self) -> set[str]:
        """The keys at the top of the file; of a list or a text, none."""
        mappings = [root for root in self.roots if isinstance(root, MappingNode)]
        return {key.value for root in mappings for key, _ in root.value if isinstance(key, ScalarNode)}

    def tree(self) -> tuple[Node, tuple[Problem, ...]]:
        """The tree, and what is wrong inside it. Raises Unreadable when there is no one tree."""
        if len(self.roots) > 1:
            source = mark(self.file, self.roots[1].start_mark)
            raise Unreadable(source, "a second document begins here; a definition file holds one")
        if not self.roots:
            return Node({}, Source(self.file, 0, 0), base=self.file.parent), ()
        # A file may name a value many times through aliases, but not multiply itself without bound.
        builder = _Builder(self.file, budget=100_000 + 20 * self.size)
        return builder.node(self.roots[0], None, 0), tuple(builder.problems)


@attrs.define
class _Builder:
    file: Path
    budget: int
    problems: list[Problem] = attrs.field(factory=list)
    _open: set[int] = attrs.field(factory=set)

    def node(self, node: yaml.Node, key: Source | None, depth: int) -> Node:
        """The node and everything below it; a problem leaves nothing in its place."""
        source = mark(self.file, node.start_mark)
        self.budget -= 1
        if id(node) in self._open:
            return self._bad(source, key, "an alias that contains itself")
        if depth > DEEPEST:
            return self._bad(source, key, f"nested more than {DEEPEST} levels deep")
        if self.budget < 0:
            raise Unreadable(source, "too many values: aliases of aliases multiply")
        self._open.add(id(node))
        try:
            return self._of_type(node, source, key, depth)
        finally:
            self._open.discard(id(node))

    def _of_type(self, node: yaml.Node, source: Source, key: Source | None, depth: int) -> Node:
        base = self.file.parent
        if isinstance(node, MappingNode) and node.tag == f"{TAG}map":
            return Node(self._mapping(node, depth), source, key, base=base)
        if isinstance(node, SequenceNode) and node.tag == f"{TAG}seq":
            return Node([self.node(item, None, depth + 1) for item in node.value], source, key, base=base)
        if isinstance(node, ScalarNode) and node.tag.removeprefix(TAG) in _SCALARS:
            return self._scalar(node, source, key)
        return self._bad(source, key, f"the tag {node.tag.replace(TAG, '!!')} means nothing to noria")

    def _scalar(self, node: ScalarNode, source: Source, key: Source | None) -> Node:
        name = node.tag.removeprefix(TAG)
        try:
            value = _SCALARS[name](node.value)
        except ValueError:
            return self._bad(source, key, f"{quote(node.value)} cannot be read as {_NAMES[name]}")
        text = value if isinstance(value, str) else node.value
        return Node(value, source, key, text=text, base=self.file.parent)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        first: dict[str, Source] = {}
        for key_node, value_node in node.value:
            key = mark(self.file, key_node.start_mark)
            name = self._name(key_node, key)
            if name is None:
                continue
            if name in first:
                text = f"{quote(name)} is written twice here; first in line {first[name].line}"
                self._say(key, text)
                continue
            first[name] = key
            if key_node.tag == _MERGE:
                merged = self._merged(value_node, depth)
            else:
                own[name] = self.node(value_node, key, depth + 1)
        return merged | own

    def _merged(self, value: yaml.Node, depth: int) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        # Of several merged mappings the earlier one wins (YAML's merge key).
        for each in reversed(value.value if isinstance(value, SequenceNode) else [value]):
            source = mark(self.file, each.start_mark)
            if not isinstance(each, MappingNode):
                self._say(source, "`<<` merges a mapping or a list of mappings")
                continue
            merged |= self.node(each, None, depth + 1).value or {}
        return merged

    def _name(self, key: yaml.Node, source: Source) -> str | None:
        if isinstance(key, ScalarNode) and key.tag in {f"{TAG}str", _MERGE}:
            name = _joined(key.value)
            if name is not None:
                return name
        found = key.value if isinstance(key, ScalarNode) else "a list or mapping"
        hint = f'; put it in quotes: "{found}"' if isinstance(key, ScalarNode) and key.value else ""
        self._say(source, f"a key must be text, found {found or 'nothing'}{hint}")
        return None

    def _bad(self, source: Source, key: Source | None, text: str) -> Node:
        self._say(source, text)
        return Node(None, source, key, base=self.file.parent)

    def _say(self, source: Source, text: str) -> None:
        self.problems.append(Problem.at(source, text))


def _joined(text: str) -> str | None:
    """JSON writes characters beyond U+FFFF as two halves; None when a half stands alone."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _text(text: str) -> str:
    joined = _joined(text)
    if joined is None:
        raise ValueError(text)
    return joined


def _null(text: str) -> None:
    if text.lower() not in {"", "~", "null"}:
        raise ValueError(text)


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))


_SCALARS: Final[dict[str, Any]] = {
    "str": _text,
    "null": _null,
    "bool": _bool,
    "int": _integer,
    "float": _float,
    "merge": _text,
}

_NAMES: Final = {"null": "nothing", "bool": "true or false", "int": "an integer", "float": "a number"} | {
    "str": "text",
    "merge": "text",
}
