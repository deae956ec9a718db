"""`make bench`, second part: each driver against the raw client of its backend, measured in the same run.

Publish n messages in hundreds with nobody taking them, then start four workers and drain: the rate is n through both.
Then one message at a time to a sleeping consumer. Servers that are not installed are left out and named.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import frozen
from floors import BATCH, Floor, PikaFloor, RedisFloor, SelectPikaFloor, SqliteFloor, SqsFloor, chunks
from table import Table

from noria.actors import Runtime

sys.path.insert(0, str(Path(__file__).parents[1]))

PATIENCE = 120.0
WARM = 30
DEFINITION = """
    namespace: bench
    entries:
      - {driver}
      - {{name: tasks, kind: queue.queue, driver: driver, queue_name: {queue}}}
      - {{name: handler, kind: function.python, source: "file://handlers.py"}}
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        concurrency: 4
        prefetch: 200
        lifecycle: {{auto_start: {consuming}}}
"""
HANDLER = "import bench_probe\ndef handler(body):\n    bench_probe.handle(body)\n"

names = (f"bench{number}" for number in itertools.count(1))


class Meter(ModuleType):
    """Counts messages as handlers get them. What the bench's handler file imports as `bench_probe`."""

    def __init__(self, expected: int) -> None:
        super().__init__("bench_probe")
        self.stamps: dict[int, float] = {}
        self.seen: set[int] = set()
        self.first = 0.0
        self.done = threading.Event()
        self.arrived = threading.Semaphore(0)
        self._expected = expected
        self._count = itertools.count(1)

    def handle(self, body: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.first = self.first or now
        self.seen.add(body["id"])
        self.stamps[body["id"]] = now
        self.arrived.release()
        if next(self._count) >= self._expected:
            self.done.set()


@frozen(kw_only=True)
class Rates:
    """Messages a second."""

    publish: float
    both: float


@frozen(kw_only=True)
class Backend:
    """A driver's entry and its floors."""

    name: str
    driver: str
    floors: dict[str, Callable[[], Floor]]
    count: int
    bar: float | None


def made(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "action": "process", "data": "x" * 100} for number in range(count)]


