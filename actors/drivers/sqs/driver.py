"""The SQS driver: queues in Amazon SQS, or in what speaks its protocol.

Knows: which queues were declared, what to do for each verb. Must not know: boto3 until it opens, threads.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ....registry import Entry, Registry
from ...aws import AwsConfig
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
from .browse import peek, purge
from .failures import CallFailed
from .lease import Uncounted
from .options import SqsConsumerOptions, SqsQueueOptions
from .queue import NAME, NAME_RULE, Facts, SqsQueue
from .subscription import Terms

if TYPE_CHECKING:
    from .connection import Connection

COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
FACTS = ("VisibilityTimeout", "MaximumMessageSize")
# How often a publisher that waits for room looks for it.
LOOK_FOR_ROOM = 0.5


class SqsDriver(Driver):
    """Keeps messages in SQS.

    Args:
        name: its registry ID, for errors.
        config: an SqsConfig.
        aws: what its `config` field refers to.
        consumers: the options of consumers, by their registry IDs; others have the defaults.
    """

    features = Features(
        durable=True,
        shared=True,
        ordered=False,
        returns_to_head=False,
        exact_info=False,
        exact_attempts=False,
        bounded=False,
    )
    queue_options = SqsQueueOptions
    consumer_options: ClassVar[type[SqsConsumerOptions]] = SqsConsumerOptions
    requires = ("boto3", "noria[sqs]")

    def __init__(
        self,
        name: str,
        config: Any,
        *,
        aws: AwsConfig | None = None,
    ) -> None:
        super().__init__(name, config)
        self._aws = aws or AwsConfig()
        self._lock = threading.Lock()
        self._queues: dict[str, SqsQueue] = {}
        self._uncounted = Uncounted()
        self._connection: Connection | None = None

    @classmethod
    def from_entry(cls, entry: Entry, registry: Registry) -> Self:
        """With the credentials that the entry refers to."""
        return cls(str(entry.id), entry.config, aws=registry[entry.config.config].config)

    # ---- opening -------------------------------------------------------------------------------------

    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Reach SQS, and find out whether it knows our credentials."""
        from .client import SqsClient
        from .connection import Connection

        with self._lock:
            if self._connection is not None:
                return
            try:
                client = SqsClient(self.config, self._aws)
                client.check()
            except CallFailed as error:
                raise error.for_driver(self.name) from error
            self._connection = Connection(
                self.name,
                client=client,
                uncounted=self._uncounted,
                store=self._store_dead_letter,
                failed=failed,
            )

    def close(self) -> None:
        """Give back what is in our hands, within some seconds."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def declare(self, queue: QueueDeclaration) -> None:
        """Create the queue if there is none. What an existing one has of its own, it keeps."""
        if not NAME.fullmatch(queue.name):
            raise DriverRefused(self.name, f"{queue.name} cannot be the name of a queue in SQS: {NAME_RULE}")
        client = self._open_connection().client
        try:
            url = client.url(queue.name) or client.create(queue.name, self._attributes(queue))
            facts = Facts.read(url, client.attributes(url, FACTS))
        except CallFailed as error:
            raise error.for_driver(self.name) from error
        with self._lock:
            known = self._queues.get(queue.name)
            if known is None:
                self._queues[queue.name] = SqsQueue(queue, facts)
            else:
                known.redeclare(queue, facts)

    def _attributes(self, queue: QueueDeclaration) -> dict[str, str]:
        attributes: dict[str, str] = {}
        visibility = getattr(queue.options, "default_visibility_timeout", None)
        if visibility:
            attributes["VisibilityTimeout"] = str(math.ceil(visibility))
        if self.config.message_retention_period:
            attributes["MessageRetentionPeriod"] = str(math.ceil(self.config.message_retention_period))
        if self.config.default_delay_seconds:
            attributes["DelaySeconds"] = str(self.config.default_delay_seconds)
        if queue.name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        return attributes

    # ---- publishing ----------------------------------------------------------------------------------

    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Send the messages in batches, several at once, together with those of other publishers."""
        target = self._queue(queue)
        outbox = self._open_connection().outbox(target)
        entries = target.entries(messages)
        most = target.options.max_length
        if not most:
            outbox.send(entries, self._limit(timeout))
            return
        deadline = time.monotonic() + timeout
        accepted = 0
        while accepted < len(entries):
            try:
                room = self._room(target, most, deadline)
                part = entries[accepted : accepted + room]
                outbox.send(part, self._limit(deadline - time.monotonic()))
            except DriverUnavailable as error:
                error.accepted += accepted
                raise
            if not room:
                raise QueueFull(queue, accepted=accepted, timeout=timeout)
            accepted += len(part)

    def _limit(self, timeout: float) -> float:
        """As long as the publisher waits, or one answer may take."""
        return max(timeout, float(self.config.request_timeout))

    def _room(self, queue: SqsQueue, most: int, deadline: float) -> int:
        """How many messages the queue has room for; waits until it is at least one, or the time is up."""
        connection = self._open_connection()
        while True:
            info = self.info(queue.name)
            room = most - info.ready - info.delayed
            if room > 0:
                return room
            left = deadline - time.monotonic()
            if left <= 0:
                return 0
            if connection.over.wait(min(left, LOOK_FOR_ROOM)):
                raise DriverUnavailable(self.name)

    def _store_dead_letter(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """For a subscription that moves a delivery: whether the message is safe in the other queue."""
        target = self._queues.get(queue)
        if target is None:
            return False
        try:
            entry = target.dead_letter_entry(message, delivery.receipt.key + str(delivery.attempt))
            most = target.options.max_length
            if most and not self._room(target, most, time.monotonic()):
                return False
            self._open_connection().outbox(target).send([entry], self.config.request_timeout)
        except (BodyRefused, DriverRefused, DriverUnavailable):
            return False
        return True

    # ---- consuming -----------------------------------------------------------------------------------

    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,
    ) -> Subscription:
        """Poll the queue, together with the other consumers in this process."""
        source = self._queue(queue)
        options = options or self.consumer_options()
        return self._open_connection().subscribe(
            source,
            consumer=consumer,
            credit=credit,
            deliver=deliver,
            terms=Terms(
                visibility=math.ceil(options.visibility_timeout or source.facts.visibility),
                wait_time=math.ceil(options.wait_time),
            ),
        )

    # ---- looking -------------------------------------------------------------------------------------

    def info(self, queue: str) -> QueueInfo:
        """What SQS estimates; what this process has delayed is told from what is being handled."""
        source = self._queue(queue)
        connection = self._open_connection()
        try:
            counts = connection.client.attributes(source.url, COUNTS)
        except CallFailed as error:
            raise error.for_driver(self.name) from error
        ready, hidden, delayed = (int(counts.get(name, 0)) for name in COUNTS)
        ours = min(hidden, len(source.hidden_handles()))
        return QueueInfo(
            ready=ready,
            in_flight=hidden - ours,
            delayed=delayed + ours,
            consumer_count=len(connection.subscriptions(source)),
        )

    def purge(self, queue: str) -> int:
        """Take and delete what can be seen, and what this process has delayed."""
        source = self._queue(queue)
        try:
            return purge(self._open_connection().client, source)
        except CallFailed as error:
            raise error.for_driver(self.name) from error

    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """Take messages and give them back."""
        source = self._queue(queue)
        try:
            return peek(self._open_connection().client, source, limit, self._uncounted)
        except CallFailed as error:
            raise error.for_driver(self.name) from error

    def _queue(self, name: str) -> SqsQueue:
        try:
            return self._queues[name]
        except KeyError:
            raise QueueNotFound(name) from None

    def _open_connection(self) -> "Connection":
        connection = self._connection
        if connection is None:
            raise DriverUnavailable(self.name)
        return connection
