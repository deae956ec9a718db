"""One queue in memory: what is ready, in flight and delayed, and who takes it.

Knows: deques, locks and one timer thread. Must not know: codecs, policies, attempts' limits, actors.

The law of this file: a message is put into its new place before it is taken out of its old one, so that a thread
that dies between the two leaves it in both (delivered twice) and never in none (lost).
"""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define

from ..delivery import Delivery, Message
from ..driver import QueueInfo, Subscription
from ..errors import DriverUnavailable, QueueFull

ACK_BATCH = 16


@define(eq=False)
class _Record:
    """A message in the store. Compared by identity: two messages may carry the same ID."""

    message: Message
    attempts: int = 0
    nacked_by: str = ""


class MemoryQueue:
    """One bounded queue. Every state change happens inside `with queue`; `deliver` is called in there, too.

    Acks do not wait to get in: they are left at the door (`acked`), and whoever holds the lock, or takes it next,
    works them off. Workers that queue up for a lock which the interpreter took away from its holder in mid-step cost
    three times the time of all their work.

    Args:
        name: named in errors.
        max_length: how many messages may wait, ready or delayed.
        driver_name: named in errors.
        siblings: the queues of the same driver, by name, for dead letters.
        delays: shared by the queues of a driver.
    """

    def __init__(
        self,
        name: str,
        max_length: int,
        *,
        driver_name: str,
        siblings: "Mapping[str, MemoryQueue]",
        delays: "Delays",
    ) -> None:
        self.acked: deque[Delivery] = deque()
        self.siblings = siblings
        self._driver_name = driver_name
        self._lock = threading.Lock()
        self._name = name
        self._max_length = max_length
        self._delays = delays
        self._room = threading.Condition(self._lock)
        self._waiting_publishers = 0
        self._is_open = False
        self._ready: deque[_Record] = deque()
        self._delayed: set[_Record] = set()
        self._subscriptions: deque[_MemorySubscription] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._forget_acked()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._dispatch()
        finally:
            self._lock.release()
        self.work_off_acks()

    def leave_acked(self, deliveries: Sequence[Delivery]) -> None:
        """Leave acks at the door, and look after what lies there once it is worth it."""
        acked = self.acked
        acked.extend(deliveries)
        if len(acked) >= ACK_BATCH or self._waiting_publishers:
            self.work_off_acks()

    def work_off_acks(self) -> None:
        """Unless somebody is inside, who does it on the way out; but one who waits for room in there does not."""
        while self.acked and self._lock.acquire(blocking=self._waiting_publishers > 0):
            try:
                self._forget_acked()
                self._dispatch()
            finally:
                self._lock.release()

    def _forget_acked(self) -> None:
        acked = self.acked
        while acked:
            delivery = acked[0]
            delivery.subscription.forget(delivery)  # type: ignore[attr-defined]  # it is one of ours
            acked.popleft()

    def open(self) -> None:
        """Let publishers and consumers in."""
        with self:
            self._is_open = True
            self._room.notify_all()

    def close(self) -> None:
        """End every subscription and wake waiting publishers; messages stay."""
        with self:
            self._is_open = False
            self._room.notify_all()
            subscriptions = tuple(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()

    def set_max_length(self, max_length: int) -> None:
        """From now on; a waiting publisher may go on."""
        with self:
            self._max_length = max_length
            self._room.notify_all()

    def info(self) -> QueueInfo:
        """Exact figures."""
        with self:
            return QueueInfo(
                ready=len(self._ready),
                in_flight=sum(len(subscription.in_flight) for subscription in self._subscriptions),
                delayed=len(self._delayed),
                consumer_count=sum(not subscription.paused for subscription in self._subscriptions),
            )

    def publish(self, messages: Sequence[Message], timeout: float) -> None:
        """Append in order, waiting for room up to `timeout` seconds."""
        with self:
            if not self._is_open:
                raise DriverUnavailable(self._driver_name)
            if self._free_places() >= len(messages):
                self._append(messages)
            else:
                self._publish_as_room_appears(messages, timeout)

    def put(self, message: Message) -> bool:
        """Append one message without waiting; False if there is no room."""
        with self:
            if self._free_places() < 1:
                return False
            self._append((message,))
            return True

    def _publish_as_room_appears(self, messages: Sequence[Message], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        accepted = 0
        self._waiting_publishers += 1
        try:
            while True:
                # After saying that we wait: an ack left at the door before that is ours to work off.
                self._forget_acked()
                self._dispatch()
                taken = messages[accepted : accepted + max(0, self._free_places())]
                self._append(taken)
                accepted += len(taken)
                if accepted == len(messages):
                    return
                if not taken:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        raise QueueFull(self._name, accepted=accepted, timeout=timeout)
                    self._room.wait(remaining)
                    if not self._is_open:
                        raise DriverUnavailable(self._driver_name, accepted=accepted)
        finally:
            self._waiting_publishers -= 1

    def _free_places(self) -> int:
        return self._max_length - len(self._ready) - len(self._delayed)

    def _append(self, messages: Iterable[Message]) -> None:
        self._ready.extend([_Record(message) for message in messages])

    def subscribe(
        self, consumer: str, credit: int, deliver: Callable[[Sequence[Delivery]], None]
    ) -> "_MemorySubscription":
        """Let a consumer take part; what an earlier life of it held comes back first."""
        for earlier in tuple(self._subscriptions):
            if earlier.consumer == consumer:
                earlier.close()
        with self:
            if not self._is_open:
                raise DriverUnavailable(self._driver_name)
            subscription = _MemorySubscription(self, consumer, credit, deliver)
            self._subscriptions.append(subscription)
            return subscription

    def _dispatch(self) -> None:
        """Hand over what is ready as far as credit goes. Inside; everybody who leaves does it."""
        if not self._ready or not self._is_open:
            return
        if len(self._subscriptions) == 1:
            subscription = self._subscriptions[0]
            batch = self._take(subscription, min(subscription.credit, len(self._ready)))
            if batch:
                subscription.deliver(batch)
        else:
            self._dispatch_in_turns()
        if self._waiting_publishers and self._free_places() > 0:
            self._room.notify_all()

    def _dispatch_in_turns(self) -> None:
        batches: dict[_MemorySubscription, list[Delivery]] = {}
        while self._ready and (subscription := self._next_in_turn(self._ready[0])) is not None:
            batches.setdefault(subscription, []).extend(self._take(subscription, 1))
        for subscription, batch in batches.items():
            subscription.deliver(batch)

    def _next_in_turn(self, record: _Record) -> "_MemorySubscription | None":
        """Whose turn it is; what a consumer has just refused goes to another one, if one has credit.

        Otherwise two messages could come back in step to the wrong one of two consumers for ever, each of which may
        handle only one of them.
        """
        hungry = [subscription for subscription in self._subscriptions if subscription.credit > 0]
        if not hungry:
            return None
        others = (subscription for subscription in hungry if subscription.consumer != record.nacked_by)
        chosen = next(others, hungry[0])
        self._subscriptions.remove(chosen)
        self._subscriptions.append(chosen)
        return chosen

    def _take(self, subscription: "_MemorySubscription", count: int) -> list[Delivery]:
        ready, in_flight, batch = self._ready, subscription.in_flight, []
        for _ in range(count):
            record = ready[0]
            delivery = Delivery(record.message, subscription, record.attempts + 1, record)
            in_flight[record] = delivery
            ready.popleft()
            batch.append(delivery)
        subscription.credit -= len(batch)
        return batch

    def return_to_head(self, records: Sequence[_Record]) -> None:
        """Inside."""
        self._ready.extendleft(reversed(records))

    def delay(self, record: _Record, seconds: float) -> None:
        """Inside."""
        if seconds > 0:
            self._delayed.add(record)
            self._delays.add(seconds, self, record)
        else:
            self._ready.append(record)

    def end_delay(self, record: _Record) -> None:
        """Its time has come."""
        with self:
            self._ready.append(record)
            self._delayed.discard(record)

    def remove(self, subscription: "_MemorySubscription") -> None:
        """Inside."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)


class _MemorySubscription(Subscription):
    """The deliveries of one consumer, and its credit. Its state is its queue's and under its queue's lock."""

    def __init__(
        self,
        queue: MemoryQueue,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._queue = queue
        self.consumer = consumer
        self.credit = credit
        self.paused = False
        self.deliver = deliver
        self.in_flight: dict[_Record, Delivery] = {}

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._queue.leave_acked(deliveries)

    def hurry(self) -> None:
        self._queue.work_off_acks()

    def nack(self, delivery: Delivery, delay: float) -> None:
        with self._queue:
            record = delivery.receipt
            if record in self.in_flight:
                record.attempts, record.nacked_by = delivery.attempt, self.consumer
                self._queue.delay(record, delay)
                self.forget(delivery)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        with self._queue:
            known = [delivery for delivery in deliveries if delivery.receipt in self.in_flight]
            self._queue.return_to_head([delivery.receipt for delivery in known])
            for delivery in known:
                self.forget(delivery)

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        if self.is_closed:
            return True  # it has gone back already, and will be moved when it fails again
        target = self._queue.siblings.get(queue)
        if target is None or not target.put(message):
            return False
        self.ack((delivery,))
        return True

    def unsettled(self) -> Sequence[Delivery]:
        with self._queue:
            return tuple(self.in_flight.values())

    def pause(self) -> None:
        with self._queue:
            self.paused = True
            self.credit = 0

    def close(self) -> None:
        self.pause()
        with self._queue:
            self.is_closed = True
            for record, delivery in self.in_flight.items():
                if delivery.started:
                    record.attempts = delivery.attempt
            self._queue.return_to_head(tuple(self.in_flight))
            self.in_flight = {}
            self._queue.remove(self)

    def forget(self, delivery: Delivery) -> None:
        """It is settled. Inside its queue."""
        if self.in_flight.pop(delivery.receipt, None) is not None and not self.paused:
            self.credit += 1


class Delays:
    """Gives delayed records back when their time has come. One thread, started with the first delay."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, MemoryQueue, _Record]] = []
        self._order = itertools.count()
        self._is_open = False
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Go on giving back."""
        with self._changed:
            self._is_open = True
            if self._heap:
                self._ensure_thread()

    def close(self) -> None:
        """Keep what is delayed, and end the thread."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def add(self, seconds: float, queue: MemoryQueue, record: _Record) -> None:
        """Give the record back to its queue in so many seconds."""
        with self._changed:
            heapq.heappush(self._heap, (self._clock() + seconds, next(self._order), queue, record))
            if self._is_open:
                self._ensure_thread()
            self._changed.notify()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memory-driver-delays", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            queue, record = due
            queue.end_delay(record)

    def _next_due(self) -> tuple[MemoryQueue, _Record] | None:
        with self._changed:
            while self._is_open:
                if not self._heap:
                    self._changed.wait()
                elif (wait := self._heap[0][0] - self._clock()) > 0:
                    self._changed.wait(wait)
                else:
                    return heapq.heappop(self._heap)[2:]
            return None
