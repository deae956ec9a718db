"""A driver for a store that one process reads and writes under a lock: a folder, an embedded database, a file.

Knows: credit, fair shares, delays, waiting for room, whose delivery is whose. Must not know: where messages lie.

Somebody with such a store writes a `Store`, a few small steps, and a subclass of StoreDriver that makes it. Drivers
with a server are made of HeldSubscription and IoThread directly, for they send batches.
"""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..delivery import Delivery, Message
from ..driver import (
    Driver,
    MessageState,
    QueueDeclaration,
    QueueInfo,
    QueueOptions,
    StoredMessage,
    Subscription,
)
from ..errors import DriverUnavailable, QueueFull, QueueNotFound
from .held import HeldSubscription, Settlement, Verb
from .io_thread import LONGEST_WAIT, IoThread
from .store import STATES, Store

CLOSING_TIME = 5.0


class StoreSubscription(HeldSubscription):
    """One consumer's part of a queue.

    Attributes:
        queue: its queue's name.
        is_finished: it was closed, and will settle nothing more.
    """

    def __init__(
        self,
        driver: "StoreDriver",
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
    ) -> None:
        super().__init__(consumer=consumer, credit=credit, deliver=deliver, ring=driver.ring)
        self.queue = queue
        self.is_finished = False
        self._driver = driver

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Into the other queue, then out of this one."""
        return self._driver.move(self, delivery, queue, message)

    def on_closed(self) -> None:
        """Everything it held lies in its settlements now."""
        self.is_finished = True
        self._driver.ring()


class StoreDriver(Driver):
    """Delivers what lies in a Store. A subclass says which one.

    Its thread settles, ends delays and delivers, a round at a time; publishers write by themselves.
    """

    def __init__(self, name: str, config: Any = None) -> None:
        super().__init__(name, config)
        self._store = self.make_store()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queues: dict[str, QueueOptions] = {}
        self._subscriptions: list[StoreSubscription] = []
        self._thread: IoThread | None = None
        self._is_open = False
        self._loss: OSError | None = None

    @abstractmethod
    def make_store(self) -> Store[Any]:
        """A new store, not open yet, for each time the driver opens. `self.config` says where it is."""

    # ---- for the runtime -------------------------------------------------------------------------------

    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Open the store and start to deliver."""
        with self._lock:
            if self._is_open:
                return
            self._store, self._loss = self.make_store(), None
            try:
                self._store.open()
                for queue in self._queues:
                    self._store.declare(queue)
            except OSError as error:
                self._store.close()
                raise DriverUnavailable(self.name, str(error)) from error
            self._thread = IoThread(self.name, self._round, lambda error: self._ended(error, failed))
            self._is_open = True
            self._thread.start()

    def close(self) -> None:
        """Give everything back, wake waiting publishers, and let the store go."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._is_open = False
            self._changed.notify_all()
            subscriptions = tuple(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()
        if thread is not None:
            thread.stop(CLOSING_TIME)
            with self._lock:
                self._store.close()

    def declare(self, queue: QueueDeclaration) -> None:
        """Make the queue, or take over its new options; a publisher who waits for room looks again."""
        with self._lock, self._reached():
            self._need_open()
            self._store.declare(queue.name)
            self._queues[queue.name] = queue.options
            self._changed.notify_all()

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Write the messages, as far as there is room, and wait for more."""
        deadline = time.monotonic() + timeout
        accepted = 0
        with self._lock:
            while True:
                self._need_queue(queue)
                self._need_open(accepted)
                try:
                    for message in messages[accepted : accepted + self._room(queue, len(messages))]:
                        self._store.put(queue, message)
                        accepted += 1
                except OSError as error:
                    raise self._lost(error, accepted) from error
                self.ring()
                if accepted == len(messages):
                    return
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise QueueFull(queue, accepted=accepted, timeout=timeout)
                self._changed.wait(min(remaining, LONGEST_WAIT))

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,  # noqa: ARG002  (it has none)
    ) -> Subscription:
        """Take part in a queue; an earlier life of the same consumer ends first."""
        for earlier in tuple(self._subscriptions):
            if (earlier.queue, earlier.consumer) == (queue, consumer):
                earlier.close()
        with self._lock:
            self._need_queue(queue)
            self._need_open()
            made = StoreSubscription(self, queue, consumer=consumer, credit=credit, deliver=deliver)
            self._subscriptions.append(made)
        self.ring()
        return made

    def info(self, queue: str) -> QueueInfo:
        """Exact figures."""
        with self._lock, self._reached():
            self._need_queue(queue)
            ready, delayed, in_flight = (len(self._store.keys(queue, state)) for state in STATES)
            consumers = sum(each.queue == queue and not each.is_paused for each in self._subscriptions)
        return QueueInfo(ready=ready, delayed=delayed, in_flight=in_flight, consumer_count=consumers)

    def purge(self, queue: str) -> int:
        """Remove what is ready or delayed."""
        count = 0
        with self._lock, self._reached():
            self._need_queue(queue)
            self._need_open()
            for state in STATES[:2]:
                for key in self._store.keys(queue, state):
                    self._store.remove(key)
                    count += 1
            self._changed.notify_all()
        return count

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """Ready, then delayed, then in flight."""
        with self._lock, self._reached():
            self._need_queue(queue)
            self._need_open()
            places = [(state, key) for state in STATES for key in self._store.keys(queue, state)][:limit]
            kept = [(state, self._store.read(key)) for state, key in places]
        return [
            StoredMessage(message=each.message, attempts=each.attempts, state=state) for state, each in kept
        ]

    # ---- for its subscriptions -------------------------------------------------------------------------

    def ring(self) -> None:
        """There is something to do."""
        if self._thread is not None:
            self._thread.ring()

    def move(self, subscription: StoreSubscription, delivery: Delivery, queue: str, message: Message) -> bool:
        """Store it there, then remove it here."""
        with self._lock:
            if not self._is_open or queue not in self._queues:
                return False
            try:
                with self._reached():
                    if self._room(queue, 1) < 1:
                        return False
                    if subscription.take_away(delivery):  # otherwise it has gone back already
                        self._store.put(queue, message)
                        self._store.remove(delivery.receipt)
            except DriverUnavailable:
                return False
        self.ring()
        return True

    # ---- in its thread -----------------------------------------------------------------------------------

    def _round(self) -> float | None:
        with self._lock:
            if self._loss is not None:
                raise self._loss
            self._settle()
            waits = [self._store.end_delays(queue) for queue in self._queues]
            dealt = self._deal()
            self._changed.notify_all()
        refused = [
            Settlement(Verb.RELEASE, delivery)
            for subscription, deliveries in dealt.items()
            if not subscription.hand_over(deliveries)
            for delivery in deliveries
        ]
        with self._lock:
            for settlement in refused:
                self._carry_out(settlement)
        return 0 if refused else min((wait for wait in waits if wait is not None), default=None)

    def _settle(self) -> None:
        for subscription in tuple(self._subscriptions):
            is_finished = subscription.is_finished  # before its last settlements are taken
            settlements = subscription.take_settlements()
            for settlement in settlements:
                self._carry_out(settlement)
            subscription.confirm(len(settlements))
            if is_finished:
                self._subscriptions.remove(subscription)

    def _carry_out(self, settlement: Settlement) -> None:
        delivery, delay = settlement.delivery, settlement.delay
        match settlement.verb:
            case Verb.ACK:
                self._store.remove(delivery.receipt)
            case Verb.NACK:
                state: MessageState = "delayed" if delay > 0 else "ready"
                self._store.shift(delivery.receipt, state, attempts=delivery.attempt, delay=delay)
            case Verb.RELEASE:
                self._store.shift(delivery.receipt, "ready", attempts=delivery.attempt - 1)
            case Verb.RETURN:
                self._store.shift(delivery.receipt, "ready", attempts=delivery.attempt)

    def _deal(self) -> dict[StoreSubscription, list[Delivery]]:
        """One message to each in turn, as far as their credit goes."""
        dealt: dict[StoreSubscription, list[Delivery]] = {}
        for queue in {each.queue for each in self._subscriptions if each.credit > 0}:
            for key in self._store.keys(queue, "ready"):
                whose = self._next_in_turn(queue, dealt)
                if whose is None:
                    break
                dealt.setdefault(whose, []).append(self._claim(queue, key, whose))
        return dealt

    def _next_in_turn(
        self, queue: str, dealt: dict[StoreSubscription, list[Delivery]]
    ) -> StoreSubscription | None:
        for subscription in self._subscriptions:
            if subscription.queue == queue and subscription.credit > len(dealt.get(subscription, ())):
                self._subscriptions.remove(subscription)
                self._subscriptions.append(subscription)
                return subscription
        return None

    def _claim(self, queue: str, key: Any, subscription: StoreSubscription) -> Delivery:
        kept = self._store.read(key)
        receipt = self._store.shift(key, "in_flight", attempts=kept.attempts)
        delivery = Delivery(kept.message, subscription, kept.attempts + 1, receipt)
        limit = self._queues[queue].message_ttl
        delivery.is_expired = limit is not None and kept.age >= limit
        return delivery

    def _ended(self, error: BaseException | None, failed: Callable[[BaseException], None]) -> None:
        if error is None:
            return
        with self._lock:
            self._is_open = False
            lost, self._subscriptions = self._subscriptions, []
            self._changed.notify_all()
        for subscription in lost:
            subscription.lose()
        failed(DriverUnavailable(self.name, str(error)))

    # ---- inside ----------------------------------------------------------------------------------------

    def _need_queue(self, queue: str) -> None:
        if queue not in self._queues:
            raise QueueNotFound(queue)

    def _need_open(self, accepted: int = 0) -> None:
        if not self._is_open:
            raise DriverUnavailable(self.name, accepted=accepted)

    def _room(self, queue: str, wanted: int) -> int:
        limit = self._queues[queue].max_length
        if not limit:
            return wanted
        return max(0, limit - sum(len(self._store.keys(queue, state)) for state in STATES[:2]))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: OSError, accepted: int = 0) -> DriverUnavailable:
        """Whoever asked hears it now; the thread, which is next, tells everybody."""
        self._loss = error
        self.ring()
        return DriverUnavailable(self.name, str(error), accepted=accepted)
