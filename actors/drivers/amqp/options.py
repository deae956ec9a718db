"""What may stand in the options of a queue, or of a consumer, on a RabbitMQ.

Knows: fields, limits, the arguments they become. Must not know: pika, connections.
"""

from typing import Any, Literal

from attrs import frozen

from ....registry import Duration, between
from ...driver import ConsumerOptions, QueueOptions

QueueType = Literal["classic", "quorum"]
LONGEST_EXPIRY = 2_147_483_647
"""Milliseconds: what the specification clamps times to."""

NO_LIMIT = 2_147_483_647
"""Deliveries. RabbitMQ 3 does not know the -1 by which RabbitMQ 4 means the same."""


def milliseconds(seconds: float) -> int:
    """At least 1, and no more than RabbitMQ takes."""
    return min(max(1, round(seconds * 1000)), LONGEST_EXPIRY)


@frozen(kw_only=True)
class AmqpQueueOptions(QueueOptions):
    """`options` of a queue.

    Attributes:
        queue_type: `quorum` keeps copies on several nodes of a cluster; `classic` on one.
        durable: the queue is there after a restart of the broker, with its messages.
        auto_delete: the broker deletes it when its last consumer is gone.
        queue_expiry: the broker deletes it when nobody has used it for so long.
    """

    queue_type: QueueType = "classic"
    durable: bool = True
    auto_delete: bool = False
    queue_expiry: Duration | None = between(0.001, default=None)

    def __attrs_post_init__(self) -> None:
        if self.queue_type == "quorum" and (self.auto_delete or not self.durable):
            raise ValueError("a quorum queue is durable and never deleted by itself")


@frozen(kw_only=True)
class AmqpConsumerOptions(ConsumerOptions):
    """`driver_options.amqp` of a consumer.

    Attributes:
        consumer_tag: what RabbitMQ's tools call it, with eight more characters; by default the queue's name.
        exclusive: no other consumer may take from the queue.
        no_local: RabbitMQ has never done anything with it.
        no_wait: taken and not used: a consumer starts when the broker has confirmed it.
    """

    consumer_tag: str = ""
    exclusive: bool = False
    no_local: bool = False
    no_wait: bool = False


def arguments_of(
    options: AmqpQueueOptions, *, ttl: float | None, expiry: float | None, expired_queue: str | None
) -> dict[str, Any]:
    """What the broker is told of a queue besides its name."""
    arguments = type_arguments(options.queue_type)
    if ttl is not None:
        arguments["x-message-ttl"] = milliseconds(ttl)
    if expiry is not None:
        arguments["x-expires"] = milliseconds(expiry)
    if expired_queue is not None:
        arguments |= dead_lettering_to(expired_queue, options.queue_type)
    return arguments


def type_arguments(queue_type: QueueType) -> dict[str, Any]:
    """What makes a queue one of its type.

    RabbitMQ 4 drops what it has delivered twenty times from a quorum queue that has no limit of its own; and only where
    there is a limit does it put what is given back to the head and not to the end.
    """
    return {} if queue_type == "classic" else {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}


def dead_lettering_to(queue: str, queue_type: QueueType) -> dict[str, Any]:
    """Expired messages go to `queue`; from a quorum queue only once they are safe there."""
    arguments: dict[str, Any] = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    if queue_type == "quorum":
        arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    return arguments
