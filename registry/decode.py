"""From nodes as written to values as meant: placeholders and `file://` resolved.

Knows: nodes, placeholders, files. Does not know: the fields that the values are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from .files import PREFIX, NoSuchText, read
from .node import Node
from .placeholders import EnvText, LooseText, Unset, coerce, masked, resolve, variables
from .problem import FieldPath
from .wording import describe, quote


class _Unresolved:
    """Stands where a value could not be resolved; that is already reported."""

    def __repr__(self) -> str:
        return "<unresolved>"


UNRESOLVED: Final = _Unresolved()

#: Where, and what is wrong there.
Complaint = tuple[FieldPath, str]


@attrs.frozen
class Decoder:
    """Resolves the nodes of one application."""

    root: Path
    environ: Mapping[str, str]

    def decode(self, node: Node) -> tuple[Any, tuple[Complaint, ...]]:
        """The value of a node, dicts and lists all the way down, and what could not be resolved."""
        complaints: list[Complaint] = []
        return self._value(node, (), complaints), tuple(complaints)

    def _value(self, node: Node, path: FieldPath, complaints: list[Complaint]) -> Any:
        if isinstance(node.value, dict):
            return {name: self._value(item, (*path, name), complaints) for name, item in node.value.items()}
        if isinstance(node.value, list):
            return [self._value(item, (*path, index), complaints) for index, item in enumerate(node.value)]
        if not node.loose and not isinstance(node.value, str):
            return node.value
        try:
            return self._text(node)
        except (Unset, NoSuchText) as error:
            complaints.append((path, str(error)))
            return UNRESOLVED

    def _text(self, node: Node) -> str:
        text = node.text if node.text is not None else str(node.value)
        if text.startswith(PREFIX):
            # As it is written: what an environment variable holds must not choose which file is read.
            if variables(text):
                raise NoSuchText("a file:// value cannot hold ${env:…}")
            return read(text, base=node.base, root=self.root)
        resolved = resolve(text, self.environ)
        if node.loose and not isinstance(resolved, EnvText):
            return LooseText(resolved, coerce(resolved))
        return resolved


def found(node: Node) -> str:
    """What stands at a node, as a message says it; never what a placeholder became."""
    text = node.text if isinstance(node.value, str) or node.loose else None
    if text is not None and text.startswith(PREFIX):
        return f"the content of {quote(text)}"
    if is_secret(node):
        return masked(text or "")
    if node.loose:
        return describe(text)
    if node.text is not None and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.text
    return describe(node.value)


def is_secret(node: Node) -> bool:
    """Whether the node's own text has a placeholder."""
    is_text = node.loose or isinstance(node.value, str)
    return is_text and node.text is not None and bool(variables(node.text))


def secrets(value: Any) -> Iterator[EnvText]:
    """Every text inside a decoded value that holds the content of variables, the longest first."""
    texts: list[EnvText] = []
    pending = [value]
    while pending:
        match pending.pop():
            case EnvText() as text:
                texts.append(text)
            case Mapping() as inner:
                pending.extend(inner.values())
            case list() as inner:
                pending.extend(inner)
    return iter(sorted(texts, key=len, reverse=True))
