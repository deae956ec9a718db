"""What a driver knows of one of its queues, over closing and opening.

Knows: keys, options, who waits for room. Must not know: connections.
"""

import threading

from ...driver import QueueOptions
from .keys import QueueKeys

# Other processes make room, too, and tell nobody.
LONGEST_WAIT_FOR_ROOM = 0.05


class RedisQueue:
    """One declared queue.

    Attributes:
        renew_at: when its leases and delays have to be looked after next, in monotonic seconds.
    """

    def __init__(self, name: str, keys: QueueKeys) -> None:
        self.name = name
        self.keys = keys
        self.options = QueueOptions()
        self.renew_at = 0.0
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._waiting = 0

    def wait_for_room(self, timeout: float) -> None:
        """Until there may be room, or for a moment."""
        with self._lock:
            self._waiting += 1
            try:
                self._room.wait(min(timeout, LONGEST_WAIT_FOR_ROOM))
            finally:
                self._waiting -= 1

    def tell_of_room(self) -> None:
        """Something has left it, or will never."""
        if self._waiting:
            with self._lock:
                self._room.notify_all()
