"""`queue.driver.spool`: a folder with a file for each message; the file's name says what it is up to.

Knows: files. Must not know: credit, consumers, threads; StoreDriver does.

    <path>/<queue>/<state>/<place>.<number>.<attempts>

A rename claims a message, gives it back or delays it: in one step, whatever happens to the process.
"""

import fcntl
import json
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from attrs import frozen

from noria.actors.delivery import Message
from noria.actors.driver import DriverConfig, Features, MessageState, check_driver
from noria.actors.drivers import Kept, Store, StoreDriver
from noria.registry import Kind


class Spool(Store[Path]):
    """A folder. Survives the process, not a power cut: for that, put() would have to fsync.

    Args:
        path: the folder; it is made if it is not there.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock: IO[str] | None = None
        self._last = 0

    def open(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = (self._path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for held in self._path.glob("*/in_flight/*"):
            held.rename(held.parents[1] / "ready" / held.name)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()  # and so unlock

    def declare(self, queue: str) -> None:
        for state in ("ready", "delayed", "in_flight"):
            (self._folder(queue) / state).mkdir(parents=True, exist_ok=True)

    def put(self, queue: str, message: Message) -> None:
        head = json.dumps({"id": message.id, "headers": dict(message.headers)}).encode()
        unfinished = self._path / "unfinished"
        unfinished.write_bytes(head + b"\n" + message.body)
        number = self._number()
        unfinished.rename(self._folder(queue) / "ready" / f"{number:020}.{number}.0")

    def keys(self, queue: str, state: MessageState) -> list[Path]:
        return sorted((self._folder(queue) / state).iterdir())

    def read(self, key: Path) -> Kept:
        head, _, body = key.read_bytes().partition(b"\n")
        attempts = int(key.name.split(".")[2])
        age = time.time() - key.stat().st_mtime
        return Kept(message=Message(body=body, **json.loads(head)), attempts=attempts, age=age)

    def shift(self, key: Path, state: MessageState, *, attempts: int, delay: float | None = None) -> Path:
        place, number, _ = key.name.split(".")
        if delay is not None:
            place = f"{self._number() + int(delay * 1e9):020}"
        return key.rename(key.parents[1] / state / f"{place}.{number}.{attempts}")

    def remove(self, key: Path) -> None:
        key.unlink()

    def end_delays(self, queue: str) -> float | None:
        for key in self.keys(queue, "delayed"):
            due, _, attempts = key.name.split(".")
            wait = int(due) / 1e9 - time.time()
            if wait > 0:
                return wait
            self.shift(key, "ready", attempts=int(attempts), delay=0)
        return None

    def _folder(self, queue: str) -> Path:
        return self._path / quote(queue, safe="").replace(".", "%2E")

    def _number(self) -> int:
        """Larger than the one before: nanoseconds, so that they grow from one process to the next."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last


class SpoolDriver(StoreDriver):
    """Queues in a folder."""

    # A run that ended with its process leaves no trace here, so it is not counted.
    features = Features(durable=True, counts_crashes=False)

    def make_store(self) -> Spool:
        return Spool(self.config.path)


@frozen(kw_only=True)
class SpoolConfig(DriverConfig):
    """The fields of an entry."""

    driver = SpoolDriver
    path: str


SPOOL = Kind("queue.driver.spool", SpoolConfig, check_driver)
