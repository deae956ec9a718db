"""Last out: waiting for the threads of a tree to leave.

Knows: the present root and those before it. Does not know: why anybody leaves, nor who else is to be told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from .bells import LOOK_EVERY
from .keeper import Keeper
from .supervised import Lifeline

Root = tuple[Keeper, Lifeline]


def lives_of(roots: Iterable[Root], name: str) -> Iterator[tuple[str, Lifeline]]:
    """Every thread that may still run, each root's own after those below it."""
    for root, life in roots:
        yield from root.lives()
        yield name, life


def orphans_of(roots: Iterable[Root]) -> list[Lifeline]:
    """The lives whose supervisor died before them. They were told to stop, and nobody hears whether they do."""
    return [orphan for root, life in roots for orphan in root.orphans(bereft=life.ended)]


def look_after_orphans(roots: Iterable[Root]) -> None:
    """As a supervisor's sweep does, so that none sleeps on, and what is below a dead one is told to stop too."""
    for orphan in orphans_of(roots):
        orphan.look_after()


def hurry_orphans(roots: Iterable[Root], deadline: float) -> None:
    """Tell them by when they have to be done (on the mailboxes' clock)."""
    for orphan in orphans_of(roots):
        orphan.request_stop(deadline)


def await_orphans(roots: Iterable[Root], end: float) -> None:
    """Wait for them until `end`, as their supervisor would have: they have not had their time yet."""
    roots = tuple(roots)
    while (left := end - time.monotonic()) > 0:
        look_after_orphans(roots)
        orphan = next((life for life in orphans_of(roots) if not life.cancel()), None)
        if orphan is None:
            return
        orphan.join(min(left, LOOK_EVERY))


def is_gone(lifeline: Lifeline, end: float, *, wait: bool) -> bool:
    """Whether the thread has ended; one that has said its last word is given a moment to do so."""
    lifeline.cancel()
    if wait or lifeline.ended:
        lifeline.join(max(0.1, end - time.monotonic()))
    return not lifeline.is_running()
