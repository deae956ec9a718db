"""The tree of an expression. Every node knows where it stands.

Knows: shapes. Does not know what anything means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Node:
    """A piece of an expression; `at` is its place in the source, in characters from 0."""

    at: int

    def children(self) -> Iterator[Node]:
        """The nodes directly below."""
        for attribute in self.__attrs_attrs__:
            value = getattr(self, attribute.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Node):
                    yield item


@attrs.frozen(kw_only=True)
class Literal(Node):
    """A number, a text, true, false or nil."""

    value: Any


@attrs.frozen(kw_only=True)
class Name(Node):
    """A variable: actor, action, resource, meta."""

    name: str


@attrs.frozen(kw_only=True)
class Item(Node):
    """`#`: the element that the innermost predicate looks at."""


@attrs.frozen(kw_only=True)
class Member(Node):
    """`target.key`, `target[key]`, and their `?.` forms."""

    target: Node
    key: Node
    optional: bool


@attrs.frozen(kw_only=True)
class Slice(Node):
    """`target[low:high]`."""

    target: Node
    low: Node | None
    high: Node | None


@attrs.frozen(kw_only=True)
class Chain(Node):
    """Where a chain of members that contains `?.` ends, and an absent one becomes nil."""

    target: Node


@attrs.frozen(kw_only=True)
class Unary(Node):
    """`!`, `-`, `+`."""

    sign: str
    operand: Node


@attrs.frozen(kw_only=True)
class Binary(Node):
    """An operator between two operands, `&&` and `||` excepted."""

    sign: str
    left: Node
    right: Node


@attrs.frozen(kw_only=True)
class Logical(Node):
    """`a && b && c` or `a || b || c`; flat, so that a long list of alternatives is not a deep tree."""

    sign: str
    operands: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class Conditional(Node):
    """`test ? yes : no`; `test ?: no` has no `yes` and answers with the test itself."""

    test: Node
    yes: Node | None
    no: Node


@attrs.frozen(kw_only=True)
class Array(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class Map(Node):
    """`{key: value}`; keys and values alternate."""

    keys: tuple[Node, ...]
    values: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class Call(Node):
    """A call of a built-in function."""

    name: str
    arguments: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class Predicate(Node):
    """The body that `any`, `filter`, `map` and the like evaluate for every element."""

    body: Node


def measure(root: Node) -> tuple[int, int]:
    """How many nodes a tree has and how deep it is. Does not recurse: the tree may be too deep for that."""
    nodes = deepest = 0
    pending = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        nodes, deepest = nodes + 1, max(deepest, depth)
        pending.extend((child, depth + 1) for child in node.children())
    return nodes, deepest
