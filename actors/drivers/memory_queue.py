"""One queue in memory: what is ready, in flight and delayed, and who takes it.

Knows: deques and a lock. Must not know: codecs, policies, attempts' limits, actors.

The law of this file: a message is put into its new place before it is taken out of its old one, so that a thread
that dies between the two leaves it in both (delivered twice) and never in none (lost).
"""

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

from attrs import define

from ..delivery import Delivery, Message
from ..driver import MessageState, QueueInfo, StoredMessage, Subscription
from ..errors import DriverUnavailable, QueueFull
from .delays import LONGEST_WAIT, Delays

ACK_BATCH = 16

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@define(eq=False)
class _Record:
    """A message in the store. Compared by identity: two messages may carry the same ID."""

    message: Message
    attempts: int = 0
    nacked_by: str = ""
    expires: float = math.inf


class MemoryQueue:
    """One bounded queue. Every change of its state is a step `_inside`; `deliver` is called in there, too.

    Acks do not wait to get in: they are left at the door (`_acked`), and whoever is inside, or comes next, works them
    off. Workers that queue up for a lock which the interpreter took away from its holder in mid-step cost three times
    the time of all their work.

    Args:
        name: named in errors.
        driver_name: named in errors.
        siblings: the queues of the same driver, by name, for dead letters.
        delays: shared by the queues of a driver.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        driver_name: str,
        siblings: "Mapping[str, MemoryQueue]",
        delays: Delays,
        clock: Callable[[], float],
    ) -> None:
        self.siblings = siblings
        self._acked: deque[Delivery] = deque()
        self._driver_name = driver_name
        self._lock = threading.Lock()
        self._name = name
        self._max_length = 0
        self._message_ttl: float | None = None
        self._delays = delays
        self._clock = clock
        self._room = threading.Condition(self._lock)
        self._waiting_publishers = 0
        self._is_open = False
        self._ready: deque[_Record] = deque()
        self._delayed: set[_Record] = set()
        self._subscriptions: deque[_MemorySubscription] = deque()

    def inside(
        self, step: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Do a step under the lock, acks worked off before it and deliveries handed over after it.

        The lock is only ever taken by a `with` statement: no signal's exception, a Ctrl-C in a publishing thread
        say, can come between taking it and being bound to give it back.
        """
        try:
            with self._lock:
                self._forget_acked()
                try:
                    result = step(*args, **kwargs)
                finally:
                    self._dispatch()
        finally:
            self.work_off_acks()
        return result

    def leave_acked(self, deliveries: Sequence[Delivery]) -> None:
        """Leave acks at the door, and look after what lies there once it is worth it."""
        self._acked.extend(deliveries)
        if len(self._acked) >= ACK_BATCH or self._waiting_publishers:
            self.work_off_acks()

    def work_off_acks(self) -> None:
        """Unless somebody is inside, who does it on the way out; but one who waits for room in there does not."""
        while self._acked and (self._waiting_publishers or not self._lock.locked()):
            with self._lock:
                self._forget_acked()
                self._dispatch()

    def _forget_acked(self) -> None:
        acked = self._acked
        while acked:
            delivery = acked[0]
            delivery.subscription.forget(delivery)  # type: ignore[attr-defined]  # it is one of ours
            acked.popleft()

    # ---- from outside --------------------------------------------------------------------------------

    def open(self) -> None:
        """Let publishers and consumers in."""
        self.inside(self._set_open, is_open=True)

    def close(self) -> None:
        """End every subscription and wake waiting publishers; messages stay."""
        self.inside(self._set_open, is_open=False)
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def set_bounds(self, max_length: int, message_ttl: float | None) -> None:
        """How many messages may wait, ready or delayed, and how long each; a waiting publisher may go on."""
        self.inside(self._set_bounds, max_length, message_ttl)

    def info(self) -> QueueInfo:
        """Exact figures."""
        return self.inside(self._info)

    def publish(self, messages: Sequence[Message], timeout: float) -> None:
        """Append in order, waiting for room up to `timeout` seconds."""
        self.inside(self._publish, messages, timeout)

    def put(self, message: Message) -> bool:
        """Append one message without waiting; False if there is no room."""
        return self.inside(self._put, message)

    def subscribe(
        self, consumer: str, credit: int, deliver: Callable[[Sequence[Delivery]], None]
    ) -> "_MemorySubscription":
        """Let a consumer take part; what an earlier life of it held comes back first."""
        for earlier in tuple(self._subscriptions):
            if earlier.consumer == consumer:
                earlier.close()
        return self.inside(self._subscribe, _MemorySubscription(self, consumer, credit, deliver))

    def end_delay(self, record: _Record) -> None:
        """Its time has come."""
        self.inside(self._end_delay, record)

    def purge(self) -> int:
        """Remove what is ready or delayed."""
        return self.inside(self._purge)

    def peek(self, limit: int) -> list[StoredMessage]:
        """Ready, then delayed, then in flight."""
        return self.inside(self._peek, limit)

    # ---- inside --------------------------------------------------------------------------------------

    def _set_open(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._room.notify_all()

    def _set_bounds(self, max_length: int, message_ttl: float | None) -> None:
        self._max_length, self._message_ttl = max_length, message_ttl
        self._room.notify_all()

    def _info(self) -> QueueInfo:
        return QueueInfo(
            ready=len(self._ready),
            in_flight=sum(len(subscription.in_flight) for subscription in self._subscriptions),
            delayed=len(self._delayed),
            consumer_count=sum(not subscription.paused for subscription in self._subscriptions),
        )

    def _purge(self) -> int:
        if not self._is_open:
            raise DriverUnavailable(self._driver_name)
        count = len(self._ready) + len(self._delayed)
        self._ready.clear()
        self._delayed.clear()
        self._room.notify_all()
        return count

    def _peek(self, limit: int) -> list[StoredMessage]:
        if not self._is_open:
            raise DriverUnavailable(self._driver_name)
        flying = [record for subscription in self._subscriptions for record in subscription.in_flight]
        states: tuple[tuple[Iterable[_Record], MessageState], ...] = (
            (self._ready, "ready"),
            (self._delayed, "delayed"),
            (flying, "in_flight"),
        )
        found = (
            StoredMessage(message=record.message, attempts=record.attempts, state=state)
            for records, state in states
            for record in records
        )
        return list(itertools.islice(found, limit))

    def _publish(self, messages: Sequence[Message], timeout: float) -> None:
        if not self._is_open:
            raise DriverUnavailable(self._driver_name)
        if self._free_places() >= len(messages):
            self._append(messages)
        else:
            self._publish_as_room_appears(messages, timeout)

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
                    self._room.wait(min(remaining, LONGEST_WAIT))
                    if not self._is_open:
                        raise DriverUnavailable(self._driver_name, accepted=accepted)
        finally:
            self._waiting_publishers -= 1

    def _put(self, message: Message) -> bool:
        if self._free_places() < 1:
            return False
        self._append((message,))
        return True

    def _free_places(self) -> int:
        return self._max_length - len(self._ready) - len(self._delayed)

    def _append(self, messages: Iterable[Message]) -> None:
        expires = math.inf if self._message_ttl is None else self._clock() + self._message_ttl
        self._ready.extend([_Record(message, expires=expires) for message in messages])

    def _subscribe(self, subscription: "_MemorySubscription") -> "_MemorySubscription":
        if not self._is_open:
            raise DriverUnavailable(self._driver_name)
        self._subscriptions.append(subscription)
        return subscription

    def _end_delay(self, record: _Record) -> None:
        if record in self._delayed:
            self._ready.append(record)
            self._delayed.discard(record)

    def _dispatch(self) -> None:
        """Hand over what is ready as far as credit goes. Everybody who leaves does it."""
        if self._ready and self._is_open:
            if len(self._subscriptions) == 1:
                subscription = self._subscriptions[0]
                self._take(subscription, min(subscription.credit, len(self._ready)))
            else:
                self._take_in_turns()
            if self._waiting_publishers and self._free_places() > 0:
                self._room.notify_all()
        for subscription in self._subscriptions:
            if subscription.taken:
                subscription.hand_over()

    def _take_in_turns(self) -> None:
        while self._ready and (subscription := self._next_in_turn(self._ready[0])) is not None:
            self._take(subscription, 1)

    def _next_in_turn(self, record: _Record) -> "_MemorySubscription | None":
        """Whose turn it is; what a consumer has just refused goes to another one, if one has credit.

        Otherwise two messages could come back in step to the wrong one of two consumers for ever, each of which may
        handle only one of them.
        """
        hungry = [
            (place, subscription)
            for place, subscription in enumerate(self._subscriptions)
            if subscription.credit > 0
        ]
        if not hungry:
            return None
        others = (turn for turn in hungry if turn[1].consumer != record.nacked_by)
        place, subscription = next(others, hungry[0])
        self._subscriptions.rotate(-place - 1)
        return subscription

    def _take(self, subscription: "_MemorySubscription", count: int) -> None:
        ready, in_flight, taken = self._ready, subscription.in_flight, subscription.taken
        for _ in range(count):
            record = ready[0]
            delivery = Delivery(record.message, subscription, record.attempts + 1, record)
            if record.expires != math.inf:
                delivery.is_expired = self._clock() >= record.expires
            in_flight[record] = delivery
            taken.append(delivery)
            ready.popleft()

    def return_to_head(self, records: Sequence[_Record]) -> None:
        """In their old order."""
        self._ready.extendleft(reversed(records))

    def delay(self, record: _Record, seconds: float) -> None:
        """To the tail, now or later."""
        if seconds > 0:
            self._delayed.add(record)
            self._delays.add(seconds, partial(self.end_delay, record))
        else:
            self._ready.append(record)

    def remove(self, subscription: "_MemorySubscription") -> None:
        """It takes part no more."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)


class _MemorySubscription(Subscription):
    """The deliveries of one consumer. Its state is its queue's, and changes inside its queue.

    Attributes:
        in_flight: delivered and not settled.
        taken: those of them that `deliver` has not had yet. Whoever is inside next goes on with them, should a thread
            die between taking and delivering; the consumer that they are for is not the one that would be repaired.
    """

    def __init__(
        self,
        queue: MemoryQueue,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self.consumer = consumer
        self.paused = False
        self.in_flight: dict[_Record, Delivery] = {}
        self.taken: list[Delivery] = []
        self._queue = queue
        self._limit = credit
        self._deliver = deliver

    @property
    def credit(self) -> int:
        """How many more it may hold."""
        return 0 if self.paused else self._limit - len(self.in_flight)

    def hand_over(self) -> None:
        """Deliver what was taken. Inside."""
        if not self.paused:
            self._deliver(tuple(self.taken))
            self.taken.clear()

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._queue.leave_acked(deliveries)

    def hurry(self) -> None:
        self._queue.work_off_acks()

    def nack(self, delivery: Delivery, delay: float) -> None:
        self._queue.inside(self._nack, delivery, delay)

    def _nack(self, delivery: Delivery, delay: float) -> None:
        record = delivery.receipt
        if record in self.in_flight:
            record.attempts, record.nacked_by = delivery.attempt, self.consumer
            self._queue.delay(record, delay)
            self.forget(delivery)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        self._queue.inside(self._release, deliveries)

    def _release(self, deliveries: Sequence[Delivery]) -> None:
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
        return self._queue.inside(lambda: tuple(self.in_flight.values()))

    def pause(self) -> None:
        self._queue.inside(self._pause)

    def _pause(self) -> None:
        self.paused = True

    def close(self) -> None:
        self._queue.inside(self._close)

    def _close(self) -> None:
        self.paused = self.is_closed = True
        for record, delivery in self.in_flight.items():
            if delivery.started:
                record.attempts = delivery.attempt
        self._queue.return_to_head(tuple(self.in_flight))
        self.in_flight = {}
        self.taken.clear()
        self._queue.remove(self)

    def forget(self, delivery: Delivery) -> None:
        """It is settled. Inside."""
        self.in_flight.pop(delivery.receipt, None)
