"""One consumer of a Redis queue.

Knows: the books of a consumer, what it may say of a delivery at once. Must not know: how entries are fetched
(reader.py) and settlements sent (settler.py).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...delivery import Delivery, Message
from ...errors import DriverUnavailable
from ..held import HeldSubscription, Settlement, Verb
from . import scripts
from .entries import Entry
from .queue import RedisQueue

if TYPE_CHECKING:
    from .session import Session

LARGEST_BATCH = 64
# So many messages are moved in one trip.
MOVE_BATCH = 100
# How long a pause waits for what its reader is doing: the time of one trip, unless the server hangs.
PAUSE_PATIENCE = 1.0


class RedisSubscription(HeldSubscription):
    """Collects acks: a trip for every one of them would cost more than all the rest.

    Attributes:
        name: what the consumer group knows it by: another one in every process, and after every `subscribe`.
        left: set when everything it held has gone back and the server has forgotten it.
        is_leaving: everything that it had to say is among its settlements.
        is_hurried: its consumer has nothing to do, so that any free credit is worth a trip.
    """

    def __init__(  # noqa: PLR0913  (all of it is known only when it is made)
        self,
        session: "Session",
        queue: RedisQueue,
        *,
        name: str,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        queues: Mapping[str, RedisQueue],
    ) -> None:
        super().__init__(consumer=consumer, credit=credit, deliver=deliver, ring=self._ring_if_worth_it)
        self.queue = queue
        self.name = name
        self.limit = credit
        self.left = threading.Event()
        self.is_hurried = True
        self.is_leaving = False
        self._session = session
        self._queues = queues
        self._going_back = 0
        self._is_quiet = threading.Event()
        self._batch = max(1, min(LARGEST_BATCH, credit // 4))

    def _ring_if_worth_it(self) -> None:
        if len(self._settlements) >= self._batch:
            self._session.wake(self)
        elif self._session.settler.is_idle:
            self._session.settler.ring()

    def hurry(self) -> None:
        """Send what was collected, use what is free."""
        self.is_hurried = True
        self._session.wake(self)

    def nack(self, delivery: Delivery, delay: float) -> None:
        """Again in `delay` seconds."""
        super().nack(delivery, delay)
        self.hurry()

    @property
    def credit(self) -> int:
        """How many more it may hold. What it gives back frees credit when it is back, for it is to come first."""
        return super().credit - self._going_back

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Back to the head."""
        super().release(deliveries)
        self.hurry()

    def on_released(self, count: int) -> None:
        """They are on their way."""
        self._going_back += count

    def has_gone_back(self, count: int) -> None:
        """So many of what it released are at the head of the queue."""
        with self._lock:
            self._going_back -= count

    def pause(self) -> None:
        """Deliver nothing more, and fetch nothing more either."""
        super().pause()
        self._session.wake(self)
        if self._session.is_looking(self):
            self._is_quiet.wait(PAUSE_PATIENCE)

    def has_looked(self) -> None:
        """The reader has finished a round."""
        if self.is_paused:
            self._is_quiet.set()

    def flush(self, timeout: float) -> bool:
        """Wait until the server has confirmed everything."""
        self.hurry()
        return super().flush(timeout)

    def on_closed(self) -> None:
        """The settler sends the rest."""
        self.is_leaving = True
        self._session.wake(self)

    @property
    def is_worth_a_trip(self) -> bool:
        """Whether there is credit, and enough of it."""
        return self.credit >= (1 if self.is_hurried else self._batch)

    def deliver_entries(self, entries: Sequence[Entry]) -> None:
        """Hand over; what comes too late goes back at once."""
        deliveries = [self._delivery(entry) for entry in entries]
        if not self.hand_over(deliveries):
            self._give_back(deliveries)

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        with self._lock:
            self._settlements.extend(Settlement(Verb.RELEASE, delivery) for delivery in deliveries)
            self._unconfirmed += len(deliveries)
            self._released += len(deliveries)
        self._session.wake(self)

    def _delivery(self, entry: Entry) -> Delivery:
        delivery = Delivery(entry.message, self, entry.attempts + 1, entry.id, is_suspect=entry.is_suspect)
        time_to_live = self.queue.options.message_ttl
        if time_to_live is not None:
            delivery.is_expired = self._session.server_time() - entry.published >= time_to_live * 1000
        return delivery

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """In one step, on the server."""
        return all(self.move_all((delivery,), queue, (message,)))

    def move_all(
        self, deliveries: Sequence[Delivery], queue: str, messages: Sequence[Message]
    ) -> Sequence[bool]:
        """Each in one step, on the server; many steps in one trip."""
        if self.is_closed:
            return [True] * len(deliveries)  # gone back already, and moved when it fails again
        target = self._queues.get(queue)
        moved: list[bool] = []
        if target is not None:
            for first in range(0, len(deliveries), MOVE_BATCH):
                part = slice(first, first + MOVE_BATCH)
                moved += self._session.move(deliveries[part], self, target, messages[part])
        moved += [False] * (len(deliveries) - len(moved))
        for delivery, is_moved in zip(deliveries, moved, strict=True):
            if is_moved:
                self.take_away(delivery)
        if any(moved):
            self.queue.tell_of_room()
            self.hurry()
        return moved

    def note_start(self, delivery: Delivery) -> None:
        """On record before the handler runs."""
        args = (self.name, delivery.receipt, delivery.attempt)
        if not self._session.ask(scripts.NOTE_START.on(self.queue.keys.all, *args)):
            raise DriverUnavailable(self._session.driver, "its lease had run out")
