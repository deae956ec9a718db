"""One consumer of a queue in SQS.

Knows: whom to ring, how a dead letter leaves. Must not know: boto3.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from ...delivery import Delivery, Message
from ..held import HeldSubscription


@frozen(kw_only=True)
class Terms:
    """On which a consumer takes messages.

    Attributes:
        visibility: seconds, for which a message is ours at a time.
        wait_time: seconds of one long poll.
    """

    visibility: int
    wait_time: int


class Backend(Protocol):
    """What a subscription needs of its driver."""

    def ring(self) -> None:
        """Something was settled, or there is credit."""

    def store(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Put a message into another queue; False if that did not work."""


class SqsSubscription(HeldSubscription):
    """The books of one consumer.

    Args:
        consumer: who it is for.
        credit: how many deliveries it may hold.
        deliver: takes them.
        terms: its options.
        backend: settles, and stores dead letters.
    """

    def __init__(
        self,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        terms: Terms,
        backend: Backend,
    ) -> None:
        super().__init__(consumer=consumer, credit=credit, deliver=deliver, ring=backend.ring)
        self.terms = terms
        self._backend = backend

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Store it there; once that is confirmed, remove it here. SQS has no step that does both."""
        if self.is_closed:
            return True  # it has gone back already, and will be moved when it fails again
        if not self._backend.store(delivery, queue, message):
            return False
        self.ack((delivery,))
        return True

    def on_closed(self) -> None:
        """The settling thread forgets it by itself, once nothing of it is left."""
