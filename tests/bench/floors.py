"""The raw clients that noria's drivers are measured against: as fast as each can be used by hand, safely.

Each publishes bodies so that they are safe, and takes, handles and acks them with four threads. No retries, no dead
letters, no leases, no shutdown: that is what makes them floors.
"""

import contextlib
import json
import queue
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

BATCH = 100
WORKERS = 4
FETCH = 100

Body = dict[str, Any]
Handler = Callable[[Body], None]


class Floor(ABC):
    """One raw client on a queue of its own."""

    publishers = 1

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.acked = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    @abstractmethod
    def publish(self, bodies: Sequence[Body]) -> None:
        """Return when they are safe."""

    @abstractmethod
    def start(self, handler: Handler) -> None:
        """Take, handle and ack, until `close`."""

    def run(self, *targets: Callable[[], None]) -> None:
        """Each in a thread of its own; they look at `closed`."""
        self._threads += [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()

    def count(self, acked: int) -> None:
        """The backend has taken so many acks."""
        with self._lock:
            self.acked += acked

    def close(self) -> None:
        """Stop."""
        self.closed.set()
        for thread in self._threads:
            thread.join()


class SqliteFloor(Floor):
    """One connection behind a lock, WAL, a transaction for each hundred; one more thread reads ahead."""

    publishers = 8

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._writing, self._wake = threading.Lock(), threading.Event()
        self._ready: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int]] = queue.SimpleQueue()
        self._connection = self._connect()
        self._connection.execute("CREATE TABLE q (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def publish(self, bodies: Sequence[Body]) -> None:
        with self._writing:
            self._connection.execute("BEGIN")
            rows = [(json.dumps(body),) for body in bodies]
            self._connection.executemany("INSERT INTO q (body) VALUES (?)", rows)
            self._connection.execute("COMMIT")
        self._wake.set()

    def start(self, handler: Handler) -> None:
        def work() -> None:
            while not self.closed.is_set():
                with contextlib.suppress(queue.Empty):
                    row, body = self._ready.get(timeout=0.1)
                    handler(json.loads(body))
                    self._done.put((row,))

        self.run(self._fetch, self._ack, *[work] * WORKERS)

    def _fetch(self) -> None:
        connection, last = self._connect(), 0
        while not self.closed.is_set():
            self._wake.clear()
            rows = connection.execute(
                "SELECT id, body FROM q WHERE id > ? ORDER BY id LIMIT 100", (last,)
            ).fetchall()
            for row in rows:
                self._ready.put(row)
            if rows:
                last = rows[-1][0]
                while self._ready.qsize() > 2 * FETCH:
                    time.sleep(0.0005)
            else:
                self._wake.wait(0.1)
        connection.close()

    def _ack(self) -> None:
        while not self.closed.is_set():
            rows = []
            with contextlib.suppress(queue.Empty):
                rows.append(self._done.get(timeout=0.1))
                while len(rows) < BATCH:
                    rows.append(self._done.get(timeout=0.001))
            if rows:
                with self._writing:
                    self._connection.execute("BEGIN")
                    self._connection.executemany("DELETE FROM q WHERE id = ?", rows)
                    self._connection.execute("COMMIT")
                self.count(len(rows))

    def close(self) -> None:
        self._wake.set()
        super().close()
        self._connection.close()


class RedisFloor(Floor):
    """Streams: XADD pipelined by a hundred, XREADGROUP COUNT 100, one XACK for all."""

    def __init__(self, url: str, name: str, batch: int = FETCH) -> None:
        import redis

        super().__init__()
        self._connect = lambda: redis.Redis.from_url(url)
        self._client, self._name, self._batch = self._connect(), name, batch
        self._client.xgroup_create(name, "g", "0", mkstream=True)

    def publish(self, bodies: Sequence[Body]) -> None:
        if len(bodies) == 1:
            self._client.xadd(self._name, {"b": json.dumps(bodies[0])})
            return
        pipeline = self._client.pipeline(transaction=False)
        for body in bodies:
            pipeline.xadd(self._name, {"b": json.dumps(body)})
        pipeline.execute()

    def start(self, handler: Handler) -> None:
        def work(consumer: str) -> None:
            client = self._connect()
            while not self.closed.is_set():
                found: Any = client.xreadgroup("g", consumer, {self._name: ">"}, count=self._batch, block=100)
                for _, entries in found or ():
                    for _, fields in entries:
                        handler(json.loads(fields[b"b"]))
                    client.xack(self._name, "g", *(entry for entry, _ in entries))
                    self.count(len(entries))

        self.run(*[partial(work, f"c{number}") for number in range(WORKERS)])

    def close(self) -> None:
        super().close()
        self._client.delete(self._name)


class PikaFloor(Floor):
    """BlockingConnection, durable queue, persistent messages; every publish waits for its confirm."""

    def __init__(self, url: str, name: str) -> None:
        import pika

        super().__init__()
        self._pika, self._url, self._name = pika, url, name
        self._properties = pika.BasicProperties(delivery_mode=2)
        self._connection, self._channel = self._open()
        self._channel.queue_declare(name, durable=True)
        self._channel.confirm_delivery()

    def _open(self) -> tuple[Any, Any]:
        connection = self._pika.BlockingConnection(self._pika.URLParameters(self._url))
        return connection, connection.channel()

    def publish(self, bodies: Sequence[Body]) -> None:
        for body in bodies:
            self._channel.basic_publish("", self._name, json.dumps(body).encode(), self._properties)

    def start(self, handler: Handler) -> None:
        def work() -> None:
            connection, channel = self._open()
            channel.basic_qos(prefetch_count=200 // WORKERS)
            for method, _, body in channel.consume(self._name, inactivity_timeout=0.1):
                if method is not None:
                    handler(json.loads(body))
                    channel.basic_ack(method.delivery_tag)
                    self.count(1)
                if self.closed.is_set():
                    break
            channel.cancel()
            connection.close()

        self.run(*[work] * WORKERS)

    def close(self) -> None:
        super().close()
        self._channel.queue_delete(self._name)
        self._connection.close()


class SelectPikaFloor(PikaFloor):
    """The same consumer, but publishing through a SelectConnection with up to 200 publishes unconfirmed."""

    WINDOW = 200

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        self._unconfirmed = 0
        self._waiting: list[bytes] = []
        self._finished = threading.Event()
        ready = threading.Event()
        pika = self._pika

        def opened(channel: Any) -> None:
            self._fast = channel
            channel.confirm_delivery(self._confirmed, lambda _frame: ready.set())

        self._select = pika.SelectConnection(
            pika.URLParameters(url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=opened),
        )
        self._loop = threading.Thread(target=self._select.ioloop.start, daemon=True)
        self._loop.start()
        ready.wait(20)
        self._tag = self._seen = 0

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        self._unconfirmed -= method.delivery_tag - self._seen if method.multiple else 1
        self._seen = max(self._seen, method.delivery_tag)
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._unconfirmed < self.WINDOW:
            self._fast.basic_publish("", self._name, self._waiting.pop(), self._properties)
            self._unconfirmed += 1
        if not self._waiting and not self._unconfirmed:
            self._finished.set()

    def publish(self, bodies: Sequence[Body]) -> None:
        encoded = [json.dumps(body).encode() for body in reversed(bodies)]

        def send() -> None:
            self._waiting = encoded
            self._pump()

        self._finished.clear()
        self._select.ioloop.add_callback_threadsafe(send)
        self._finished.wait(60)

    def close(self) -> None:
        self._select.ioloop.add_callback_threadsafe(self._select.close)
        super().close()


class SqsFloor(Floor):
    """send_message_batch, receive and delete by ten, one client, four threads taking."""

    def __init__(self, client: Any, name: str) -> None:
        super().__init__()
        self._client = client
        self._url = client.create_queue(QueueName=name)["QueueUrl"]

    def publish(self, bodies: Sequence[Body]) -> None:
        for chunk in chunks(bodies, 10):
            entries = [
                {"Id": str(place), "MessageBody": json.dumps(body)} for place, body in enumerate(chunk)
            ]
            self._client.send_message_batch(QueueUrl=self._url, Entries=entries)

    def start(self, handler: Handler) -> None:
        def work() -> None:
            while not self.closed.is_set():
                answer = self._client.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                found = answer.get("Messages", [])
                for message in found:
                    handler(json.loads(message["Body"]))
                if found:
                    entries = [
                        {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                        for place, message in enumerate(found)
                    ]
                    self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
                    self.count(len(found))

        self.run(*[work] * WORKERS)


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """`items` in pieces of `size`."""
    return (items[place : place + size] for place in range(0, len(items), size))
