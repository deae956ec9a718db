"""What every contender's program shares: its settings, the handler, and a meter that many processes write to.

Knows: environment variables, a mapped file. Must not know: any queue runtime.
"""

import asyncio
import mmap
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

Body = dict[str, Any]
Publish = Callable[[Iterable[Body]], None]
Publisher = Callable[[], AbstractContextManager[Publish]]

URL = os.environ["BENCH_URL"]
QUEUE = os.environ["BENCH_QUEUE"]
FOLDER = Path(os.environ["BENCH_FOLDER"])
PREFETCH = int(os.environ["BENCH_PREFETCH"])
SAFE = os.environ["BENCH_SAFE"] == "True"
WORKERS = int(os.environ["BENCH_WORKERS"])
SLEEP = float(os.environ["BENCH_SLEEP"])
ON_REDIS = URL.startswith("redis")


class Meter:
    """For each message, by its number: how often it was handled, and when last, in seconds of the machine's clock."""

    def __init__(self, path: Path, size: int = 0) -> None:
        if size:
            path.write_bytes(bytes(size * 9))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._size = len(self._map) // 9
        self.times = memoryview(self._map)[: self._size * 8].cast("d")
        self.counts = memoryview(self._map)[self._size * 8 :]

    def mark(self, number: int) -> None:
        self.times[number] = time.monotonic()
        self.counts[number] = min(self.counts[number] + 1, 255)

    def is_complete(self, numbers: range) -> bool:
        """Whether each was handled."""
        begin = self._size * 8
        return self._map.find(b"\0", begin + numbers.start, begin + numbers.stop) == -1

    def handled(self, numbers: range) -> int:
        """How many of them were."""
        return len(numbers) - self.counts[numbers.start : numbers.stop].tobytes().count(0)


@cache
def meter() -> Meter:
    return Meter(FOLDER / "meter")


def handled(body: Body) -> None:
    """The handler of those that have threads or processes."""
    meter().mark(body["id"])
    if SLEEP:
        time.sleep(SLEEP)


async def handled_async(body: Body) -> None:
    """The handler of those that have an event loop."""
    meter().mark(body["id"])
    if SLEEP:
        await asyncio.sleep(SLEEP)


def one_by_one(send: Callable[[Body], Any]) -> Publisher:
    """A publisher for those that need nothing but a call."""

    def publish(bodies: Iterable[Body]) -> None:
        for body in bodies:
            send(body)

    @contextmanager
    def publisher() -> Iterator[Publish]:
        yield publish

    return publisher
