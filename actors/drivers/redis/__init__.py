"""The Redis driver (docs/drivers/redis.md). Importing it needs no client library; opening it does."""

from .config import RedisConfig, check_redis
from .driver import RedisDriver

__all__ = ["RedisConfig", "RedisDriver", "check_redis"]
