"""One consumer's deliveries, and all consumers of this process side by side.

Knows: credit, turns, what a record of the database looks like as a delivery. Must not know: SQL, threads.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ...delivery import Delivery, Message
from ...errors import DriverUnavailable
from ..held import HeldSubscription
from .rows import QueueRow, Record
from .tasks import Move, NoteStart, Task


class SqliteSubscription(HeldSubscription):
    """The deliveries of one consumer; receipts are positions.

    Args:
        queue: its number in the database.
        ask: has a task performed and returns its answer.
    """

    def __init__(  # noqa: PLR0913  (what every consumer has, and three things of ours)
        self,
        *,
        queue: int,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        ring: Callable[[], None],
        ask: Callable[[Task], Any],
    ) -> None:
        super().__init__(consumer=consumer, credit=credit, deliver=deliver, ring=ring)
        self.queue = queue
        self.limit = credit
        self.is_done = False
        self._ask = ask

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """In one transaction."""
        return all(self.move_all((delivery,), queue, (message,)))

    def move_all(
        self, deliveries: Sequence[Delivery], queue: str, messages: Sequence[Message]
    ) -> Sequence[bool]:
        """In one transaction."""
        if self.is_closed:
            return [True] * len(deliveries)  # gone back already, and moved when it fails again
        held = {delivery.receipt: delivery for delivery in deliveries}
        move = Move([*held], lambda position: self._holds(held[position]), queue, messages)
        try:
            count: int = self._ask(move)
        except DriverUnavailable:
            return [False] * len(deliveries)
        for delivery in deliveries[:count]:
            self.take_away(delivery)
        self._ring()
        return [number < count for number in range(len(deliveries))]

    def note_start(self, delivery: Delivery) -> None:
        """Recorded when it returns."""
        if self.is_closed or not self._ask(NoteStart(delivery.receipt, partial(self._holds, delivery))):
            raise DriverUnavailable("sqlite", "the message has gone back to its queue")

    def _holds(self, delivery: Delivery) -> bool:
        return self._held.get(delivery.receipt) is delivery

    def on_closed(self) -> None:
        """Everything it held is on its way back."""
        self.is_done = True
        self._ring()


class Consumers:
    """The subscriptions of this process, by the number of their queue.

    Entered and removed by any thread; dealt to by the session's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: tuple[SqliteSubscription, ...] = ()
        self._turns = 0
        self._headers: Mapping[str, Any] = {}
        self._headers_text = "{}"

    def add(self, subscription: SqliteSubscription) -> None:
        """Let it take part."""
        with self._lock:
            self._all += (subscription,)

    def remove(self, subscription: SqliteSubscription) -> None:
        """It takes part no more."""
        with self._lock:
            self._all = tuple(each for each in self._all if each is not subscription)

    @property
    def all(self) -> tuple[SqliteSubscription, ...]:
        """As they are now."""
        return self._all

    def of(self, queue: int) -> list[SqliteSubscription]:
        """Those that take from a queue."""
        return [each for each in self._all if each.queue == queue and not each.is_paused]

    def by_queue(self) -> dict[int, list[SqliteSubscription]]:
        """Those that take, sorted."""
        sorted_: dict[int, list[SqliteSubscription]] = {}
        for each in self._all:
            if not each.is_paused:
                sorted_.setdefault(each.queue, []).append(each)
        return sorted_

    def deal(
        self,
        row: QueueRow,
        now: int,
        records: Sequence[Record],
        hungry: Sequence[tuple[SqliteSubscription, int]],
    ) -> list[tuple[SqliteSubscription, list[Delivery]]]:
        """Give records to consumers by turns, as far as the credit of each goes."""
        if len(hungry) == 1:
            [(subscription, _)] = hungry
            return [(subscription, self._deliveries(row, now, records, subscription))]
        self._turns += 1
        start = self._turns % len(hungry)
        order = [*hungry[start:], *hungry[:start]]
        shares: list[list[Record]] = [[] for _ in order]
        rest = iter(records)
        record = next(rest, None)
        while record is not None:
            for (_, credit), share in zip(order, shares, strict=True):
                if record is not None and len(share) < credit:
                    share.append(record)
                    record = next(rest, None)
        return [
            (subscription, self._deliveries(row, now, share, subscription))
            for (subscription, _), share in zip(order, shares, strict=True)
            if share
        ]

    def _deliveries(
        self, row: QueueRow, now: int, records: Sequence[Record], subscription: SqliteSubscription
    ) -> list[Delivery]:
        deliveries = []
        born = now - row.message_ttl if row.message_ttl else None
        for position, attempts, suspect, published, id_, headers, body in records:
            delivery = Delivery(
                Message(id_, body, self._mapping(headers)), subscription, attempts + 1, position
            )
            if suspect:
                delivery.is_suspect = True
            if born is not None and published <= born:
                delivery.is_expired = True
            deliveries.append(delivery)
        return deliveries

    def _mapping(self, text: str) -> Mapping[str, Any]:
        """Messages that were published together often share their headers, and nobody changes those."""
        if text != self._headers_text:
            self._headers, self._headers_text = json.loads(text), text
        return self._headers
