"""Refusals: what structuring finds wrong, before anybody knows in which file it stands.

Knows: paths and sentences. Does not know: nodes, entries. Here a message may not hold a value: what was
found is added from the definition file, where placeholders are still placeholders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from .problem import FieldPath


@attrs.frozen
class Refusal:
    """One thing that is wrong at a path.

    Attributes:
        path: from where the caller stands.
        expected: what the value should be; what it is instead is added later.
        candidates: words that the value may have meant.
        text: a complete sentence, where `expected` says too little.
        foreign: the sentence may hold the value: it is from somebody else's validator, or names what was found.
        instead: what to say of a value that came from a placeholder, when the sentence is foreign.
        at_key: the name of the field is wrong, not its value.
        is_secret: what the field holds may not be repeated, however it is written.
    """

    path: FieldPath = ()
    expected: str | None = None
    candidates: tuple[str, ...] = ()
    text: str = ""
    foreign: bool = False
    instead: str = "not valid"
    at_key: bool = False
    is_secret: bool = False

    def below(self, step: str | int) -> Refusal:
        """The same refusal, seen from one level up."""
        return attrs.evolve(self, path=(step, *self.path))


class Refused(Exception):
    """A value that cannot be structured, with everything that is wrong with it."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals: Sequence[Refusal] = tuple(refusals)
        super().__init__(f"{len(self.refusals)} refusals")

    @classmethod
    def expecting(cls, what: str, candidates: Iterable[str] = ()) -> Refused:
        """The value as a whole is not what it should be."""
        return cls([Refusal(expected=what, candidates=tuple(candidates))])


def foreign(error: Exception) -> Refusal:
    """What a validator of somebody else said; attrs' own validators say it in their first argument."""
    first = error.args[0] if error.args else None
    return Refusal(text=first if isinstance(first, str) else str(error) or type(error).__name__, foreign=True)
