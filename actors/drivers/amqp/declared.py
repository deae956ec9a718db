"""A queue as it was declared: its names in the broker, its arguments, how much room it has.

Knows: names, options. Must not know: pika, connections, messages.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ...driver import QueueDeclaration
from .delay_steps import delay_queue_name, may_be_gone
from .options import AmqpQueueOptions, QueueType, arguments_of, milliseconds

if TYPE_CHECKING:
    from .config import AmqpConfig
    from .publication import Publication

LONGEST_NAME = 200
"""Bytes: RabbitMQ takes 255, and the names of a queue's helpers are longer than its own."""


@define(eq=False, kw_only=True)
class DeclaredQueue:
    """One queue of the driver.

    Attributes:
        name: in the broker.
        options: as declared last.
        arguments: what the broker is told.
        expired_name: where it puts messages that waited too long, for us to hand over as expired.
        expiration: of messages that have none, in milliseconds.
        content_type: of messages that have none.
        delays: when the queue of a delay was last declared: monotonic seconds by milliseconds.
        gate: publications that wait for room. In the link's thread, as what follows.
        room: how many more may be sent, as far as was known at `room_known_at`.
        coming: how many were sent and are not confirmed yet.
        is_measuring: the broker was asked for figures.
    """

    name: str
    options: AmqpQueueOptions
    arguments: dict[str, Any]
    expired_name: str | None
    expiration: str | None
    content_type: str = ""
    delays: dict[int, float] = field(factory=dict)
    gate: "deque[Publication]" = field(factory=deque)
    room: int = 0
    room_known_at: float = float("-inf")
    coming: int = 0
    is_measuring: bool = False

    @classmethod
    def of(cls, declaration: QueueDeclaration, config: "AmqpConfig") -> "DeclaredQueue":
        """With the driver's defaults for what its options do not say."""
        options = declaration.options
        if not isinstance(options, AmqpQueueOptions):
            options = AmqpQueueOptions(max_length=options.max_length, message_ttl=options.message_ttl)
        ttl = config.default_queue_ttl if options.message_ttl is None else options.message_ttl
        expiry = config.default_queue_expiry if options.queue_expiry is None else options.queue_expiry
        message_ttl = config.default_message_ttl
        expired = f"{declaration.name}.noria.expired" if ttl is not None or message_ttl is not None else None
        return cls(
            name=declaration.name,
            options=options,
            arguments=arguments_of(options, ttl=ttl, expiry=expiry, expired_queue=expired),
            expired_name=expired,
            expiration=None if message_ttl is None else str(milliseconds(message_ttl)),
            content_type=declaration.content_type,
        )

    @property
    def may_vanish(self) -> bool:
        """Whether the broker deletes it when nobody uses it."""
        return self.options.auto_delete or "x-expires" in self.arguments

    @property
    def delay_type(self) -> QueueType:
        """Of its delay queues: a classic one loses what is leaving it when the broker is killed."""
        return "quorum" if self.options.durable else "classic"

    @property
    def suspects_name(self) -> str:
        """The beginning of the names of queues for deliveries that may have killed a process."""
        return f"{self.name}.noria.suspects"

    def take_over(self, other: "DeclaredQueue") -> None:
        """What a later declaration of it says."""
        self.options, self.arguments = other.options, other.arguments
        self.expired_name, self.expiration = other.expired_name, other.expiration
        self.content_type = other.content_type
        self.room_known_at = float("-inf")

    def reset(self) -> None:
        """For a new connection: nothing is under way."""
        self.gate.clear()
        self.coming, self.is_measuring, self.room_known_at = 0, False, float("-inf")

    def waiting_names(self) -> list[str]:
        """Where messages of it wait that are not delayed."""
        return [self.name] if self.expired_name is None else [self.name, self.expired_name]

    def delay_names(self) -> list[str]:
        """Where messages of it are delayed, as far as this process has put them there."""
        now, queue_type = time.monotonic(), self.delay_type
        return [
            delay_queue_name(self.name, queue_type, step)
            for step, declared_at in tuple(self.delays.items())
            if queue_type != "classic" or not may_be_gone(step, now - declared_at)
        ]
