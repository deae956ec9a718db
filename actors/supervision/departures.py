"""Departures: lives that are over for their supervisor while their threads may still run.

Knows: who was abandoned, and who has said its last word but may need a moment to leave. Does not know:
why. `lives` may be read from any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .child import Child
from .supervised import Lifeline


class Departures:
    """One supervisor's."""

    def __init__(self) -> None:
        self.strays: dict[Lifeline, Child] = {}
        """The abandoned ones: told to stop, not stopped in time."""
        self.awaited: set[Lifeline] = set()
        """Those abandoned while they started: they still have some time to stop."""
        self._below: list[str] = []
        self._leaving: deque[tuple[str, Lifeline]] = deque()
        self._survived: tuple[tuple[str, Lifeline], ...] = ()

    def abandon(self, child: Child, lifeline: Lifeline) -> None:
        """Go on without this life; its thread is shown with the child for as long as it runs."""
        self.strays[lifeline] = child
        child.strays = (*child.strays, lifeline)

    def leave(self, child: Child, lifeline: Lifeline) -> None:
        """A thread runs a moment longer than its last word: whoever stops the tree waits for that moment."""
        while self._leaving and not self._leaving[0][1].is_running():
            self._leaving.popleft()
        if lifeline not in self.strays:
            self._leaving.append((child.id, lifeline))
        self._survived = tuple(each for each in self._survived if _has_orphans(each[1]))
        if _has_orphans(lifeline):
            self._survived = (*self._survived, (child.id, lifeline))

    def ended(self, lifeline: Lifeline) -> bool:
        """An abandoned life ended after all. Returns False when it is none of them."""
        child = self.strays.pop(lifeline, None)
        if child is None:
            return False
        self.awaited.discard(lifeline)
        child.strays = tuple(other for other in child.strays if other is not lifeline)
        self._leaving.append((child.id, lifeline))
        return True

    def note(self, child: Child, unfinished: Iterable[str]) -> None:
        """What did not stop in time below a child."""
        self._below += [f"{child.id}/{name}" for name in unfinished]

    def unfinished(self) -> tuple[str, ...]:
        """Paths of all that was abandoned and has not ended yet, here and below."""
        strays = [child.id for stray, child in self.strays.items() if not stray.ended]
        return (*strays, *self._below)

    def lives(self) -> list[tuple[str, Lifeline]]:
        """Every one whose thread may still run, with its child's ID."""
        strays = ((child.id, stray) for stray, child in tuple(self.strays.items()))
        return [*tuple(self._leaving), *self._survived, *strays]


def _has_orphans(lifeline: Lifeline) -> bool:
    """Whether it was a supervisor that died before some of its children."""
    orphans = getattr(lifeline.actor, "orphans", None)
    return orphans is not None and bool(orphans(bereft=lifeline.ended))
