"""Dramatiq. It always acks after the handler; safe on RabbitMQ means confirmed publishes, which are not its default.

Its Redis consumer looks again in up to `dramatiq_worker_timeout`, a second by default: 5 ms are much kinder to its latency.
"""

import sys

import dramatiq
from common import ON_REDIS, PREFETCH, QUEUE, SAFE, URL, handled, one_by_one
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=URL) if ON_REDIS else RabbitmqBroker(url=URL, confirm_delivery=SAFE)
dramatiq.set_broker(broker)
handle = dramatiq.actor(actor_name="handle", queue_name=QUEUE)(handled)
publisher = one_by_one(handle.send)


def command(workers: int) -> list[str]:
    settings = [f"dramatiq_queue_prefetch={PREFETCH}"]
    if ON_REDIS:
        settings.append("dramatiq_worker_timeout=5")
    start = [sys.executable, "-m", "dramatiq", "with_dramatiq", "--processes", "1", "--threads", str(workers)]
    return ["env", *settings, *start]
