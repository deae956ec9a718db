"""Taskiq, with an async handler. Safe: a stream of Redis, or RabbitMQ; otherwise a list of Redis, its simplest broker."""

import sys
from asyncio import Runner
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from common import ON_REDIS, PREFETCH, QUEUE, SAFE, URL, Body, Publish, handled_async
from taskiq import AsyncBroker


def made() -> AsyncBroker:
    if not ON_REDIS:
        from taskiq_aio_pika import AioPikaBroker, Queue

        return AioPikaBroker(URL, qos=PREFETCH, task_queues=[Queue(name=QUEUE)])
    from taskiq_redis import ListQueueBroker, RedisStreamBroker

    if SAFE:  # from 0: otherwise it skips what was published before the first worker
        return RedisStreamBroker(URL, queue_name=QUEUE, consumer_group_name=QUEUE, consumer_id="0")
    # It waits in BRPOP without end, and redis-py would by default give up after five seconds.
    return ListQueueBroker(URL, queue_name=QUEUE, socket_timeout=None)


broker = made()
handle = broker.task(task_name="handle")(handled_async)


@contextmanager
def publisher() -> Iterator[Publish]:
    async def send(bodies: Iterable[Body]) -> None:
        for body in bodies:
            await handle.kiq(body)

    with Runner() as runner:
        runner.run(broker.startup())
        yield lambda bodies: runner.run(send(bodies))
        runner.run(broker.shutdown())


def command(workers: int) -> list[str]:
    size = ["--workers", "1", "--max-async-tasks", str(workers), "--max-prefetch", str(PREFETCH)]
    rest = ["--ack-type", "when_executed", "--no-parse", "--log-level", "ERROR"]
    return [sys.executable, "-m", "taskiq", "worker", "with_taskiq:broker", *size, *rest]
