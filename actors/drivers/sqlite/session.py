"""The time between open and close: one connection, one place among the owners, a thread for what nobody waits for.

Knows: how a session begins, is asked, and ends. Must not know: SQL, what is done in a round.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ActorsError, DriverRefused, DriverUnavailable
from ..io_thread import IoThread
from .clock import DatabaseClock, MachineClock
from .database import as_driver_error, check, connect, is_locked, use_write_ahead_log
from .owners import Owners
from .rounds import Rounds
from .schema import SchemaUnknown, migrate
from .store import Store
from .subscription import Consumers
from .tasks import Task

if TYPE_CHECKING:
    from .config import SqliteConfig

# How long close waits for the last round, and a task for its answer, where no lock is in the way.
ANSWER_PATIENCE = 5.0
# How long the last settlements wait for a lock to go away; close waits for that, too.
LEAVING_PATIENCE = 3.0
# Times that differ by less are the same.
CLOCK_GRAIN = 0.001


class Session:
    """One life of the driver.

    Args:
        driver: named in errors.
        path: the database.
        config: times and safety.
        machine: the clocks.
        failed: called once if the session ends by itself.
    """

    def __init__(
        self,
        driver: str,
        path: Path,
        config: "SqliteConfig",
        machine: MachineClock,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.consumers = Consumers()
        self._driver = driver
        self._path = path
        self._file_name = str(path)
        self._config = config
        self._failed = failed
        self._io = IoThread(f"sqlite-driver {driver}", self._round_by_itself, self._ended)
        self._lock = threading.Lock()
        # Held for a round, whoever does it.
        self._turn = threading.Lock()
        self._wakes_at = 0.0
        self._failure: BaseException | None = None
        self._is_closing = False
        self._end: ActorsError | None = None
        self._locked_since: float | None = None
        self._clock = DatabaseClock(machine)
        self._owners = Owners(driver, path, lease=config.lease, machine=machine, rung=self.ring)
        try:
            self._connection = connect(path, config.synchronous)
        except sqlite3.Error as error:
            raise self._as_driver_error(error) from error
        self._store = Store(self._connection, self._clock)
        self._rounds = Rounds(self._store, self._clock, self._owners, self.consumers, self._as_refusal)

    def open(self, *, is_in_doubt: bool) -> None:
        """Bring the file to our version, join its owners, begin to work.

        A file that is in doubt is looked through first, which takes as long as reading it.

        Raises:
            DriverUnavailable, DriverRefused: as `Driver.open`.
        """
        try:
            if is_in_doubt:
                check(self._connection)
            self._begin_to_write()
            migrate(self._connection)
            self._clock.take_up(self._store.members.read_clock())
            self._store.members.write_clock(self._clock.mark())
            self._owners.join(self._store)
            self._store.commit()
            self._file = _identity(self._file_name)
        except Exception as error:
            self._owners.hang_up(has_left=True)
            self._connection.close()
            raise self._as_driver_error(error) from error
        self._io.start()

    def close(self) -> None:
        """Give everything back and end, in bounded time."""
        with self._lock:
            self._is_closing = True
        for subscription in self.consumers.all:
            subscription.close()
        if not self._io.stop(ANSWER_PATIENCE):
            self._lose_everything(DriverUnavailable(self._driver))

    @property
    def has_met_damage(self) -> bool:
        """Whether it ended because the file is damaged."""
        return isinstance(self._end, DriverRefused)

    def ring(self) -> None:
        """There is something to do."""
        self._io.ring()

    def ask(self, task: Task, timeout: float = 0.0) -> Any:
        """Have a task performed; its answer. `timeout` is how long the task itself may wait.

        Raises:
            DriverUnavailable: the session is over, or there was no answer in time.
        """
        with self._lock:
            if self._is_closing:
                raise DriverUnavailable(self._driver)
            if self._end is not None:
                raise DriverUnavailable(self._driver, _problem(self._end))
            self._rounds.tasks.append(task)
        if self._turn.locked():
            self._io.ring()  # a round is going on: the next one is for everybody who has come meanwhile
        else:
            self._do_round_here()
        if not task.wait(timeout + self._config.busy_timeout + ANSWER_PATIENCE):
            task.is_abandoned = True
            raise DriverUnavailable(self._driver, "no answer in time", accepted=task.accepted)
        return task.outcome()

    def _do_round_here(self) -> None:
        """In the thread of whoever asks: nobody else is at it, and to wake our thread takes as long as the round."""
        try:
            with self._turn:
                wakes_at = time.monotonic() + self._round()
                is_earlier = wakes_at < self._wakes_at - CLOCK_GRAIN
        except BaseException as error:  # a Ctrl-C, too: what the round had done by then, nobody knows
            self._failure = error
            self._io.ring()
            if not isinstance(error, Exception):
                raise
        else:
            if is_earlier:
                self._io.ring()

    # ---- in its thread -------------------------------------------------------------------------------

    def _round_by_itself(self) -> float:
        if self._failure is not None:
            raise self._failure
        with self._turn:
            seconds = self._round()
            self._wakes_at = time.monotonic() + seconds
        return seconds

    def _round(self) -> float:
        seconds = self._rounds.work(self._check_file)
        if seconds is None:
            self._bear_lock()
            return 0
        self._locked_since = None
        return seconds

    def _check_file(self) -> None:
        """SQLite would go on writing to a file that has lost its name, and nobody would find it there."""
        if _identity(self._file_name) != self._file:
            raise DriverUnavailable(self._driver, f"{self._path} was removed or replaced")

    def _bear_lock(self) -> None:
        """Publishers wait for a lock as long as they are told to; what is in flight stays as long as its lease."""
        now = time.monotonic()
        self._locked_since = self._locked_since or now
        error = DriverUnavailable(self._driver, f"{self._path} is locked by another program")
        if now >= self._locked_since + self._config.busy_timeout:
            self._rounds.refuse(lambda task: self._as_refusal(error, task.accepted))
        if now >= self._locked_since + max(self._config.lease, self._config.busy_timeout):
            raise error

    def _ended(self, error: BaseException | None) -> None:
        has_left = False
        # Somebody may be in the middle of a round; and one after the last would take what nobody gives back.
        with self._turn:
            if error is None:
                try:
                    has_left = self._leave()
                except Exception as late:  # whatever it is, those who wait have to hear of it
                    error = late
            self._lose_everything(
                DriverUnavailable(self._driver) if error is None else self._as_driver_error(error)
            )
            self._owners.hang_up(has_left=has_left)
            self._connection.close()
        if error is not None and not self._is_closing:
            self._failed(self._as_driver_error(error))

    def _leave(self) -> bool:
        """Settle what is left; False if the database stays locked, and some of it will come again."""
        deadline = time.monotonic() + LEAVING_PATIENCE
        while not self._rounds.finish():
            if time.monotonic() >= deadline:
                return False
        return True

    def _lose_everything(self, end: ActorsError) -> None:
        with self._lock:
            self._end = end
        for subscription in self.consumers.all:
            subscription.lose()
        self._rounds.refuse(lambda task: self._as_refusal(end, task.accepted))

    # ---- helpers -------------------------------------------------------------------------------------

    def _begin_to_write(self) -> None:
        deadline = time.monotonic() + self._config.busy_timeout
        while True:
            try:
                if not use_write_ahead_log(self._connection):
                    raise DriverRefused(
                        self._driver, f"{self._path}: its file system cannot keep a write-ahead log"
                    )
                if self._store.begin():
                    return
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
            if time.monotonic() >= deadline:
                raise DriverUnavailable(self._driver, f"{self._path} is locked by another program")

    def _as_driver_error(self, error: BaseException) -> ActorsError:
        if isinstance(error, SchemaUnknown):
            return DriverRefused(self._driver, f"{self._path}: {error}")
        return as_driver_error(error, self._driver, self._path)

    def _as_refusal(self, error: BaseException, accepted: int) -> DriverUnavailable:
        return DriverUnavailable(self._driver, _problem(self._as_driver_error(error)), accepted=accepted)


def _problem(error: ActorsError) -> str:
    return getattr(error, "problem", "") or ""


def _identity(path: str) -> tuple[int, int]:
    """Which file this is, whatever its name; zeros if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  (asked in every round, and twice as fast)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
