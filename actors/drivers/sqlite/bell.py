"""How processes wake each other, and see each other die.

Knows: named pipes. Must not know: databases, queues.

Each process has a pipe beside the database and reads from it as long as it lives. Whoever writes into it wakes that
process. Where nobody reads any more, opening it for writing fails: the kernel has closed it, however the process ended.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from enum import Enum
from errno import ENXIO
from pathlib import Path


class Answer(Enum):
    """What came of looking."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"  # somebody has removed the pipe; its process may live


def ring(path: Path) -> None:
    """Wake the process whose pipe this is, if it is there."""
    # Should the pipe be full, it has been rung often and has not listened yet.
    with contextlib.suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, b"!")
        finally:
            os.close(pipe)


def look(path: Path) -> Answer:
    """Whether somebody listens there, without waking him."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        return Answer.DEAD if error.errno == ENXIO else Answer.UNKNOWN
    return Answer.ALIVE


def remove(path: Path) -> None:
    """Nobody listens there any more; one that may not be removed harms nobody."""
    with contextlib.suppress(OSError):
        path.unlink()


class Bell:
    """The pipe of this process, and the thread that listens to it.

    Args:
        path: where it is made; what an earlier process left there is replaced.
        rung: called in the thread.
    """

    def __init__(self, path: Path, rung: Callable[[], None]) -> None:
        self.path = path
        self._rung = rung
        self._is_closing = False
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.mkfifo(path, 0o660)
        # For writing, too: reading then waits, rather than ending, while nobody else has it open.
        self._pipe = os.open(path, os.O_RDWR)
        self._thread = threading.Thread(target=self._listen, name=f"bell {path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop to listen: to everybody else this process is dead now. The pipe itself stays."""
        self._is_closing = True
        os.write(self._pipe, b"!")
        self._thread.join()
        os.close(self._pipe)

    def _listen(self) -> None:
        while True:
            os.read(self._pipe, 65536)
            if self._is_closing:
                return
            self._rung()