def publish_from_threads(publish: Callable[[Any], Any], count: int, threads: int) -> float:
    """Seconds for `count` messages in hundreds, shared by so many threads."""
    batches = list(chunks(made(count), BATCH))

    def work(mine: list[Any]) -> None:
        for batch in mine:
            publish(batch)

    workers = [threading.Thread(target=work, args=(batches[number::threads],)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def measured_floor(floor: Floor, count: int) -> Rates:
    meter = Meter(count)
    publish = publish_from_threads(floor.publish, count, floor.publishers)
    floor.start(meter.handle)
    assert meter.done.wait(PATIENCE)
    while floor.acked < count:
        time.sleep(0.0005)
    drain = time.perf_counter() - meter.first
    floor.close()
    return Rates(publish=count / publish, both=count / (publish + drain))


@contextmanager
def application(backend: Backend, queue: str, *, consuming: bool) -> Iterator[Runtime]:
    with tempfile.TemporaryDirectory() as directory:
        definition = DEFINITION.format(driver=backend.driver, queue=queue, consuming=str(consuming).lower())
        Path(directory, "app.yaml").write_text(textwrap.dedent(definition))
        Path(directory, "handlers.py").write_text(HANDLER)
        with Runtime.load(directory) as runtime:
            yield runtime


def measured_noria(backend: Backend, count: int, publishers: int) -> Rates:
    queue = next(names)
    meter = sys.modules["bench_probe"] = Meter(count)
    with application(backend, queue, consuming=False) as runtime:
        publish = publish_from_threads(
            lambda batch: runtime.publish_many("bench:tasks", batch), count, publishers
        )
    with application(backend, queue, consuming=True) as runtime:
        assert meter.done.wait(PATIENCE)
        runtime.wait_idle()
        drain = time.perf_counter() - meter.first
    assert len(meter.seen) == count
    return Rates(publish=count / publish, both=count / (publish + drain))


def latency(publish: Callable[[dict[str, Any]], Any], meter: Meter, count: int) -> float:
    """Median milliseconds from publish to handler, one at a time."""
    found = []
    for body in made(WARM + count):
        time.sleep(0.003)
        began = time.perf_counter()
        publish(body)
        assert meter.arrived.acquire(timeout=PATIENCE)
        found.append(meter.stamps[body["id"]] - began)
    return statistics.median(found[WARM:]) * 1000


def latency_of_floor(floor: Floor, count: int) -> float:
    meter = Meter(count)
    floor.start(meter.handle)
    value = latency(lambda body: floor.publish([body]), meter, count)
    floor.close()
    return value


def latency_of_noria(backend: Backend, count: int) -> float:
    meter = sys.modules["bench_probe"] = Meter(count)
    with application(backend, next(names), consuming=True) as runtime:
        return latency(lambda body: runtime.publish("bench:tasks", body), meter, count)


def rows(table: Table, backend: Backend, rounds: int, scale: float) -> None:
    count = int(backend.count * scale)
    for name, make in backend.floors.items():
        floors, ours = [], []
        for _ in range(rounds):
            floor = make()
            ours.append(measured_noria(backend, count, floor.publishers))
            floors.append(measured_floor(floor, count))
        for what, bar in (("publish", None), ("both", backend.bar)):
            ratios = [getattr(our, what) / getattr(raw, what) for our, raw in zip(ours, floors, strict=True)]
            label = "publish only" if what == "publish" else "end to end"
            note = f"noria {getattr(ours[-1], what):,.0f}/s; floor {getattr(floors[-1], what):,.0f}/s"
            table.row(f"{backend.name}: {label}, of {name}", ratios, bar, at_least=True, note=note)
    name, make = next(iter(backend.floors.items()))
    pairs = [(latency_of_noria(backend, 200), latency_of_floor(make(), 200)) for _ in range(rounds)]
    note = f"noria {pairs[-1][0]:.2f} ms; floor {pairs[-1][1]:.2f} ms"
    bar = None if backend.bar is None else 1.5
    table.row(f"{backend.name}: idle latency p50, of {name}", [a / b for a, b in pairs], bar, note=note)


def sqlite(_stack: ExitStack, folder: Path) -> Backend:
    return Backend(
        name="sqlite",
        driver=f"{{name: driver, kind: queue.driver.sqlite, path: {folder}/noria.db, synchronous: normal}}",
        floors={"sqlite3 in transactions of 100": lambda: SqliteFloor(str(folder / f"{next(names)}.db"))},
        count=40_000,
        bar=0.5,
    )


def redis(stack: ExitStack, folder: Path) -> Backend:
    from servers import RedisServer

    server = started(stack, RedisServer(folder))
    return Backend(
        name="redis",
        driver=f"{{name: driver, kind: queue.driver.redis, url: '{server.url}'}}",
        floors={"redis-py pipelined by 100": lambda: RedisFloor(server.url, next(names))},
        count=20_000,
        bar=0.5,
    )


def amqp(stack: ExitStack, folder: Path) -> Backend:
    from servers import RabbitServer

    server = started(stack, RabbitServer(folder))
    return Backend(
        name="amqp",
        driver=f"{{name: driver, kind: queue.driver.amqp, url: '{server.url}'}}",
        floors={
            "pika with confirms": lambda: PikaFloor(server.url, next(names)),
            "pika, 200 unconfirmed": lambda: SelectPikaFloor(server.url, next(names)),
        },
        count=5_000,
        bar=0.5,
    )


def sqs(stack: ExitStack, _folder: Path) -> Backend:
    import boto3
    from servers import MotoServer

    server = started(stack, MotoServer())
    access = {"region_name": "us-east-1", "aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    client = boto3.client("sqs", endpoint_url=server.endpoint, **access)
    aws = "{name: aws, kind: config.aws, region: us-east-1, access_key_id: key, secret_access_key: secret}"
    return Backend(
        name="sqs on moto",
        driver=f"{aws}\n      - "
        f"{{name: driver, kind: queue.driver.sqs, config: aws, endpoint: '{server.endpoint}'}}",
        floors={"boto3 by ten": lambda: SqsFloor(client, next(names))},
        count=300,
        bar=None,
    )


def started(stack: ExitStack, server: Any) -> Any:
    server.start()
    stack.callback(server.stop)
    return server


BACKENDS = {"sqlite": sqlite, "redis": redis, "amqp": amqp, "sqs": sqs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of messages")
    parser.add_argument("--only", choices=BACKENDS)
    arguments = parser.parse_args()
    table = Table()
    for name, backend in BACKENDS.items():
        if arguments.only in (None, name):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                rows(table, backend(stack, folder), arguments.rounds, arguments.scale)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
