"""Turns at writing: whoever has just written lets those who wait go first.

Knows: a file lock. Must not know: databases, queues.

SQLite has one writer at a time and no order among those who wait: one that writes without a pause keeps all others out
for seconds. Here a writer holds the turnstile only until he has the database. Who waits for the database stands in it,
so that the one who had it last cannot come in before him.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

# How often a waiting writer tries, in seconds.
STEP = 0.0005
# Somebody who stands in it for longer is stopped, or dead with a child that lives: go round it.
PATIENCE = 0.2


class Turnstile:
    """One for each process; they meet at a file that all of them have.

    Args:
        path: the file. Closing one that SQLite locks would undo its locks, so it must be another one.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def enter(self) -> None:
        """Wait for those before us."""
        deadline = time.monotonic() + PATIENCE
        while not self._try_to_enter() and time.monotonic() < deadline:
            time.sleep(STEP)

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Never to be entered again."""
        os.close(self._file)

    def _try_to_enter(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False
