"""What the file says of the processes that have it open, and of the time.

Knows: SQL, inside the transaction of a Store. Must not know: messages, threads, who is dead.
"""

import sqlite3

from .clock import ClockMark


class Members:
    """The tables of owners, of their consumers, and of the clock.

    Args:
        connection: the one of the Store.

    Attributes:
        owner: the number of this process.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self.owner = 0

    def join(self, pid: int, boot: str, beat: float, lease: float) -> int:
        """Become an owner; the number of this process from now on."""
        cursor = self._execute(
            "INSERT INTO owners (pid, boot, beat, lease) VALUES (?, ?, ?, ?)", (pid, boot, beat, lease)
        )
        self.owner = cursor.lastrowid or 0
        return self.owner

    def forget(self, owner: int) -> None:
        """It is none any more."""
        self._execute("DELETE FROM owners WHERE number = ?", (owner,))
        self._execute("DELETE FROM consumers WHERE owner = ?", (owner,))

    def beat(self, beat: float) -> None:
        """We live."""
        self._execute("UPDATE owners SET beat = ? WHERE number = ?", (beat, self.owner))

    def owners(self) -> list[tuple[int, str, float, float]]:
        """Number, boot, beat and lease of all."""
        return self._execute("SELECT number, boot, beat, lease FROM owners").fetchall()

    def set_consumers(self, queue: int, count: int, credit: int) -> None:
        """Let other processes know how many of us take from a queue."""
        if count:
            self._execute("REPLACE INTO consumers VALUES (?, ?, ?, ?)", (queue, self.owner, count, credit))
        else:
            self._execute("DELETE FROM consumers WHERE queue = ? AND owner = ?", (queue, self.owner))

    def other_consumers(self) -> list[tuple[int, int, int, int]]:
        """Queue, owner, count and credit of the consumers in all other processes."""
        return self._execute(
            "SELECT queue, owner, count, credit FROM consumers WHERE owner != ?", (self.owner,)
        ).fetchall()

    def read_clock(self) -> ClockMark | None:
        """What was remembered last."""
        found = self._execute('SELECT boot, "offset", wall, time FROM clock').fetchone()
        if found is None:
            return None
        boot, offset, wall, time = found
        return ClockMark(boot=boot, offset=offset, wall=wall, time=time)

    def write_clock(self, mark: ClockMark) -> None:
        """Remember the time."""
        self._execute(
            "REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", (mark.boot, mark.offset, mark.wall, mark.time)
        )
