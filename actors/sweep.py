"""A walk through what is ready in a queue, to take some of it out and leave the rest as it was.

Knows: the contract of drivers: what is taken and not settled goes back to the head, in order. Must not know: why
somebody wants which messages.

Every driver can do it, and nothing is lost however it ends: by itself, by Ctrl-C, or by `kill -9`, after which the
backend gives back what we held, as it does for any consumer.
"""

import os
import queue as queue_module
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final, Self

from .delivery import Delivery, Message
from .driver import Subscription
from .errors import BodyRefused, DriverRefused, DriverUnavailable, QueueFull
from .queue import Queue

HOLD: Final = 10_000
"""How many messages a walk keeps in its hands at most: those that stay, for only so can it see what is behind them."""

TOGETHER: Final = 500
"""How many messages it hands out at a time, or a few more."""

QUIET: Final = 0.5
"""Seconds without a delivery after which it asks whether there is more."""

PATIENCE: Final = 30.0
"""Seconds for a backend to deliver what it says is there, and to confirm what was settled."""


class Sweep:
    """Hands out the messages that are ready when it begins, each once, many at a time. What is not settled goes back.

    with Sweep(queue) as sweep:
        for deliveries in sweep:
            sweep.ack([each for each in deliveries if is_wanted(each.message)])

    Args:
        queue: an open one.

    Attributes:
        unseen: how many messages it did not look at, as far as that is known: behind more than HOLD that stay, or not
            delivered in time.
    """

    def __init__(self, queue: Queue) -> None:
        self.unseen = 0
        self._queue = queue
        self._inbox: queue_module.SimpleQueue[Sequence[Delivery]] = queue_module.SimpleQueue()
        self._held: dict[int, Delivery] = {}
        # What comes while we look, our own work may have brought. Where figures are estimates, IDs must do.
        self._limit = queue.info().ready if queue.driver.features.exact_info else None
        self._credit = HOLD if self._limit is None else max(1, min(HOLD, self._limit))
        self._subscription: Subscription | None = None

    def __enter__(self) -> Self:
        name = f"sweep-{os.getpid()}"
        self._subscription = self._queue.driver.subscribe(
            self._queue.name, consumer=name, credit=self._credit, deliver=self._inbox.put
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        subscription = self._subscribed
        subscription.pause()
        self._hold_rest()
        if self._held:
            subscription.release(tuple(self._held.values()))
        subscription.hurry()
        is_confirmed = subscription.flush(PATIENCE)
        subscription.close()
        if not is_confirmed and kind is None:
            problem = "it did not confirm everything: what was taken out may be there again"
            raise DriverUnavailable(self._queue.driver.name, problem)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Take them out."""
        self._subscribed.ack([delivery for delivery in deliveries if delivery.claim()])
        self._forget(deliveries)

    def move(
        self, deliveries: Sequence[Delivery], target: Queue, messages: Sequence[Message], timeout: float
    ) -> int:
        """Put a message into another queue for each delivery, and take that out; how many, before there was no room.

        One step on one driver. Between two, they are stored there before they are removed here.

        Raises:
            DriverUnavailable, DriverRefused, BodyRefused: of the other driver.
        """
        if target.driver is self._queue.driver:
            came_of = self._subscribed.move_all(deliveries, target.name, messages)
            moved = [delivery for delivery, is_moved in zip(deliveries, came_of, strict=True) if is_moved]
            for delivery in moved:
                delivery.claim()
            self._forget(moved)
            return len(moved)
        try:
            return self._move_between(deliveries, target, messages, timeout)
        except (BodyRefused, DriverRefused):
            if len(messages) == 1:
                raise
        # One that cannot be stored there must not hold up those before it.
        pairs = zip(deliveries, messages, strict=True)
        ends = takewhile(bool, (self.move([each], target, [message], timeout) for each, message in pairs))
        return sum(ends)

    def _move_between(
        self, deliveries: Sequence[Delivery], target: Queue, messages: Sequence[Message], timeout: float
    ) -> int:
        try:
            target.driver.publish(target.name, messages, timeout)
        except QueueFull as error:
            self.ack(deliveries[: error.accepted])
            return error.accepted
        except DriverUnavailable as error:
            self.ack(deliveries[: error.accepted])
            raise
        self.ack(deliveries)
        return len(deliveries)

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._held.pop(id(delivery), None)

    def __iter__(self) -> Iterator[Sequence[Delivery]]:
        seen: set[str] = set()
        count = 0
        for batch in self._batches():
            fresh = batch if self._limit is not None else _first_of_each(batch, seen)
            count += len(fresh)
            yield fresh
            if self._limit is not None and count >= self._limit:
                return
            if len(self._held) >= self._credit:
                self.unseen = self._queue.info().ready
                return

    def _batches(self) -> Iterator[Sequence[Delivery]]:
        silence = 0.0
        while self._limit != 0:
            self._subscribed.hurry()
            try:
                batch = self._inbox.get(timeout=QUIET)
            except queue_module.Empty:
                silence += QUIET
                ready = self._queue.info().ready
                if (not ready and silence >= self._quiet_enough) or silence >= PATIENCE:
                    self.unseen = ready
                    return
            else:
                silence = 0.0
                yield self._with_what_lies_there(batch)

    @property
    def _quiet_enough(self) -> float:
        return QUIET if self._limit is not None else 4 * QUIET

    def _with_what_lies_there(self, first: Sequence[Delivery]) -> Sequence[Delivery]:
        """Some drivers deliver one at a time, and what is settled together costs little more than one."""
        batch = list(first)
        self._hold(first)
        while len(batch) < TOGETHER and not self._inbox.empty():
            more = self._inbox.get_nowait()
            self._hold(more)
            batch += more
        return batch

    def _hold(self, batch: Sequence[Delivery]) -> None:
        self._held.update((id(delivery), delivery) for delivery in batch)

    def _hold_rest(self) -> None:
        while not self._inbox.empty():
            self._hold(self._inbox.get_nowait())

    @property
    def _subscribed(self) -> Subscription:
        assert self._subscription is not None, "a sweep is used by `with`"  # noqa: S101
        return self._subscription


def _first_of_each(batch: Sequence[Delivery], seen: set[str]) -> list[Delivery]:
    """Those whose IDs were not seen yet; they are then."""
    found = []
    for delivery in batch:
        if delivery.message.id not in seen:
            seen.add(delivery.message.id)
            found.append(delivery)
    return found
