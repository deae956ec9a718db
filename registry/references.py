"""Who refers to whom: links of a config, whether they hold, and the dependencies they make.

Knows: entries as loaded, their kinds by name. Does not know: config classes, how links are written in YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from .errors import InvalidID
from .fields import REFERENCE, Reference
from .ids import EntryID
from .node import Node
from .problem import FieldPath
from .refusal import Refusal
from .wording import did_you_mean, did_you_mean_id, quote

_FORMS: Final = frozenset({"group", "ns"})


@attrs.frozen
class Link:
    """A place in an entry that names other entries: one, or a group of them.

    `refusal` says why the link does not hold; then `targets` may be empty.
    """

    path: FieldPath
    targets: tuple[EntryID, ...]
    refusal: Refusal | None = None
    in_meta: bool = False

    def of_meta(self) -> Link:
        """The same link, seen from the entry that the `meta` belongs to."""
        refusal = None if self.refusal is None else self.refusal.below("meta")
        return Link(("meta", *self.path), self.targets, refusal, in_meta=True)


@attrs.frozen
class Known:
    """What an application declares, as far as a reference must know it.

    Attributes:
        kinds: the name of the kind of every entry, also of those that are wrong otherwise.
        unknown: the entries whose kind nobody knows; when they were left out, `skipped` is true.
        groups: the members of every group that `meta.groups` names.
    """

    kinds: Mapping[EntryID, str]
    unknown: frozenset[EntryID]
    skipped: bool
    groups: Mapping[str, tuple[EntryID, ...]]
    #: One renamed entry breaks many references; the nearest ID is looked for once.
    _hints: dict[tuple[EntryID, Reference], str] = attrs.field(factory=dict, eq=False, repr=False)

    def in_namespace(self, namespace: str) -> tuple[EntryID, ...]:
        """The entries of a namespace."""
        return tuple(each for each in self.kinds if each.namespace == namespace)

    def hint(self, target: EntryID, rule: Reference) -> str:
        """What was probably meant: an entry of a fitting kind, or else of any kind."""
        if (target, rule) not in self._hints:
            fitting = [str(each) for each, kind in self.kinds.items() if rule.accepts(kind)]
            self._hints[target, rule] = did_you_mean_id(str(target), fitting) or did_you_mean_id(
                str(target), map(str, self.kinds)
            )
        return self._hints[target, rule]

    def runs(self, each: EntryID) -> bool:
        """Whether the entry is part of the registry."""
        return not (self.skipped and each in self.unknown)


def links(seen: Iterable[tuple[FieldPath, Any, Reference]], known: Known) -> Iterator[Link]:
    """A link for every EntryID among the values of `reference` fields."""
    for path, value, rule in seen:
        for at, target in _leaves(value, path):
            if isinstance(target, EntryID):
                yield Link(at, (target,), _refusal(at, target, rule, known))


def references_of(config: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any, Reference]]:
    """The values of all `reference` fields, defaults included, however deep; in the order of the fields."""
    for field in attrs.fields(type(config)):
        value, here = getattr(config, field.name), (*path, field.alias)
        if REFERENCE in field.metadata:
            yield here, value, field.metadata[REFERENCE]
            continue
        for at, leaf in _leaves(value, here):
            if attrs.has(type(leaf)) and not isinstance(leaf, EntryID):
                yield from references_of(leaf, at)


def _leaves(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, value


def _refusal(path: FieldPath, target: EntryID, rule: Reference, known: Known) -> Refusal | None:
    kind = known.kinds.get(target)
    if kind is None:
        return missing(path, target, rule, known)
    if not known.runs(target):
        text = f"{quote(str(target))} was left out, because noria does not know its kind {kind}"
        return Refusal(path, text=text, foreign=True, instead="names an entry that was left out")
    if target in known.unknown or rule.accepts(kind):
        return None
    fitting = (str(each) for each, its in known.kinds.items() if rule.accepts(its))
    text = f"expected {rule.wanted}, found {quote(str(target))}, which is a {kind}"
    text += did_you_mean_id(str(target), fitting)
    return Refusal(path, text=text, foreign=True, instead=f"expected {rule.wanted}, found a {kind}")


def missing(path: FieldPath, target: EntryID, rule: Reference, known: Known) -> Refusal:
    """There is no such entry; the nearest of a fitting kind, or else of any kind, is named."""
    if target.namespace in _FORMS:
        hint = f"; the form `{target.namespace}:` is for meta.depends_on"
    else:
        hint = known.hint(target, rule)
    text = f"there is no entry {quote(str(target))}{hint}"
    return Refusal(path, text=text, foreign=True, instead="names no entry")


def links_of_meta(meta: Node, owner: EntryID, known: Known) -> Iterator[Link]:
    """The links of `meta.depends_on`: IDs, `group:name` and `ns:namespace` (spec, registry 4)."""
    node = meta.find(("depends_on",))
    if node is None or node.value is None:
        return
    items = list(node.children()) if isinstance(node.value, list) else [(None, node)]
    for step, item in items:
        path: FieldPath = ("depends_on",) if step is None else ("depends_on", step)
        if isinstance(item.value, str):
            yield _meta_link(path, item.value, owner, known)
        else:
            yield Link(path, (), Refusal(path, expected='an entry ID, "group:name" or "ns:namespace"'))


def _meta_link(path: FieldPath, text: str, owner: EntryID, known: Known) -> Link:
    form, _, name = text.partition(":")
    if form in _FORMS:
        members = known.groups.get(name, ()) if form == "group" else known.in_namespace(name)
        if members:
            # Whoever is in the group itself means the others.
            return Link(path, tuple(each for each in members if known.runs(each) and each != owner))
        names: Iterable[str] = known.groups if form == "group" else {each.namespace for each in known.kinds}
        what = "no entry is in the group" if form == "group" else "no entry is in the namespace"
        return Link(path, (), Refusal(path, text=f"{what} {quote(name)}{did_you_mean(name, names)}"))
    try:
        target = EntryID.parse(text, owner.namespace)
    except InvalidID as error:
        return Link(path, (), Refusal(path, text=str(error)))
    if target not in known.kinds:
        return Link(path, (), missing(path, target, Reference(()), known))
    # What was left out on purpose cannot be waited for; the user was warned.
    return Link(path, (target,) if known.runs(target) else ())


def groups_of(metas: Iterable[tuple[EntryID, Node]]) -> dict[str, tuple[EntryID, ...]]:
    """Who is in which group, by `meta.groups` (a text or a list of texts)."""
    groups: dict[str, tuple[EntryID, ...]] = {}
    for owner, meta in metas:
        named = meta.plain().get("groups")
        for name in named if isinstance(named, list) else [named]:
            if isinstance(name, str):
                groups[name] = (*groups.get(name, ()), owner)
    return groups
