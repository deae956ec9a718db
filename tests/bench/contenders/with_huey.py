"""Huey on Redis, no results. It takes a message out of Redis before the handler runs: there is no safe way to configure it."""

import sys

from common import QUEUE, URL, handled, one_by_one
from huey import RedisHuey

huey = RedisHuey(QUEUE, url=URL, results=False, blocking=True)
publisher = one_by_one(huey.task(name="handle")(handled))


def command(workers: int) -> list[str]:
    options = ["--workers", str(workers), "--worker-type", "thread", "--no-periodic", "--quiet"]
    return [sys.executable, "-m", "huey.bin.huey_consumer", "with_huey.huey", *options]
