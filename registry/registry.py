"""Registry: what exists, as one immutable whole.

Knows: entries that are already valid. Does not know: files, kinds, how anything is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from .entry import Entry, Skipped
from .errors import EntryNotFound
from .find import compile_criteria
from .graph import levels
from .ids import EntryID

if TYPE_CHECKING:
    from .changes import Change

#: Stands among the lacking kinds for an entry whose kind nobody could read.
ANY_KIND: Final = "*"


class Registry:
    """All entries of an application. Immutable, so safe to share between threads.

    Iterating yields the entries (not only their IDs) in the order of their IDs. An entry is asked for by
    EntryID or by its text, `registry["app:tasks"]`.

    `skipped` lists the entries whose kind is unknown, when `load` was told to ignore them.

    Only while something is wrong, `Kind.check` is given a registry without the broken entries (`is_complete`
    tells); whatever `load` returns is complete.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        skipped: Iterable[Skipped] = (),
        lacking: Iterable[str] = (),
        changed: Callable[[Iterable[Change]], Registry] | None = None,
    ) -> None:
        """A registry of these entries.

        `lacking` are the kinds that have broken entries besides, `changed` makes the next registry of this one.
        """
        ordered = sorted(entries, key=lambda entry: entry.id)
        self._entries: dict[EntryID, Entry] = {entry.id: entry for entry in ordered}
        self._by_text: dict[str, Entry] = {str(entry.id): entry for entry in ordered}
        self.skipped: tuple[Skipped, ...] = tuple(sorted(skipped, key=lambda each: each.id))
        self._lacking = frozenset(lacking)
        self._changed = changed

    def __getitem__(self, wanted: EntryID | str) -> Entry:
        """The entry. Raises EntryNotFound, which names the nearest ID."""
        found = self.get(wanted)
        if found is None:
            raise EntryNotFound(str(wanted), self._by_text)
        return found

    def get(self, wanted: EntryID | str) -> Entry | None:
        """The entry, or None."""
        return self._by_text.get(str(wanted))

    def __contains__(self, wanted: object) -> bool:
        """Whether there is an entry of this ID (an EntryID, its text, or an Entry)."""
        if isinstance(wanted, Entry):
            wanted = wanted.id
        return isinstance(wanted, EntryID | str) and str(wanted) in self._by_text

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} entries>"

    def is_complete(self, *kinds: str) -> bool:
        """Whether no entry of these kinds is lacking because it is broken; without kinds, no entry at all.

        `queue.driver.*` stands for all kinds that begin so. A `Kind.check` asks before it complains that
        something does not exist. What was left out on purpose (`skipped`) is not lacking.
        """
        if not kinds or ANY_KIND in self._lacking:
            return not self._lacking
        return not any(fnmatchcase(lacking, kind) for lacking in self._lacking for kind in kinds)

    def apply(self, changes: Iterable[Change]) -> Registry:
        """The registry after these changes, all of them or none; this one stays as it is.

        Deletions come first, so that an entry can change its kind by being deleted and created. Entries that are not
        named keep what was read for them: files and environment are not looked at again for their sake.

        Raises:
            ConfigurationError: with everything that is wrong with the changes, and with what they would lead to; the
                second change of the set stands at `<change>:2:1`.
            TypeError: this registry was not loaded, so nobody knows the kinds of its entries.
        """
        if self._changed is None:
            raise TypeError("only a registry that was loaded knows the kinds that its changes are checked by")
        return self._changed(changes)

    def find(self, criteria: Mapping[str, Any] | None = None) -> tuple[Entry, ...]:
        """The entries that fit all criteria, in the order of their IDs; without criteria, all.

        Keys (spec, registry 6): `.kind`, `.name`, `.ns` and `.id` take a text in which `*` stands for any
        run of characters; `meta.field` is equality (a list: all of it must be in the entry's list);
        `~meta.field` a regular expression found anywhere, `*meta.field` a part, `^meta.field` a beginning,
        `$meta.field` an end. `meta.a.b` is the key `a.b`, or else `b` inside `a`.

        Raises InvalidCriterion (a ValueError) for any other key, or a value of the wrong type.
        """
        fits = compile_criteria(criteria or {})
        return tuple(entry for entry in self if fits(entry))

    def levels(self) -> tuple[tuple[EntryID, ...], ...]:
        """All IDs in dependency order: each level needs only earlier ones; sorted inside a level."""
        return levels({entry.id: entry.dependencies for entry in self})

    def dependents(self, wanted: EntryID | str) -> tuple[EntryID, ...]:
        """The IDs of the entries that refer to this one directly, sorted.

        Raises EntryNotFound when there is no such entry.
        """
        target = self[wanted].id
        return tuple(entry.id for entry in self if target in entry.dependencies)
