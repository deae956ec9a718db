"""Celery. Safe: late acks, which come after the handler, and on RabbitMQ confirmed publishes. Otherwise its defaults.

No results, events, gossip and mingling, as its guide to optimising says, and a prefetch for short tasks.
"""

import os
import sys

from celery import Celery
from common import ON_REDIS, PREFETCH, QUEUE, SAFE, URL, WORKERS, handled, one_by_one

POOL = os.environ.get("BENCH_POOL", "threads")

app = Celery("bench", broker=URL)
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=SAFE,
    task_reject_on_worker_lost=SAFE,
    broker_transport_options={} if ON_REDIS or not SAFE else {"confirm_publish": True},
    worker_prefetch_multiplier=PREFETCH // WORKERS,
    worker_enable_remote_control=False,
)
handle = app.task(handled, name="handle")
publisher = one_by_one(handle.delay)


def command(workers: int) -> list[str]:
    quiet = ["--loglevel", "error", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    pool = ["--pool", POOL, "--concurrency", str(workers)]
    return [sys.executable, "-m", "celery", "--app", "with_celery", "worker", *pool, *quiet]
