"""The memory driver: queues that live as long as their runtime.

Knows: which queues there are. Must not know: how a queue keeps its messages (memory_queue.py).
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from ..delivery import Delivery, Message
from ..driver import Driver, DriverConfig, QueueDeclaration, QueueInfo, StoredMessage, Subscription
from ..errors import DriverUnavailable, QueueNotFound
from .delays import Delays
from .memory_queue import MemoryQueue

DEFAULT_MAX_LENGTH = 1000


class MemoryDriver(Driver):
    """Keeps messages in this process: no server, nothing on disk, gone when the process ends.

    Closing keeps declared queues and messages; they are there when it opens again.

    Args:
        name: its registry ID, for errors.
        config: not looked at, for the memory driver has no configuration.
        clock: monotonic seconds.
    """

    def __init__(
        self, name: str = "memory", config: Any = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(name, config)
        self._queues: dict[str, MemoryQueue] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self._delays = Delays(clock)
        self._is_open = False

    def open(self, failed: Callable[[BaseException], None]) -> None:  # noqa: ARG002  (memory is never lost)
        """Take messages again, and go on counting delays."""
        with self._lock:
            self._is_open = True
            self._delays.open()
            for queue in self._queues.values():
                queue.open()

    def close(self) -> None:
        """End every subscription and wake waiting publishers; messages stay."""
        with self._lock:
            self._is_open = False
            for queue in self._queues.values():
                queue.close()
        self._delays.close()

    def declare(self, queue: QueueDeclaration) -> None:
        """Create the queue, or change its `max_length` and `message_ttl`; its messages stay."""
        max_length = queue.options.max_length or DEFAULT_MAX_LENGTH
        with self._lock:
            if not self._is_open:
                raise DriverUnavailable(self.name)
            existing = self._queues.get(queue.name)
            if existing is not None:
                existing.set_bounds(max_length, queue.options.message_ttl)
                return
            made = MemoryQueue(
                queue.name,
                driver_name=self.name,
                siblings=self._queues,
                delays=self._delays,
                clock=self._clock,
            )
            made.set_bounds(max_length, queue.options.message_ttl)
            made.open()
            self._queues[queue.name] = made

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Append the messages in order, waiting for room up to `timeout` seconds."""
        self._queue(queue).publish(messages, timeout)

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,  # noqa: ARG002  (it has none)
    ) -> Subscription:
        """Deliver in the order of publishing; consumers take turns."""
        return self._queue(queue).subscribe(consumer, credit, deliver)

    def info(self, queue: str) -> QueueInfo:
        """Exact figures."""
        return self._queue(queue).info()

    def purge(self, queue: str) -> int:
        """Remove what is ready or delayed."""
        return self._queue(queue).purge()

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """The first messages: ready, then delayed, then in flight."""
        return self._queue(queue).peek(limit)

    def _queue(self, name: str) -> MemoryQueue:
        try:
            return self._queues[name]
        except KeyError:
            raise QueueNotFound(name) from None


@frozen(kw_only=True)
class MemoryConfig(DriverConfig):
    """`queue.driver.memory`: no options of its own, as the seed says."""

    driver = MemoryDriver
