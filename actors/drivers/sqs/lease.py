"""For how long a received message is ours, and how often it was received without being handled.

Knows: monotonic times, counts. Must not know: SQS, threads other than that several may ask at once.
"""

import threading
from collections import OrderedDict

from attrs import define

MOST_REMEMBERED = 100_000


@define(eq=False)
class Lease:
    """One receipt of a message. Compared by identity: each hand-over has one of its own.

    Attributes:
        key: SQS's own ID of the message.
        handle: with which it is deleted, or hidden for longer.
        visibility: seconds, for which it is ours at a time.
        since: when it was received; monotonic seconds.
        until: when others will see it, unless it is prolonged before; monotonic seconds.
    """

    key: str
    handle: str
    visibility: int
    since: float
    until: float


class Uncounted:
    """How often messages came without being an attempt: released, or looked at. Thread-safe.

    SQS counts every receipt. What this process gave back unhandled, it knows, and takes off the count; what others
    gave back, it does not.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, key: str) -> None:
        """It was given back, and no handler had seen it."""
        with self._lock:
            self._counts[key] = self._counts.pop(key, 0) + 1
            if len(self._counts) > MOST_REMEMBERED:
                self._counts.popitem(last=False)

    def attempt(self, key: str, receive_count: int) -> int:
        """Which attempt this receipt is."""
        return max(1, receive_count - self._counts.get(key, 0))

    def forget(self, key: str) -> None:
        """It is gone."""
        if key in self._counts:
            with self._lock:
                self._counts.pop(key, None)
