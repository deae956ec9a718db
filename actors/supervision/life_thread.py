"""The thread an actor lives in.

Knows: one weakness of `threading.Thread.start`. Does not know: actors.
"""

from __future__ import annotations

import threading
from typing import Any


class Unawaited(threading.Event):
    """An event that nobody waits for."""

    def wait(self, timeout: float | None = None) -> bool:
        """Do not."""
        del timeout
        return True


class LifeThread(threading.Thread):
    """A thread whose `start` does not wait for it.

    It would wait for ever for a thread that is killed before it has come to Python code of ours. That is
    no theory: until a new thread runs, CPython finds it under its creator's number, so that an exception
    thrown into a supervisor hits the child which it is just starting.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._started = Unawaited()
        self._ended_by: list[threading.Thread] = []
        # What is thrown in when the actor has said its last word concerns nobody, and what keeps it from
        # saying it is found by its supervisor's sweep. Not a function: it could be thrown into as well.
        self._invoke_excepthook = self._ended_by.append
