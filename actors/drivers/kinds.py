"""The drivers that come with noria, by the name of their kind.

Knows: their config classes, which import no client library. Must not know: how any of them works.
"""

from ...registry import Kind
from ..driver import check_driver
from .amqp import AmqpConfig, check_amqp
from .memory import MemoryConfig
from .redis import RedisConfig, check_redis
from .sqlite import SqliteConfig
from .sqs import SqsConfig, check_sqs

DRIVER_KINDS: tuple[Kind, ...] = (
    Kind("queue.driver.memory", MemoryConfig, check_driver),
    Kind("queue.driver.amqp", AmqpConfig, check_amqp),
    Kind("queue.driver.redis", RedisConfig, check_redis),
    Kind("queue.driver.sqlite", SqliteConfig, check_driver),
    Kind("queue.driver.sqs", SqsConfig, check_sqs),
)
