"""A walk through what is ready in a queue, to take some of it out and leave the rest as it was.

Knows: the contract of drivers: what is taken and not settled goes back to the head, in order. Must not know: why
somebody wants which messages.

Every driver can do it, and nothing is lost however it ends: by itself, by Ctrl-C, or by `kill -9`, after which the
backend gives back what we held, as it does for any consumer.
"""

import os
import queue as queue_module
from collections.abc import Iterator, Sequence
from typing import Final, Self

from .delivery import Delivery, Message
from .driver import Subscription
from .errors import DriverUnavailable, QueueFull
from .queue import Queue

HOLD: Final = 10_000
"""How many messages a walk keeps in its hands at most: those that stay, for only so can it see what is behind them."""

QUIET: Final = 0.5
"""Seconds without a delivery after which it asks whether there is more."""

PATIENCE: Final = 30.0
"""Seconds for a backend to deliver what it says is there, and to confirm what was settled."""


class Sweep:
    """Hands out each message that is ready when it begins, once. What its user does not settle, it gives back.

    with Sweep(queue) as sweep:
        for delivery in sweep:
            if is_wanted(delivery.message):
                sweep.ack(delivery)

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

    def ack(self, delivery: Delivery) -> None:
        """Take it out."""
        if delivery.claim():
            self._subscribed.ack((delivery,))
        self._held.pop(id(delivery), None)

    def move(self, delivery: Delivery, target: Queue, message: Message, timeout: float) -> bool:
        """Put `message` into another queue and take the delivery out; False, and nothing done, if that has no room.

        One step on one driver. Between two, it is stored there before it is removed here.

        Raises:
            DriverUnavailable: of the other driver.
        """
        if target.driver is self._queue.driver:
            if not self._subscribed.move(delivery, target.name, message):
                return False
            delivery.claim()
            self._held.pop(id(delivery), None)
            return True
        try:
            target.driver.publish(target.name, [message], timeout)
        except QueueFull:
            return False
        self.ack(delivery)
        return True

    def __iter__(self) -> Iterator[Delivery]:
        seen: set[str] = set()
        count = 0
        for batch in self._batches():
            for delivery in batch:
                if self._limit is None:
                    if delivery.message.id in seen:
                        continue
                    seen.add(delivery.message.id)
                count += 1
                yield delivery
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
                self._hold(batch)
                yield batch

    @property
    def _quiet_enough(self) -> float:
        return QUIET if self._limit is not None else 4 * QUIET

    def _hold(self, batch: Sequence[Delivery]) -> None:
        self._held.update((id(delivery), delivery) for delivery in batch)

    def _hold_rest(self) -> None:
        while not self._inbox.empty():
            self._hold(self._inbox.get_nowait())

    @property
    def _subscribed(self) -> Subscription:
        assert self._subscription is not None, "a sweep is used by `with`"  # noqa: S101
        return self._subscription
