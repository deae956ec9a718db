"""What other threads ask of a session and wait for.

Knows: one transaction's work each. Must not know: threads, sessions.

A task may be performed more than once, should a transaction be undone; what it found out is announced only after the
commit.
"""

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ...delivery import Message
from ...driver import QueueDeclaration, QueueInfo, StoredMessage
from ...errors import QueueFull, QueueNotFound
from ..io_thread import Request
from .rows import QueueRow
from .store import Store


class Task(Request):
    """Something to do in a transaction.

    Attributes:
        takes_space: it makes the file grow, so it is what cannot be done when the disk is full.
        is_abandoned: nobody waits for it any more.
        deadline: monotonic seconds after which it ends with what it has.
        accepted: how many messages of it are safe.
    """

    takes_space = False
    deadline = 0.0
    accepted = 0

    def __init__(self) -> None:
        super().__init__()
        self.is_abandoned = False
        self._found: Any = None
        self._problem: BaseException | None = None

    @abstractmethod
    def perform(self, store: Store) -> bool:
        """Do it; False if it has to wait for a later transaction."""

    def announce(self) -> None:
        """The transaction is safe."""
        self.finish(self._found, self._problem)


class Question(Task):
    """A task that is done in one transaction."""

    def perform(self, store: Store) -> bool:
        """Find the answer, or what is wrong with the question."""
        try:
            self._found, self._problem = self.work(store), None
        except QueueNotFound as error:
            self._problem = error
        return True

    @abstractmethod
    def work(self, store: Store) -> Any:
        """What it does; returns the answer. Raises QueueNotFound."""


def known_queue(store: Store, name: str) -> QueueRow:
    """The queue; raises QueueNotFound."""
    row = store.find(name)
    if row is None:
        raise QueueNotFound(name)
    return row


class Declare(Question):
    """Make a queue, or change its bounds."""

    takes_space = True

    def __init__(self, queue: QueueDeclaration) -> None:
        super().__init__()
        self.name = queue.name
        self._queue = queue

    def work(self, store: Store) -> None:
        """In the file, for everybody."""
        options = self._queue.options
        store.declare(self._queue.name, options.max_length, round((options.message_ttl or 0) * 1000))


class Find(Question):
    """The number of a queue."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self._queue = queue

    def work(self, store: Store) -> int:
        """As the database numbers it."""
        return known_queue(store, self._queue).number


class Publish(Task):
    """Store messages, as there is room."""

    takes_space = True

    def __init__(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        super().__init__()
        self.deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._queue = queue
        self._ids = [message.id for message in messages]
        self._bodies = [message.body for message in messages]
        self._headers = _headers_as_text(messages)
        self._stored = 0

    def perform(self, store: Store) -> bool:
        """As far as there is room; the rest waits until the deadline."""
        row = store.find(self._queue)
        if row is None:
            self._problem = QueueNotFound(self._queue)
            return True
        first = self.accepted
        last = first + row.room(len(self._ids) - first)
        if last > first:
            store.insert(row, self._ids[first:last], self._headers[first:last], self._bodies[first:last])
        self._stored = last
        if last == len(self._ids):
            return True
        if time.monotonic() < self.deadline:
            return False
        self._problem = QueueFull(self._queue, accepted=last, timeout=self._timeout)
        return True

    def stored(self) -> None:
        """What was stored is safe now, whether or not that was all."""
        self.accepted = self._stored


class Move(Question):
    """Store messages in one queue and remove them from another one, each in both steps or neither.

    `is_held` tells, in the transaction, whether its consumer still has it: another one of this process may have it.
    """

    takes_space = True

    def __init__(
        self,
        positions: Sequence[int],
        is_held: Callable[[int], bool],
        queue: str,
        messages: Sequence[Message],
    ) -> None:
        super().__init__()
        self._positions = positions
        self._is_held = is_held
        self._queue = queue
        self._messages = messages

    def work(self, store: Store) -> int:
        """For how many, from the first, there was room."""
        row = store.find(self._queue)
        if row is None:
            return 0
        count = row.room(len(self._positions))
        # What is no longer ours has gone back, and will be moved by whoever gets it when it fails again.
        ours = [
            message
            for position, message in zip(self._positions[:count], self._messages, strict=False)
            if self._is_held(position) and store.remove([position])
        ]
        store.insert(
            row,
            [message.id for message in ours],
            _headers_as_text(ours),
            [message.body for message in ours],
        )
        return count


class NoteStart(Question):
    """Put on record that a handler runs; False if the message is no longer its consumer's."""

    def __init__(self, position: int, is_held: Callable[[], bool]) -> None:
        super().__init__()
        self._position = position
        self._is_held = is_held

    def work(self, store: Store) -> bool:
        """Whether its consumer has it."""
        return self._is_held() and store.note_start(self._position)


class Purge(Question):
    """Remove what waits."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self._queue = queue

    def work(self, store: Store) -> int:
        """How many were removed."""
        return store.purge(known_queue(store, self._queue))


class Peek(Question):
    """Look at the first messages."""

    nothing: Sequence[StoredMessage] = ()

    def __init__(self, queue: str, limit: int) -> None:
        super().__init__()
        self.name = queue
        self._limit = limit

    def work(self, store: Store) -> list[StoredMessage]:
        """As the contract has them."""
        found = store.peek(known_queue(store, self.name), self._limit)
        return [
            StoredMessage(message=Message(id_, body, json.loads(headers)), attempts=attempts, state=state)  # type: ignore[arg-type]  # the states are ours
            for state, attempts, id_, headers, body in found
        ]


class Info(Question):
    """The figures of a queue; `count_ours` says how many consumers of this process take from it."""

    nothing = QueueInfo(ready=0, in_flight=0, delayed=0, consumer_count=0)

    def __init__(self, queue: str, count_ours: Callable[[int], int]) -> None:
        super().__init__()
        self.name = queue
        self._count_ours = count_ours

    def work(self, store: Store) -> QueueInfo:
        """All of one moment."""
        row = known_queue(store, self.name)
        theirs = sum(
            count for queue, _owner, count, _credit in store.members.other_consumers() if queue == row.number
        )
        return QueueInfo(
            ready=row.ready,
            in_flight=row.in_flight,
            delayed=row.delayed,
            consumer_count=theirs + self._count_ours(row.number),
        )


def _headers_as_text(messages: Sequence[Message]) -> list[str]:
    """Most batches share one mapping of headers, which is then written once."""
    texts: list[str] = []
    last: Any = None
    text = "{}"
    for message in messages:
        if message.headers is not last:
            last = message.headers
            text = json.dumps(dict(last), separators=(",", ":")) if last else "{}"
        texts.append(text)
    return texts
