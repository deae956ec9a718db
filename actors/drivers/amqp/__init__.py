"""RabbitMQ as a driver. It speaks AMQP 0-9-1 through pika (docs/drivers/amqp.md)."""

from .config import AmqpConfig, check_amqp
from .driver import AmqpDriver
from .options import AmqpConsumerOptions, AmqpQueueOptions

__all__ = ["AmqpConfig", "AmqpConsumerOptions", "AmqpDriver", "AmqpQueueOptions", "check_amqp"]
