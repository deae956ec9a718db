"""Raw entries: what a definition file declares, before anybody knows what it means.

Knows: the shapes a definition file may have (spec, registry 1.2). Does not know: kinds, fields, files on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from .decode import found
from .errors import InvalidID
from .ids import NAMESPACE_RULE, EntryID
from .node import Node
from .problem import Problem, Source
from .wording import did_you_mean, one_of, quote

#: What makes a YAML or JSON file a definition file.
MARKS: Final = frozenset({"namespace", "entries"})

_OF_FILE: Final = ("version", "namespace", "meta", "entries")
_NOT_DATA: Final = frozenset({"name", "kind", "meta"})
_NOT_SINGLE_DATA: Final = _NOT_DATA | {"version", "namespace", "entries", "requirements"}


@attrs.define(eq=False)
class RawEntry:
    """An entry as nodes. Overrides change it in place."""

    id: EntryID
    kind: Node
    meta: Node
    data: Node
    source: Source
    name: Node


@attrs.define
class FileReader:
    """Takes a definition file apart. One for each file."""

    problems: list[Problem] = attrs.field(factory=list)

    def entries(self, root: Node) -> list[RawEntry]:
        """The entries of a file; what is wrong with it is in `problems`."""
        top: dict[str, Node] = root.value
        namespace = self._namespace(root, top)
        meta = self._mapping("meta", top.get("meta"), root)
        version = top.get("version")
        if version is not None and isinstance(version.value, dict | list):
            self._say(version, f"version: expected text or a number, found {found(version)}")
        single = "name" in top and "kind" in top
        if single and "entries" in top:
            at = top["entries"].key or root.source
            self._say_at(at, "either `entries`, or one entry's `name` and `kind`; found both")
            return []
        if single:
            entry = self._entry(root, namespace, meta, _NOT_SINGLE_DATA, is_single=True)
            return [entry] if entry else []
        if "entries" in top or not {"name", "kind"} & top.keys():
            self._known_keys(top)
        return self._list(root, top, namespace, meta)

    def _list(self, root: Node, top: dict[str, Node], namespace: str | None, meta: Node) -> list[RawEntry]:
        listed = top.get("entries")
        if listed is None:
            self._say_no_entries(root, top)
            return []
        if listed.value is None:
            return []
        if not isinstance(listed.value, list):
            self._say(listed, f"entries: expected a list, found {found(listed)}")
            return []
        made = (self._entry(item, namespace, meta, _NOT_DATA) for item in listed.value)
        return [entry for entry in made if entry is not None]

    def _say_no_entries(self, root: Node, top: dict[str, Node]) -> None:
        found_one = {"name", "kind"} & top.keys()
        if found_one:
            missing = "kind" if "name" in found_one else "name"
            self._say(root, f"one entry by itself needs `name` and `kind`; `{missing}` is missing")
        elif not any(self._typos(top).values()):
            self._say(root, "a definition file needs `entries`, or one entry's `name` and `kind`")

    def _entry(
        self,
        node: Node,
        namespace: str | None,
        file_meta: Node,
        apart: Iterable[str],
        *,
        is_single: bool = False,
    ) -> RawEntry | None:
        if not isinstance(node.value, dict):
            self._say(node, f"an entry is a mapping with `name` and `kind`, found {found(node)}")
            return None
        fields: dict[str, Node] = node.value
        own_meta = file_meta if is_single else self._mapping("meta", fields.get("meta"), node)
        name = self._required(node, fields, "name")
        identity = self._id(namespace, name)
        kind = self._required(node, fields, "kind", identity)
        data = self._data(node, fields, apart, identity)
        if identity is None or kind is None or name is None:
            return None
        meta = attrs.evolve(own_meta, value={**file_meta.value, **own_meta.value})
        return RawEntry(identity, kind, meta, data, node.source, name)

    def _namespace(self, root: Node, top: dict[str, Node]) -> str | None:
        node = top.get("namespace")
        if node is None or node.value is None:
            self._say(node or root, "a definition file needs a `namespace`")
            return None
        if not isinstance(node.value, str):
            self._say(node, f"namespace: expected text, found {found(node)}")
            return None
        try:
            return EntryID(node.value, "any").namespace
        except InvalidID:
            self._say(node, f"namespace: expected {NAMESPACE_RULE}, found {found(node)}")
            return None

    def _id(self, namespace: str | None, name: Node | None) -> EntryID | None:
        if namespace is None or name is None:
            return None
        try:
            return EntryID(namespace, name.value)
        except InvalidID as error:
            self._say(name, f"name: {error}")
            return None

    def _required(
        self, node: Node, fields: dict[str, Node], field: str, entry: EntryID | None = None
    ) -> Node | None:
        value = fields.get(field)
        if value is None:
            likely = [name for name in fields if did_you_mean(name, [field])]
            hint = f"; did you mean `{field}` by {quote(likely[0])}?" if likely else ""
            self._say(node, f"an entry needs a `{field}`{hint}", entry)
            return None
        if not isinstance(value.value, str) or not value.value.strip():
            number = isinstance(value.value, int | float) and value.text
            hint = f"; put it in quotes: {quote(value.text or '')}" if number else ""
            self._say(value, f"{field}: expected text, found {found(value)}{hint}", entry)
            return None
        return value

    def _data(self, node: Node, fields: dict[str, Node], apart: Iterable[str], entry: EntryID | None) -> Node:
        rest = {name: value for name, value in fields.items() if name not in apart}
        data = rest.get("data")
        if data is None:
            return attrs.evolve(node, value=rest, key=None)
        for name, value in rest.items():
            if value is not data:
                text = f"{name}: `data` holds the fields of this entry, so they all belong inside it"
                self._say_at(value.key or value.source, text, entry)
        return self._mapping("data", data, node, entry)

    def _mapping(self, field: str, node: Node | None, parent: Node, entry: EntryID | None = None) -> Node:
        if node is not None and isinstance(node.value, dict):
            return node
        if node is not None and node.value is not None:
            self._say(node, f"{field}: expected a mapping, found {found(node)}", entry)
        return attrs.evolve(node or parent, value={}, text=None)

    def _known_keys(self, top: dict[str, Node]) -> None:
        for name, hint in self._typos(top).items():
            text = hint or f"; a definition file has {one_of(_OF_FILE).replace(' or ', ' and ')}"
            self._say_at(top[name].key or top[name].source, f"{name}: unknown field{text}")

    @staticmethod
    def _typos(top: dict[str, Node]) -> dict[str, str]:
        # `x-…` is where people keep what only their anchors need; `requirements` is Wippy's.
        unknown = [
            name
            for name in top
            if name not in {*_OF_FILE, "name", "kind", "requirements"} and name[:2] != "x-"
        ]
        return {name: did_you_mean(name, [each for each in _OF_FILE if each not in top]) for name in unknown}

    def _say(self, node: Node, text: str, entry: EntryID | None = None) -> None:
        self._say_at(node.source, text, entry)

    def _say_at(self, source: Source, text: str, entry: EntryID | None = None) -> None:
        self.problems.append(Problem.at(source, text, entry=entry))
