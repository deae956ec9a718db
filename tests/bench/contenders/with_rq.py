"""RQ, each worker a process that runs the job itself, without a fork for each. A retry: otherwise a job whose worker died has failed."""

import sys

from common import QUEUE, URL, Body, handled, one_by_one
from redis import Redis
from rq import Queue, Retry

queue = Queue(QUEUE, connection=Redis.from_url(URL))


def handle(body: Body) -> None:
    handled(body)


publisher = one_by_one(
    lambda body: queue.enqueue_call("with_rq.handle", args=(body,), result_ttl=0, retry=Retry(max=3))
)


def command(workers: int) -> list[str]:
    pool = [
        "--num-workers",
        str(workers),
        "--worker-class",
        "rq.worker.SimpleWorker",
        "--quiet",
        "--url",
        URL,
    ]
    return [sys.executable, "-m", "rq.cli", "worker-pool", *pool, QUEUE]
