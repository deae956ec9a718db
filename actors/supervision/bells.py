"""Bells: how threads outside a tree wait for a change in it.

Knows: that children ring when they enter a state. Does not know: which tree, or what is waited for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from .child import Child
from .siblings import Siblings

LOOK_EVERY: Final = 1.0
"""Seconds between two looks for what rings no bell, while somebody waits."""

Bell = queue.SimpleQueue[None]


class Bells:
    """Those of one tree. Thread-safe.

    `siblings` returns the children as of now, for a root may have a successor; `look` is called before every look.
    """

    def __init__(self, siblings: Callable[[], Siblings], look: Callable[[], object]) -> None:
        self._siblings = siblings
        self._look = look
        self._lock = threading.Lock()
        self._bells: tuple[Bell, ...] = ()

    def ring(self) -> None:
        """The tree as a whole has changed."""
        for bell in self._bells:
            bell.put(None)

    def wait(self, holds: Callable[[], bool], timeout: float | None, children: Iterable[str] = ()) -> bool:
        """Wait until something holds, looking again at every change of the tree or of these children."""
        end = None if timeout is None else time.monotonic() + timeout
        names = tuple(children)
        watched: list[Child] = []
        bell: Bell = queue.SimpleQueue()
        with self._lock:
            self._bells = (*self._bells, bell)
        try:
            while True:
                self._watch(names, bell, watched)
                if holds():
                    return True
                remaining = LOOK_EVERY if end is None else end - time.monotonic()
                if remaining <= 0:
                    return False
                _listen(bell, min(remaining, LOOK_EVERY))
                self._look()
        finally:
            self._leave(bell, watched)

    def _watch(self, names: Iterable[str], bell: Bell, watched: list[Child]) -> None:
        """Let the present children of these names ring this bell."""
        siblings = self._siblings()
        with self._lock:
            for name in names:
                child = siblings.find(name)
                if child is not None and bell not in child.watchers:
                    watched.append(child)
                    child.watchers = (*child.watchers, bell)

    def _leave(self, bell: Bell, watched: Iterable[Child]) -> None:
        with self._lock:
            self._bells = tuple(other for other in self._bells if other is not bell)
            for child in watched:
                child.watchers = tuple(other for other in child.watchers if other is not bell)


def _listen(bell: Bell, timeout: float) -> None:
    try:
        bell.get(timeout=timeout)
    except queue.Empty:
        return
