"""Loading: from raw entries to a registry, or to everything that is wrong with them.

Knows: the order of the steps, for a directory and for changes alike. Does not know: how any of them works.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

import attrs

from .changes import Change, Create, Delete, NotPlain, Update, place_of, raw_entry
from .decode import Decoder
from .entry import Entry, Skipped
from .errors import ConfigurationError
from .graph import cycles, levels
from .ids import EntryID
from .kinds import Kind, Kinds
from .node import Node
from .problem import Problem, in_order
from .raw import RawEntry
from .references import Known, Link, groups_of, links, links_of_meta, references_of
from .refusal import Refusal
from .registry import ANY_KIND, Registry
from .report import problem, scrubbed
from .structure import Seen, structure
from .wording import did_you_mean, did_you_mean_id, quote

Structured = TypeVar("Structured")


def structured(
    node: Node, cls: type[Structured], decoder: Decoder, problems: list[Problem], entry: EntryID | None = None
) -> tuple[Structured | None, Sequence[Seen]]:
    """The config that a node is, or None, and its references; what is wrong is added to `problems`."""
    decoded, complaints = decoder.decode(node)
    refusals = [Refusal(path, text=text) for path, text in complaints]
    config, refused, seen = structure(decoded, cls, None if entry is None else entry.namespace)
    refusals += refused
    problems += [problem(refusal, node, decoded, entry) for refusal in refusals]
    return config, seen


@attrs.define(eq=False)
class Draft:
    """An entry on its way into the registry."""

    raw: RawEntry
    kind: Kind | None = None
    config: Any = None
    seen: Sequence[Seen] = ()
    links: list[Link] = attrs.field(factory=list)
    made: Entry | None = None

    @property
    def nodes(self) -> Node:
        """All that is written of it, as one mapping."""
        raw = self.raw
        whole: dict[str, Node] = {"name": raw.name, "kind": raw.kind, "meta": raw.meta, "data": raw.data}
        return attrs.evolve(raw.data, value=whole, source=raw.source, key=None)

    @property
    def dependencies(self) -> tuple[EntryID, ...]:
        """Every entry that it refers to, each once."""
        targets = dict.fromkeys(target for link in self.links for target in link.targets)
        targets.pop(self.raw.id, None)  # an error, but told by itself: a knot shows only its shortest circle
        return tuple(targets)

    def where(self, link: Link) -> Node:
        """The node that the path of a link starts from."""
        return self.nodes if link.in_meta else self.raw.data

    def entry(self) -> Entry:
        """What it becomes once nothing is wrong with it; the same object as long as it is the same."""
        raw = self.raw
        if self.made is not None and self.made.dependencies == self.dependencies:
            return self.made
        self.made = Entry(
            id=raw.id,
            kind=raw.kind.value,
            meta=raw.meta.plain(),
            data=raw.data.plain(),
            config=self.config,
            source=raw.source,
            dependencies=self.dependencies,
            nodes=self.nodes,
        )
        return self.made


@attrs.define(eq=False)
class Loading:
    """What `load` makes of raw entries, and what a registry keeps to make the next one of it.

    Attributes:
        kinds: what entries may be.
        decoder: resolves their values.
        ignore_unknown_kinds: leave others out.
        problems: what is wrong so far.
        drafts: the entries, by their IDs.
    """

    kinds: Kinds
    decoder: Decoder
    ignore_unknown_kinds: bool
    problems: list[Problem]
    drafts: dict[EntryID, Draft] = attrs.field(factory=dict)

    def take(self, entries: Iterable[RawEntry]) -> None:
        """The first entry of each ID; every other one is a problem."""
        for raw in entries:
            first = self.drafts.setdefault(raw.id, Draft(raw)).raw
            if first is not raw:
                text = f"declared twice; first at {first.source}"
                self.problems.append(Problem.at(raw.source, text, entry=raw.id))

    def finish(self) -> Registry:
        """The registry.

        Raises:
            ConfigurationError: with everything that is wrong.
        """
        registry = self.registry()
        self.check(registry)
        self.tell_who_needs_itself()
        if self.problems:
            raise ConfigurationError(in_order(self.problems))
        return registry

    def changed(self, changes: Iterable[Change]) -> Registry:
        """The registry after some changes; what they do not name stays as it was read.

        Raises:
            ConfigurationError: with everything that is wrong.
        """
        drafts = {identity: attrs.evolve(draft, links=[]) for identity, draft in self.drafts.items()}
        again = attrs.evolve(self, problems=[], drafts=drafts)
        numbered = list(enumerate(changes, 1))
        seen: dict[tuple[EntryID, bool], int] = {}
        # Deletions come first, so that an entry may change its kind.
        for number, change in sorted(numbered, key=lambda each: not isinstance(each[1], Delete)):
            first = seen.setdefault((change.id, isinstance(change, Delete)), number)
            if first != number:
                again.refuse(number, change, f"changed twice; first at {place_of(first)}")
            else:
                again.change(number, change)
        return again.finish()

    def change(self, number: int, change: Change) -> None:
        """Carry out one change, or say why it cannot be."""
        there = self.drafts.get(change.id)
        if isinstance(change, Create):
            if there is not None:
                self.refuse(number, change, f"it is there already; at {there.raw.source}")
                return
            self.declare(number, change, change.kind)
        elif there is None:
            hint = did_you_mean_id(str(change.id), map(str, self.drafts))
            self.refuse(number, change, f"there is no such entry{hint}")
        elif isinstance(change, Delete):
            del self.drafts[change.id]
        elif change.kind is not None and change.kind != there.raw.kind.value:
            was = there.raw.kind.value
            self.refuse(number, change, f"a {was} stays one: to change its kind, delete it and create it")
        else:
            self.declare(number, change, there.raw.kind.value)

    def declare(self, number: int, change: Create | Update, kind: str) -> None:
        """Take in an entry as a change declares it."""
        try:
            self.drafts[change.id] = Draft(raw_entry(change, kind, number, self.decoder.root))
        except NotPlain as refused:
            self.problems.append(refused.problem)

    def refuse(self, number: int, change: Change, text: str) -> None:
        """A change that cannot be carried out."""
        self.problems.append(Problem.at(place_of(number), text, entry=change.id))

    def registry(self) -> Registry:
        """Structure, link and order everything; the registry holds what is good, and what it needs is too."""
        for draft in self.drafts.values():
            self._give_kind(draft)
        for draft in self._known():
            assert draft.kind is not None  # noqa: S101 - what _known() means
            if draft.config is not None:
                continue  # it is as it was before a change of others
            raw = draft.raw
            draft.config, draft.seen = structured(
                raw.data, draft.kind.config, self.decoder, self.problems, raw.id
            )
        self._link()
        self._untangle()
        skipped = [
            Skipped(id=draft.raw.id, kind=draft.raw.kind.value, source=draft.raw.source)
            for draft in self.drafts.values()
            if draft.kind is None
        ]
        good = self._good()
        return Registry(
            (self.drafts[identity].entry() for identity in good), skipped, self._lacking(good), self.changed
        )

    def check(self, registry: Registry) -> None:
        """What the kinds themselves have to say about their entries."""
        for entry in registry:
            draft = self.drafts[entry.id]
            try:
                complaints = (
                    list(draft.kind.check(entry, registry)) if draft.kind and draft.kind.check else []
                )
            except Exception as error:
                if not registry.is_complete():
                    continue  # it may have stumbled over what is lacking, and that is told already
                complaints = [("", f"the check of {entry.kind} failed: {type(error).__name__}: {error}")]
            decoded = self.decoder.decode(draft.raw.data)[0] if complaints else None
            self.problems += [entry.problem(path, scrubbed(text, decoded)) for path, text in complaints]

    def tell_who_needs_itself(self) -> None:
        """The shortest circles; where the check of a kind has already said something better, that is enough."""
        told = {(each.entry, each.field) for each in self.problems}
        for identity, draft in self.drafts.items():
            for link in draft.links:
                if identity not in link.targets:
                    continue
                circle = self._circle(draft, link, (identity, identity))
                if (circle.entry, circle.field) not in told:
                    self.problems.append(circle)

    def _good(self) -> set[EntryID]:
        """The entries with which nothing is wrong, and nothing with all that they need."""
        troubled = {each.entry for each in self.problems}
        needs = {draft.raw.id: draft.dependencies for draft in self._known()}
        good: set[EntryID] = set()
        for identity in chain.from_iterable(levels(needs)):
            if identity not in troubled and good.issuperset(needs[identity]):
                good.add(identity)
        return good

    def _lacking(self, good: Iterable[EntryID]) -> set[str]:
        """The kinds that have more entries than the good ones."""
        known = {draft.raw.id: draft.raw.kind.value for draft in self._known()}
        lacking = {known[identity] for identity in known.keys() - set(good)}
        # What is broken beyond recognition may have been an entry of any kind.
        return lacking | ({ANY_KIND} if any(each.entry not in known for each in self.problems) else set())

    def _known(self) -> list[Draft]:
        return [draft for draft in self.drafts.values() if draft.kind is not None]

    def _give_kind(self, draft: Draft) -> None:
        name = draft.raw.kind.value
        draft.kind = self.kinds.get(name)
        if draft.kind is None and not self.ignore_unknown_kinds:
            hint = did_you_mean(name, self.kinds.names) or "."
            known = ", ".join(self.kinds.names) or "none"
            text = f"noria does not know {quote(name)}{hint} Known kinds: {known}"
            place = draft.raw.kind.source
            self.problems.append(Problem.at(place, text, entry=draft.raw.id, path=("kind",)))

    def _link(self) -> None:
        known = Known(
            kinds={identity: draft.raw.kind.value for identity, draft in sorted(self.drafts.items())},
            unknown=frozenset(identity for identity, draft in self.drafts.items() if draft.kind is None),
            skipped=self.ignore_unknown_kinds,
            groups=groups_of((identity, draft.raw.meta) for identity, draft in sorted(self.drafts.items())),
        )
        for identity, draft in self.drafts.items():
            if draft.kind is None:
                continue
            seen = draft.seen if draft.config is None else references_of(draft.config)
            own = list(links(seen, known))
            meta = links_of_meta(draft.raw.meta, identity, known)
            draft.links = [*own, *(link.of_meta() for link in meta)]
            decoded = self.decoder.decode(draft.raw.data)[0] if any(link.refusal for link in own) else None
            for link in draft.links:
                if link.refusal is not None:
                    self.problems.append(problem(link.refusal, draft.where(link), decoded, identity))

    def _untangle(self) -> None:
        for cycle in cycles({identity: draft.dependencies for identity, draft in self.drafts.items()}):
            draft = self.drafts[cycle[0]]
            link = next(link for link in draft.links if cycle[1] in link.targets)
            self.problems.append(self._circle(draft, link, cycle))

    @staticmethod
    def _circle(draft: Draft, link: Link, cycle: Iterable[EntryID]) -> Problem:
        refusal = Refusal(link.path, text=f"dependency cycle: {' -> '.join(map(str, cycle))}")
        return problem(refusal, draft.where(link), None, draft.raw.id)
