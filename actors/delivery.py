"""A message, and one hand-over of it.

Knows: what travels. Must not know: any driver, queues, threads.
"""

import itertools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from .driver import Subscription

Headers = dict[str, Any]


def _identity() -> str:
    return os.urandom(10).hex()


class MessageIDs:
    """Makes message IDs: unique across processes, cheap, and in the order of their making.

    A random prefix for the process (a new one after a fork) and a counter: a UUID4 for each message costs ten
    times as much and says nothing more.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._prefix = _identity()
        self._count = itertools.count(1).__next__

    def __call__(self) -> str:
        """A new ID. Thread-safe."""
        return f"{self._prefix}-{self._count():08x}"


new_message_id: Callable[[], str] = MessageIDs()


@define(eq=False)
class Message:
    """What a driver stores: an encoded body, its ID and its headers. Never changed once it is published."""

    id: str
    body: bytes
    headers: Mapping[str, Any]


@define(eq=False)
class Delivery:
    """One hand-over of a message to a consumer.

    Attributes:
        message: what is handed over.
        subscription: who handed it over, and settles it.
        attempt: 1 for the first handler run of this message, counted over restarts and drivers alike.
        receipt: the driver's own handle; nobody else looks at it.
        started: a handler has seen it, so giving it back counts as an attempt.
        is_suspect: an earlier process died holding it, and nobody knows whether a handler had begun: that is not
            counted. The next run is put on record before it begins (`Subscription.note_start`), so a message that
            kills its process does so once more than `max_attempts` at most, and one that was only near loses nothing.
        is_expired: it waited longer than its queue's `message_ttl`.
    """

    message: Message
    subscription: "Subscription"
    attempt: int
    receipt: Any = None
    started: bool = False
    is_suspect: bool = False
    is_expired: bool = False
    # There until somebody claims the delivery: deleting an attribute is atomic, so no lock is needed.
    _unclaimed: None = field(default=None, init=False, repr=False)

    def claim(self) -> bool:
        """Take the right to settle this delivery: True for the first caller only. Thread-safe."""
        try:
            del self._unclaimed
        except AttributeError:
            return False
        return True
