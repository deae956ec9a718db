"""What is done to the tables, inside one transaction.

Knows: SQL. Must not know: threads, subscriptions, why something is done.

Everything that names an owner changes only what still belongs to that owner: who has lost a message meanwhile cannot
settle it. The figures of a queue are kept in its row, and written with everything else when the transaction ends.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any

import attrs

from .clock import DatabaseClock
from .database import is_locked
from .members import Members
from .rows import Fresh, QueueRow, Record, by_queue, chunks
from .schema import COUNT_BITS

_COLUMNS = ", ".join(field.name for field in attrs.fields(QueueRow))
_WRITTEN = tuple(field.name for field in attrs.fields(QueueRow) if field.name not in ("number", "name"))
_WRITE = f"UPDATE queues SET {', '.join(f'{name} = ?' for name in _WRITTEN)} WHERE number = ?"  # noqa: S608


class Store:
    """The tables, for one thread.

    Args:
        connection: to the database, in autocommit mode.
        clock: the time of the database.
    """

    def __init__(self, connection: sqlite3.Connection, clock: DatabaseClock) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._clock = clock
        self.members = Members(connection)
        self._rows: dict[int, QueueRow] = {}
        self._before: dict[int, tuple[Any, ...]] = {}
        self._numbers: dict[str, int] = {}
        self._fresh: dict[int, list[Fresh]] = {}
        self._next_due: int | None = None
        self._is_next_due_known = False
        self.version = -1
        self.owner = 0
        self.now = 0

    # ---- the transaction -----------------------------------------------------------------------------

    def begin(self) -> bool:
        """Begin to write; False if another program has the database locked."""
        try:
            self._execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_locked(error):
                return False
            raise
        (version,) = self._execute("PRAGMA data_version").fetchone()
        if version != self.version:
            self._forget()
            self.version = version
        self.now = self._clock.now()
        return True

    def begin_to_read(self) -> None:
        """Look at the tables as they are at one moment; `roll_back` ends that."""
        self._forget()
        self._execute("BEGIN")

    def commit(self) -> list[QueueRow]:
        """Write the figures, and make everything safe. Returns the queues in which something happened."""
        self._write_fresh()
        changed = []
        for number, row in self._rows.items():
            figures = _written(row)
            if figures != self._before[number]:
                self._execute(_WRITE, (*figures, number))
                self._before[number] = figures
                changed.append(row)
        self._execute("COMMIT")
        return changed

    def roll_back(self) -> None:
        """Undo everything; what SQLite has undone already stays so."""
        self._forget()
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _forget(self) -> None:
        """What we knew of the tables is not so any more: another process has written, or we did not."""
        self._rows.clear()
        self._before.clear()
        self._numbers.clear()
        self._fresh.clear()
        self._is_next_due_known = False

    # ---- queues --------------------------------------------------------------------------------------

    def declare(self, name: str, max_length: int, message_ttl: int) -> None:
        """Make the queue, or change its bounds."""
        row = self.find(name)
        if row is None:
            (number,) = self._execute("SELECT coalesce(max(number), 0) + 1 FROM queues").fetchone()
            start = number << COUNT_BITS
            self._execute(
                "INSERT INTO queues (number, name, next, head, top) VALUES (?, ?, ?, ?, ?)",
                (number, name, start, start, start),
            )
            row = self.queue(number)
        row.max_length, row.message_ttl = max_length, message_ttl

    def find(self, name: str) -> QueueRow | None:
        """The queue of that name."""
        number = self._numbers.get(name)
        if number is None:
            found = self._execute("SELECT number FROM queues WHERE name = ?", (name,)).fetchone()
            if found is None:
                return None
            (number,) = found
            self._numbers[name] = number
        return self.queue(number)

    def queue(self, number: int) -> QueueRow:
        """The queue of that number, as it is in this transaction."""
        row = self._rows.get(number)
        if row is None:
            found = self._execute(f"SELECT {_COLUMNS} FROM queues WHERE number = ?", (number,)).fetchone()  # noqa: S608
            row = self._rows[number] = QueueRow(*found)
            self._before[number] = _written(row)
        return row

    # ---- messages come, are taken, and go ------------------------------------------------------------

    def insert(
        self, row: QueueRow, ids: Sequence[str], headers: Sequence[str], bodies: Sequence[bytes]
    ) -> None:
        """Put messages at the tail. They are written when that can be put off no longer, all at once."""
        count = len(ids)
        positions = range(row.next, row.next + count)
        self._fresh.setdefault(row.number, []).extend(
            zip(positions, repeat(self.now), ids, headers, bodies, strict=False)
        )
        row.next += count
        row.ready += count

    def claim(self, row: QueueRow, count: int) -> list[Record]:
        """Take the first ready messages for us."""
        fresh = self._fresh.get(row.number, ())
        if fresh and len(fresh) == row.ready:
            records = self._claim_fresh(row, count)
        else:
            self._write_fresh()
            records = self._claim_stored(row, count)
        if records:
            last = records[-1][0]
            row.head = max(row.head, last + 1)
            row.top = max(row.top, last + 1)
            row.ready -= len(records)
            row.in_flight += len(records)
        return records

    def _claim_fresh(self, row: QueueRow, count: int) -> list[Record]:
        """Nothing is ready but what has come in just now: it is written as ours, and not read again."""
        fresh = self._fresh[row.number]
        taken, self._fresh[row.number] = fresh[:count], fresh[count:]
        self._write(taken, self.owner)
        return [
            (position, 0, 0, published, id_, headers, body)
            for position, published, id_, headers, body in taken
        ]

    def _claim_stored(self, row: QueueRow, count: int) -> list[Record]:
        records: list[Record] = self._execute(
            "SELECT position, attempts, suspect, published, id, headers, body FROM messages"
            " WHERE position >= ? AND position < ? AND owner = 0 ORDER BY position LIMIT ?",
            (row.head, row.end, count),
        ).fetchall()
        if records:
            self._execute(
                "UPDATE messages SET owner = ? WHERE position BETWEEN ? AND ? AND owner = 0",
                (self.owner, records[0][0], records[-1][0]),
            )
        if len(records) < count:
            row.head, row.ready = row.next, len(records)
        return records

    def _write_fresh(self) -> None:
        for number, fresh in self._fresh.items():
            self._write(fresh, 0)
            self._fresh[number] = []

    def _write(self, fresh: Sequence[Fresh], owner: int) -> None:
        for first, size in chunks(len(fresh)):
            rows = ", ".join([f"(?, {owner}, 0, 0, 0, ?, ?, ?, ?)"] * size)
            statement = f"INSERT INTO messages VALUES {rows}"  # noqa: S608  (one number and question marks)
            self._execute(statement, tuple(chain.from_iterable(fresh[first : first + size])))

    def remove(self, positions: Sequence[int]) -> int:
        """They are done; how many of them were still ours."""
        return self._for_each_queue("DELETE FROM messages WHERE owner = ? AND position IN", positions)

    def release(self, positions: Sequence[int]) -> None:
        """Back to where they were."""
        for number, group in by_queue(positions).items():
            row = self.queue(number)
            changed = self._change(
                "UPDATE messages SET owner = 0, started = 0 WHERE owner = ? AND position IN", group
            )
            row.in_flight -= changed
            row.ready += changed
            row.head = min(row.head, *group)

    def count_attempts(self, position: int, attempts: int) -> None:
        """A message of ours has had so many handler runs, and nobody died of the last one."""
        self._execute(
            "UPDATE messages SET attempts = ?, suspect = 0, started = 0 WHERE position = ? AND owner = ?",
            (attempts, position, self.owner),
        )

    def note_start(self, position: int) -> bool:
        """A handler is about to run; False if the message is no longer ours."""
        cursor = self._execute(
            "UPDATE messages SET started = 1 WHERE position = ? AND owner = ?", (position, self.owner)
        )
        return cursor.rowcount == 1

    def put_behind(self, position: int) -> None:
        """Release it, not where it was but behind what is ready."""
        row = self.queue(position >> COUNT_BITS)
        cursor = self._execute(
            "UPDATE messages SET position = ?, owner = 0 WHERE position = ? AND owner = ?",
            (row.next, position, self.owner),
        )
        if cursor.rowcount:
            row.next += 1
            row.in_flight -= 1
            row.ready += 1

    # ---- delays --------------------------------------------------------------------------------------

    def delay(self, position: int, milliseconds: int) -> None:
        """Let it wait elsewhere."""
        number = position >> COUNT_BITS
        cursor = self._execute(
            "INSERT INTO delayed (queue, due, attempts, published, id, headers, body)"
            " SELECT ?, ?, attempts, published, id, headers, body FROM messages WHERE position = ? AND owner = ?",
            (number, self.now + milliseconds, position, self.owner),
        )
        if cursor.rowcount:
            self.remove([position])
            self.queue(number).delayed += 1
            self._is_next_due_known = False

    def next_due(self) -> int | None:
        """When the first delay ends."""
        if not self._is_next_due_known:
            (self._next_due,) = self._execute("SELECT min(due) FROM delayed").fetchone()
            self._is_next_due_known = True
        return self._next_due

    def end_delays(self, limit: int) -> None:
        """Put what is due behind what is ready."""
        first = self.next_due()
        if first is None or first > self.now:
            return
        self._is_next_due_known = False
        due = self._execute(
            "SELECT number, queue FROM delayed WHERE due <= ? ORDER BY due, number LIMIT ?", (self.now, limit)
        ).fetchall()
        for number, queue in due:
            row = self.queue(queue)
            self._execute(
                "INSERT INTO messages SELECT ?, 0, attempts, 0, 0, published, id, headers, body"
                " FROM delayed WHERE number = ?",
                (row.next, number),
            )
            row.next += 1
            row.ready += 1
            row.delayed -= 1
        self._connection.executemany("DELETE FROM delayed WHERE number = ?", ((number,) for number, _ in due))

    # ---- whole queues --------------------------------------------------------------------------------

    def purge(self, row: QueueRow) -> int:
        """Remove what is ready or delayed."""
        self._write_fresh()
        ready = self._execute(
            "DELETE FROM messages WHERE position >= ? AND position < ? AND owner = 0", (row.head, row.end)
        ).rowcount
        delayed = self._execute("DELETE FROM delayed WHERE queue = ?", (row.number,)).rowcount
        row.head, row.ready, row.delayed = row.next, 0, 0
        self._is_next_due_known = False
        return ready + delayed

    def peek(self, row: QueueRow, limit: int) -> list[tuple[str, int, str, str, bytes]]:
        """State, attempts, id, headers and body of the first messages: ready, then delayed, then in flight."""
        self._write_fresh()
        columns = "attempts, id, headers, body"
        within = "position >= ? AND position < ? AND owner"
        searches = (
            (
                f"SELECT 'ready', {columns} FROM messages WHERE {within} = 0 ORDER BY position LIMIT ?",  # noqa: S608
                (row.head, row.end),
            ),
            (
                f"SELECT 'delayed', {columns} FROM delayed WHERE queue = ? ORDER BY due, number LIMIT ?",  # noqa: S608
                (row.number,),
            ),
            (
                f"SELECT 'in_flight', {columns} FROM messages WHERE {within} != 0 ORDER BY position LIMIT ?",  # noqa: S608
                (row.start, row.top),
            ),
        )
        found: list[tuple[str, int, str, str, bytes]] = []
        for search, values in searches:
            found += self._execute(search, (*values, limit - len(found))).fetchall()
        return found

    # ---- processes -----------------------------------------------------------------------------------

    def join(self, pid: int, boot: str, beat: float, lease: float) -> None:
        """Become an owner."""
        self.owner = self.members.join(pid, boot, beat, lease)

    def forget_owner(self, owner: int) -> None:
        """It has left, or is dead: what it had in flight is ready again, under suspicion."""
        self.members.forget(owner)
        holding = self._execute("SELECT number FROM queues WHERE in_flight > 0").fetchall()
        for (number,) in holding:
            self._take_over(self.queue(number), owner)

    def _take_over(self, row: QueueRow, owner: int) -> None:
        where = "WHERE position >= ? AND position < ? AND owner = ?"
        values = (row.start, row.top, owner)
        (first,) = self._execute(f"SELECT min(position) FROM messages {where}", values).fetchone()  # noqa: S608
        if first is None:
            return
        returned = self._execute(
            f"UPDATE messages SET owner = 0, attempts = attempts + started, started = 0, suspect = 1 {where}",  # noqa: S608
            values,
        ).rowcount
        row.head = min(row.head, first)
        row.in_flight -= returned
        row.ready += returned

    # ---- helpers -------------------------------------------------------------------------------------

    def _for_each_queue(self, statement: str, positions: Sequence[int]) -> int:
        total = 0
        for number, group in by_queue(positions).items():
            changed = self._change(statement, group)
            self.queue(number).in_flight -= changed
            total += changed
        return total

    def _change(self, statement: str, positions: Sequence[int]) -> int:
        changed = 0
        for first, size in chunks(len(positions)):
            marks = ", ".join("?" * size)
            values = (self.owner, *positions[first : first + size])
            changed += self._execute(f"{statement} ({marks})", values).rowcount
        return changed


def _written(row: QueueRow) -> tuple[Any, ...]:
    return (
        row.next,
        row.head,
        row.top,
        row.ready,
        row.in_flight,
        row.delayed,
        row.max_length,
        row.message_ttl,
    )
