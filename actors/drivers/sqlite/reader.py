"""The file as it is, while nothing can be written to it: the disk is full, somebody has it locked, or it is read-only.

Knows: how SQLite reads where it cannot write. Must not know: subscriptions, rounds.

It says what the last writer left: what a dead process held is still in flight, a delay that is over is still a delay.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...errors import DriverRefused, DriverUnavailable
from .clock import DatabaseClock, MachineClock
from .database import as_driver_error
from .schema import STEPS, SchemaUnknown, version_of
from .store import Store
from .subscription import Consumers
from .tasks import Declare, Info, Peek, Task


def reader_of(driver: str, path: Path, problem: DriverUnavailable | DriverRefused) -> "Reader":
    """A reader of the file.

    Args:
        driver: named in errors.
        path: the database.
        problem: what keeps the driver from writing.

    Raises:
        DriverUnavailable, DriverRefused: that problem, if the file cannot be read either.
    """
    try:
        connection = _connect(path)
    except (sqlite3.Error, SchemaUnknown):
        raise problem from None
    return Reader(driver, path, connection, problem.problem)


class Reader:
    """Stands in for a session. Thread-safe.

    Args:
        driver: named in errors.
        path: the database.
        connection: to it.
        why: what keeps the driver from writing.
    """

    has_met_damage = False

    def __init__(self, driver: str, path: Path, connection: sqlite3.Connection, why: str) -> None:
        self.consumers = Consumers()
        self._driver = driver
        self._path = path
        self._connection = connection
        self._why = why
        self._store = Store(connection, DatabaseClock(MachineClock()))
        self._lock = threading.Lock()
        self._declared: set[str] = set()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def ring(self) -> None:
        """Nothing is done here by itself."""

    def ask(self, task: Task, timeout: float = 0.0) -> Any:
        """Look something up. Nothing is in a queue that is declared and could not be made yet.

        Raises:
            DriverUnavailable: it is something else.
            QueueNotFound: neither there nor declared.
        """
        del timeout
        if not isinstance(task, Declare | Info | Peek):
            raise DriverUnavailable(self._driver, self._why)
        with self._lock:
            try:
                self._store.begin_to_read()
                return self._answer(task)
            except sqlite3.Error as error:
                raise as_driver_error(error, self._driver, self._path) from error
            finally:
                self._store.roll_back()

    def _answer(self, task: Declare | Info | Peek) -> Any:
        if isinstance(task, Declare):
            self._declared.add(task.name)
            return None
        if task.name in self._declared and self._store.find(task.name) is None:
            return task.nothing
        task.perform(self._store)
        task.announce()
        return task.outcome()


def _connect(path: Path) -> sqlite3.Connection:
    """As one reader of many; where there is no room for what they share, of a file that nobody else has open."""
    try:
        return _connect_as(path, "mode=ro")
    except sqlite3.Error:
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _connect_as(path, "immutable=1")


def _connect_as(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        _check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection) -> None:
    if version_of(connection) < len(STEPS):
        raise SchemaUnknown("it is empty, or was written by an older noria")
