"""The Redis driver: Streams with a consumer group, and scripts for everything that has to be one step.

Knows: which queues are declared, whether it is open. Must not know: redis-py, which only a session needs.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...delivery import Delivery, Message
from ...driver import Driver, Features, QueueDeclaration, QueueInfo, StoredMessage, Subscription
from ...errors import DriverUnavailable, QueueFull, QueueNotFound
from .keys import QueueKeys
from .queue import RedisQueue

if TYPE_CHECKING:
    from .nodes import Nodes
    from .session import Session

PURGE_BATCH = 500
LARGEST_PEEK = 10_000
# By how much a publisher that found room offers more the next time.
WIDER = 8


class RedisDriver(Driver):
    """Keeps messages in Redis or Valkey. docs/drivers/redis.md says how, and what that promises."""

    features = Features(durable=True, shared=True)
    requires = ("redis", "noria[redis]")

    def __init__(self, name: str = "redis", config: Any = None) -> None:
        if config is None:
            from .config import RedisConfig

            config = RedisConfig()
        super().__init__(name, config)
        self._queues: dict[str, RedisQueue] = {}
        self._lock = threading.Lock()
        self._nodes: Nodes | None = None
        self._numbers = itertools.count(1)
        # The same consumer in another process is another consumer.
        self._instance = os.urandom(4).hex()

    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Connect, and refuse a server that may throw messages away."""
        from .link import LOST, translated
        from .nodes import Nodes

        with self._lock:
            if self._nodes is not None and not self._nodes.is_over:
                return
            try:
                self._nodes = Nodes(self.name, self.config, instance=self._instance, failed=failed)
            except LOST as error:
                raise translated(self.name, error) from error

    def close(self) -> None:
        """Give back what is held, end threads, disconnect."""
        with self._lock:
            nodes, self._nodes = self._nodes, None
        if nodes is not None:
            nodes.close()
        for queue in tuple(self._queues.values()):
            queue.tell_of_room()

    def declare(self, queue: QueueDeclaration) -> None:
        """Create the stream and its group, if they are not there."""
        known = self._queues.get(queue.name) or RedisQueue(
            queue.name, QueueKeys(self.config.prefix, queue.name)
        )
        known.options = queue.options
        self._session(known).create_group(known)
        self._queues[queue.name] = known
        known.tell_of_room()

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Append in order; a batch is one trip, and so are the batches of threads that publish at once."""
        target = self._queue(queue)
        deadline = time.monotonic() + timeout
        accepted, width = 0, len(messages)
        while accepted < len(messages):
            offered = messages[accepted : accepted + width]
            try:
                stored = self._session(target).store(target, offered)
            except DriverUnavailable as error:
                error.accepted += accepted
                raise
            accepted += stored
            if stored == len(offered):
                width *= WIDER
                continue
            # One message looks for room: all of them, again and again, would fill the network.
            width = 1
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise QueueFull(queue, accepted=accepted, timeout=timeout)
            target.wait_for_room(remaining)

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,  # noqa: ARG002  (it has none)
    ) -> Subscription:
        """Deliver to this consumer, whose earlier subscription here has left by then."""
        from .subscription import RedisSubscription

        source = self._queue(queue)
        session = self._session(source)
        for earlier, _ in session.readers():
            if earlier.consumer == consumer and earlier.queue is source:
                earlier.close()
                earlier.left.wait(self.config.socket_timeout)
        name = f"{consumer}@{self._instance}-{next(self._numbers)}"
        subscription = RedisSubscription(
            session, source, name=name, consumer=consumer, credit=credit, deliver=deliver, queues=self._queues
        )
        session.subscribe(subscription)
        return subscription

    def info(self, queue: str) -> QueueInfo:
        """Exact figures, of every process."""
        from .scripts import INFO

        known = self._queue(queue)
        ready, in_flight, delayed, consumers = self._session(known).ask(INFO.on(known.keys.all))
        return QueueInfo(ready=ready, in_flight=in_flight, delayed=delayed, consumer_count=consumers)

    def purge(self, queue: str) -> int:
        """Remove what is ready or delayed, some at a time."""
        from .scripts import PURGE

        known = self._queue(queue)
        count, removed = 0, PURGE_BATCH
        while removed == PURGE_BATCH:  # less than that was all; publishers may have come again since
            removed = self._session(known).ask(PURGE.on(known.keys.all, PURGE_BATCH))
            count += removed
        known.tell_of_room()
        return count

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """The first messages, at most 10,000: ready, then delayed, then in flight."""
        from .entries import entry_of
        from .scripts import PEEK

        known = self._queue(queue)
        session = self._session(known)
        limit = min(limit, LARGEST_PEEK)
        # By their entries: what changes its place between two pages may come twice.
        found: dict[bytes, StoredMessage] = {}
        place, behind = b"released", b""
        while place and len(found) < limit:
            page, place, behind = session.ask(PEEK.on(known.keys.all, limit - len(found), place, behind))
            for state, *rest in page:
                entry = entry_of(*rest)
                found.setdefault(
                    entry.id,
                    StoredMessage(message=entry.message, attempts=entry.attempts, state=state.decode()),
                )
        return list(found.values())

    def _queue(self, name: str) -> RedisQueue:
        try:
            return self._queues[name]
        except KeyError:
            raise QueueNotFound(name) from None

    def _session(self, queue: RedisQueue) -> "Session":
        nodes = self._nodes
        if nodes is None:
            raise DriverUnavailable(self.name)
        return nodes.of(queue)
