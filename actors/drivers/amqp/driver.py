"""The RabbitMQ driver: what every driver promises, carried out by a session.

Knows: which queues were declared, which error is whose. Must not know: pika; its library is imported when it opens.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...delivery import Delivery, Message
from ...driver import (
    Driver,
    Features,
    QueueDeclaration,
    QueueInfo,
    StoredMessage,
    Subscription,
)
from ...errors import BodyRefused, DriverRefused, DriverUnavailable, QueueFull, QueueNotFound
from .declared import LONGEST_NAME, DeclaredQueue
from .headers import Letter, letter_of
from .options import AmqpConsumerOptions, AmqpQueueOptions

if TYPE_CHECKING:
    from .session import Session

# What a frame needs besides the headers, and our own of a copy.
FRAME_RESERVE = 2048


class AmqpDriver(Driver):
    """Keeps messages in a RabbitMQ.

    Args:
        name: its registry ID, for errors.
        config: an AmqpConfig; None: that of a RabbitMQ on this machine.
    """

    features = Features(durable=True, shared=True, exact_info=False, tells_crashes=False, bounded=False)
    queue_options = AmqpQueueOptions
    consumer_options = AmqpConsumerOptions
    requires = ("pika", "noria[amqp]")

    def __init__(self, name: str = "amqp", config: Any = None) -> None:
        from .config import AmqpConfig

        super().__init__(name, AmqpConfig() if config is None else config)
        self._queues: dict[str, DeclaredQueue] = {}
        self._lock = threading.Lock()
        self._session: Session | None = None

    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Connect."""
        from .session import Session

        with self._lock:
            if self._session is not None:
                return
            session = Session(self.name, self.config, self._queues, failed, self.publish)
            session.open()
            self._session = session

    def close(self) -> None:
        """Give everything back and disconnect; the broker keeps queues and messages."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def declare(self, queue: QueueDeclaration) -> None:
        """Create the queue in the broker; `max_length` may be changed later, what the broker is told may not."""
        if len(queue.name.encode()) > LONGEST_NAME:
            raise DriverRefused(self.name, f"queue {queue.name}: a name may be {LONGEST_NAME} bytes long")
        declared = DeclaredQueue.of(queue, self.config)
        self._opened().declare(declared)
        with self._lock:
            known = self._queues.setdefault(queue.name, declared)
        if known is not declared:
            known.take_over(declared)

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Send the messages and wait until the broker has confirmed that they are safe."""
        from .publication import Publication

        target = self._queue(queue)
        letters = [self._letter(target, message) for message in messages]
        publication = Publication(target.name, letters, target)
        session = self._opened()
        if not messages:
            return
        session.publish(publication, timeout)
        accepted = publication.accepted
        if accepted == len(messages):
            return
        if publication.is_unroutable:
            session.declare(target)  # somebody has deleted it; whoever publishes again finds it
        if not publication.is_done or publication.problem:
            problem = publication.problem or "the broker did not confirm in time"
            raise DriverUnavailable(self.name, problem, accepted=accepted)
        raise QueueFull(queue, accepted=accepted, timeout=timeout)

    def _letter(self, queue: DeclaredQueue, message: Message) -> Letter:
        letter = letter_of(message, content_type=queue.content_type, expiration=queue.expiration)
        if letter.header_size > self.config.frame_size - FRAME_RESERVE:
            problem = f"its headers do not fit into a frame of {self.config.frame_size} bytes"
            raise BodyRefused(queue.name, problem)
        return letter

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,
    ) -> Subscription:
        """Deliver; the broker keeps to the credit and lets consumers take turns."""
        from .subscription import Terms

        declared = self._queue(queue)
        terms = Terms(
            consumer=consumer, credit=credit, deliver=deliver, options=options or self.consumer_options()
        )
        return self._opened().subscribe(declared, terms)

    def info(self, queue: str) -> QueueInfo:
        """What is ready, by the broker; what is delayed and in flight, as far as this process knows."""
        declared = self._queue(queue)
        session = self._opened()
        in_flight = sum(each.in_flight for each in session.subscriptions_of(declared))
        figures = session.figures(declared)
        return QueueInfo(
            ready=figures.ready,
            in_flight=in_flight,
            delayed=figures.delayed,
            consumer_count=figures.consumers,
        )

    def purge(self, queue: str) -> int:
        """Remove what is ready, and what is delayed as far as this process knows."""
        declared = self._queue(queue)
        return self._opened().purge(declared)

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """Take the first messages that are ready, and give them back."""
        declared = self._queue(queue)
        return self._opened().peek(declared, limit)

    def _opened(self) -> "Session":
        session = self._session
        if session is None:
            raise DriverUnavailable(self.name)
        return session

    def _queue(self, name: str) -> DeclaredQueue:
        try:
            return self._queues[name]
        except KeyError:
            raise QueueNotFound(name) from None
