"""What one consumer holds of a backend's queue, and what it has said of it: the part that every driver shares.

Knows: deliveries, credit, settlements in the order they were made. Must not know: any backend.
"""

import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from attrs import define

from ..delivery import Delivery
from ..driver import Subscription


class Verb(Enum):
    """What a consumer has said of a delivery."""

    ACK = "ack"
    NACK = "nack"
    RELEASE = "release"
    RETURN = (
        "return"  # as release, but the attempt counts: its handler had begun when the subscription closed
    )


@define(eq=False)
class Settlement:
    """A delivery that is off its consumer's books, and what the backend is to do with it."""

    verb: Verb
    delivery: Delivery
    delay: float = 0.0


class HeldSubscription(Subscription):
    """The books of one consumer. Its verbs never wait: they leave settlements, and ring the driver's thread.

    The driver's thread asks for `credit`, fetches that much, hands it over, takes what was settled, and confirms it
    once the backend has it. Thread-safe; receipts are hashable and unique within the subscription.

    Args:
        consumer: who it is for.
        credit: how many deliveries it may hold.
        deliver: takes them; returns at once and never raises.
        ring: wakes the driver's thread.
    """

    def __init__(
        self,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        ring: Callable[[], None],
    ) -> None:
        self.consumer = consumer
        self.is_paused = False
        self._limit = credit
        self._deliver = deliver
        self._ring = ring
        self._lock = threading.Lock()
        self._all_confirmed = threading.Condition(self._lock)
        self._held: dict[Any, Delivery] = {}
        self._settlements: deque[Settlement] = deque()
        self._unconfirmed = 0
        self._released = 0
        self._is_lost = False
        # Held while `deliver` runs, so that `pause` returns only when it does not.
        self._delivering = threading.Lock()

    # ---- for the consumer ----------------------------------------------------------------------------

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Done."""
        self._settle([Settlement(Verb.ACK, delivery) for delivery in deliveries])

    def nack(self, delivery: Delivery, delay: float) -> None:
        """Again in `delay` seconds."""
        self._settle([Settlement(Verb.NACK, delivery, delay)])

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Back to the head, uncounted."""
        self._settle([Settlement(Verb.RELEASE, delivery) for delivery in deliveries])

    def unsettled(self) -> Sequence[Delivery]:
        """What it holds."""
        with self._lock:
            return tuple(self._held.values())

    def pause(self) -> None:
        """Deliver nothing more."""
        with self._delivering:
            self.is_paused = True
        self._ring()

    def close(self) -> None:
        """Give back what it holds; the driver's thread carries it out."""
        self.pause()
        self.is_closed = True
        with self._lock:
            held = list(self._held.values())
        self._settle([Settlement(Verb.RETURN if each.started else Verb.RELEASE, each) for each in held])
        self.on_closed()

    def flush(self, timeout: float) -> bool:
        """Wait until the backend has confirmed everything that was settled."""
        self._ring()
        deadline = time.monotonic() + timeout
        with self._lock:
            while self._unconfirmed and not self._is_lost:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._all_confirmed.wait(remaining)
            return not self._is_lost or not self._unconfirmed

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        with self._lock:
            for settlement in settlements:
                if settlement.delivery.receipt in self._held:
                    self._settlements.append(settlement)
                    self._unconfirmed += 1
                    self._released += settlement.verb is Verb.RELEASE
                    del self._held[settlement.delivery.receipt]
        self._ring()

    # ---- for the driver ------------------------------------------------------------------------------

    @property
    def credit(self) -> int:
        """How many more it may hold.

        What it has released counts until the driver has taken that settlement: what is released comes before
        everything else, so nothing else may be fetched in its place meanwhile.
        """
        return 0 if self.is_paused or self.is_closed else self._limit - len(self._held) - self._released

    def hand_over(self, deliveries: Sequence[Delivery]) -> bool:
        """Enter deliveries into the books and deliver them; False, and nothing done, if it is paused.

        The driver then releases them.
        """
        with self._delivering:
            if self.is_paused:
                return False
            with self._lock:
                self._held.update((delivery.receipt, delivery) for delivery in deliveries)
            self._deliver(deliveries)
        return True

    def take_settlements(self) -> list[Settlement]:
        """What was settled since the last time, in order. Each has to be confirmed."""
        taken = []
        while self._settlements:
            taken.append(self._settlements.popleft())
        released = sum(settlement.verb is Verb.RELEASE for settlement in taken)
        if released:
            with self._lock:
                self._released -= released
                self.on_released(released)
        return taken

    def on_released(self, count: int) -> None:
        """The driver has taken so many releases. For one that fetches while it settles; called under the lock."""

    def confirm(self, count: int) -> None:
        """The backend has carried out so many settlements."""
        with self._lock:
            self._unconfirmed -= count
            if not self._unconfirmed:
                self._all_confirmed.notify_all()

    def take_away(self, delivery: Delivery) -> bool:
        """Take a delivery off the books without a settlement, as after a move; False if it was not on them."""
        with self._lock:
            return self._held.pop(delivery.receipt, None) is not None

    def lose(self) -> None:
        """The backend is gone: forget everything, it will come back by itself. Nobody waits for confirmation."""
        with self._delivering:
            self.is_paused = self.is_closed = True
        with self._lock:
            self._is_lost = True
            self._held.clear()
            self._settlements.clear()
            self._released = 0
            self._all_confirmed.notify_all()

    @abstractmethod
    def on_closed(self) -> None:
        """The subscription was closed: the driver forgets it once its last settlements are confirmed.

        May be called more than once.
        """
