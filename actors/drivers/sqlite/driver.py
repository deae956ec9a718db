"""The SQLite driver: queues in one file, for all processes of a machine.

Knows: the contract. Must not know: SQL, what a session does inside.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from ....registry import Entry, Registry
from ...delivery import Delivery, Message
from ...driver import Driver, Features, QueueDeclaration, QueueInfo, StoredMessage, Subscription
from ...errors import DriverRefused, DriverUnavailable, QueueFull
from .clock import MachineClock
from .database import is_read_only
from .reader import Reader, reader_of
from .session import Session
from .subscription import SqliteSubscription
from .tasks import Declare, Find, Info, Peek, Publish, Purge, Task

# Messages that are published at once go in pieces: others want their turn in between.
PIECE = 1000
# A row of SQLite has room for a thousand million bytes, with everything that belongs to it.
LARGEST_BODY = 900_000_000


class SqliteDriver(Driver):
    """Keeps messages in one SQLite file.

    Args:
        name: its registry ID, for errors.
        config: a SqliteConfig.
        folder: what a relative path begins at; the working directory if it is not given.
        machine: the clocks.
    """

    features = Features(durable=True, shared=True)

    def __init__(
        self, name: str, config: Any, *, folder: Path | None = None, machine: MachineClock | None = None
    ) -> None:
        super().__init__(name, config)
        self._path = (folder or Path.cwd()) / config.path
        self._machine = machine or MachineClock()
        self._lock = threading.Lock()
        self._session: Session | Reader | None = None
        self._is_in_doubt = False

    @classmethod
    def from_entry(cls, entry: Entry, registry: Registry) -> Self:  # noqa: ARG003  (it refers to nothing)
        """A relative path begins at the folder of the definition file."""
        return cls(str(entry.id), entry.config, folder=entry.place("path").file.parent)

    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Open the file, or make it."""
        with self._lock:
            if self._session is None:
                session = Session(self.name, self._path, self.config, self._machine, failed)
                session.open(is_in_doubt=self._is_in_doubt)
                self._is_in_doubt = False
                self._session = session

    def open_to_look(self, failed: Callable[[BaseException], None]) -> None:
        """Open the file, or only read it where nothing can be written now."""
        try:
            self.open(failed)
        except (DriverUnavailable, DriverRefused) as error:
            if isinstance(error, DriverRefused) and not is_read_only(error.__cause__):
                raise
            reader = reader_of(self.name, self._path, error)
            with self._lock:
                self._session = reader

    def close(self) -> None:
        """Give everything back and close the file."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                session.close()
                self._is_in_doubt = session.has_met_damage

    def declare(self, queue: QueueDeclaration) -> None:
        """Make the queue in the file, or change its bounds for everybody."""
        self._ask(Declare(queue))

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Return once the transaction is committed that all publishers of the moment share."""
        self._check_storable(messages)
        deadline = time.monotonic() + timeout
        accepted = 0
        for first in range(0, len(messages), PIECE):
            rest = max(0.0, deadline - time.monotonic())
            piece = Publish(queue, messages[first : first + PIECE], rest)
            try:
                self._ask(piece, rest)
            except QueueFull as error:
                raise QueueFull(queue, accepted=accepted + error.accepted, timeout=timeout) from None
            except DriverUnavailable as error:
                raise DriverUnavailable(
                    self.name, error.problem, accepted=accepted + error.accepted
                ) from None
            accepted += len(messages[first : first + PIECE])

    def _check_storable(self, messages: Sequence[Message]) -> None:
        """What cannot be stored must not come into a transaction with what can."""
        for message in messages:
            if len(message.body) > LARGEST_BODY:
                raise DriverRefused(
                    self.name, f"a body of {len(message.body)} bytes: SQLite keeps {LARGEST_BODY} at most"
                )
            try:
                message.id.encode()
            except UnicodeEncodeError:
                raise DriverRefused(self.name, f"a message ID that is no text: {message.id!r}") from None

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,  # noqa: ARG002  (it has none)
    ) -> Subscription:
        """Deliver in the order of publishing; consumers take turns."""
        session = self._open_session()
        number = session.ask(Find(queue))
        for earlier in session.consumers.all:
            if (earlier.queue, earlier.consumer) == (number, consumer):
                earlier.close()
        subscription = SqliteSubscription(
            queue=number,
            consumer=consumer,
            credit=credit,
            deliver=deliver,
            ring=session.ring,
            ask=session.ask,
        )
        session.consumers.add(subscription)
        session.ring()
        return subscription

    def info(self, queue: str) -> QueueInfo:
        """Exact figures."""
        session = self._open_session()
        found: QueueInfo = session.ask(Info(queue, lambda number: len(session.consumers.of(number))))
        return found

    def purge(self, queue: str) -> int:
        """Remove what is ready or delayed."""
        count: int = self._ask(Purge(queue))
        return count

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """The first messages: ready, then delayed, then in flight."""
        found: list[StoredMessage] = self._ask(Peek(queue, limit))
        return found

    def _ask(self, task: Task, timeout: float = 0.0) -> Any:
        return self._open_session().ask(task, timeout)

    def _open_session(self) -> Session | Reader:
        session = self._session
        if session is None:
            raise DriverUnavailable(self.name)
        return session
