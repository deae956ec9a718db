"""Overrides: `namespace:entry:field=value`, which replace what definition files say (spec, registry 1.8).

Knows: their syntax, and how a path reaches into an entry. Does not know: kinds, which fields exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from .errors import InvalidID
from .ids import EntryID
from .node import Node
from .placeholders import coerce
from .problem import OVERRIDE, Problem, Source
from .raw import RawEntry
from .wording import did_you_mean_id, quote

FORM = "namespace:entry:field=value"


@attrs.frozen
class Override:
    """One override. Its place is `<override>:number:column`, counted from 1."""

    id: EntryID
    path: tuple[str, ...]
    node: Node
    source: Source


def apply(texts: Iterable[str], entries: Sequence[RawEntry], root: Path) -> tuple[Problem, ...]:
    """Change the entries; of two overrides of one field the later wins. Returns what is wrong with them."""
    table = {entry.id: entry for entry in entries}
    problems: list[Problem] = []
    for number, text in enumerate(texts, 1):
        override = _parse(text, number, root)
        if isinstance(override, Problem):
            problems.append(override)
        elif override.id not in table:
            hint = did_you_mean_id(str(override.id), map(str, table))
            problems.append(Problem.at(override.source, f"there is no entry {quote(str(override.id))}{hint}"))
        else:
            _change(table[override.id], override)
    return tuple(problems)


def _parse(text: str, number: int, root: Path) -> Override | Problem:
    # Only what stands before the `=` may be shown: behind it may be a secret.
    target, equals, value = text.partition("=")
    namespace, _, rest = target.partition(":")
    name, _, path = rest.partition(":")
    source = Source(OVERRIDE, number, 1)
    steps = tuple(path.removeprefix(".").split("."))
    if not (equals and namespace and name and all(steps)):
        return Problem.at(source, f"expected {FORM}, found {quote(target)}{'=…' if equals else ''}")
    try:
        identity = EntryID(namespace, name)
    except InvalidID as error:
        return Problem.at(source, str(error))
    at_value = Source(OVERRIDE, number, len(target) + 2)
    key = Source(OVERRIDE, number, len(namespace) + len(name) + 3)
    node = Node(coerce(value), at_value, key, text=value, base=root, loose=True)
    return Override(identity, steps, node, source)


def _change(entry: RawEntry, override: Override) -> None:
    match override.path:
        case ("kind",):
            entry.kind = attrs.evolve(override.node, value=override.node.text, loose=False)
        case ("meta", *rest) if rest:
            entry.meta = _with(entry.meta, rest, override.node)
        case ("data", *rest) if rest:
            entry.data = _with(entry.data, rest, override.node)
        case path:
            entry.data = _with(entry.data, path, override.node)


def _with(node: Node, path: Sequence[str], value: Node) -> Node:
    """A copy of the mapping with a value at a path; what is no mapping on the way there is replaced."""
    first, *rest = path
    inside: Mapping[str, Node] = node.value if isinstance(node.value, dict) else {}
    if rest:
        empty = attrs.evolve(value, value={}, text=None, loose=False)
        value = _with(inside.get(first, empty), rest, value)
    changed = node if isinstance(node.value, dict) else attrs.evolve(node, source=value.source, text=None)
    return attrs.evolve(changed, value={**inside, first: value}, loose=False)
