"""`make peers`: noria beside other queue runtimes, on one server, with the same work; ratios, noria is 1.00.

Each is started as its users start it: its own command in a process of its own, and a program that publishes. Every figure is
from one run: messages are published one by one, then four workers start and drain them; then one message at a time
finds them idle. On a queue of its own, 64 workers whose handler sleeps 5 ms drain as many again. Lost and doubled
messages are counted.
"""

import argparse
import importlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import field, frozen

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import RabbitServer, RedisServer
from servers.child import Child

CONTENDERS = Path(__file__).parent / "contenders"
PATIENCE = 15.0
WARM = 20
PINGS = 60
GAP, LOOK = 0.015, 0.002
WORKERS, MANY_WORKERS = 4, 64
PREFETCH = {WORKERS: 128, MANY_WORKERS: 256}
SLEEP = {WORKERS: 0.0, MANY_WORKERS: 0.005}
MEASURES = {
    "publish": "publish one by one",
    "drain": "drain, 4 workers",
    "both": "publish and drain",
    "latency": "idle latency p50",
    "sleeping": "drain, 64 workers sleep 5 ms",
}


@frozen(kw_only=True)
class Contender:
    """A runtime in one configuration.

    Fields:
        module: Its program, in `contenders`.
        crash: What becomes of a message whose worker is killed in its handler.
        count: Messages, for a second or two of work.
        safe: Nothing may be lost, as far as it can be configured so; otherwise its defaults.
        many_workers: Whether 64 workers are measured; not where each is a process.
        environment: More settings for its program.
    """

    name: str
    module: str
    crash: str
    count: int
    safe: bool = True
    many_workers: bool = True
    environment: dict[str, str] = field(factory=dict)


LOST = "**lost**"
PREFORK = {"BENCH_POOL": "prefork"}
REDIS = (
    Contender(name="noria", module="noria", crash="again after 30 s", count=20_000),
    Contender(name="Dramatiq", module="dramatiq", crash="again after 1 min", count=3_000),
    Contender(name="Taskiq, stream", module="taskiq", crash="again after 10 min, with the next", count=2_500),
    Contender(name="Celery, late acks", module="celery", crash="again after 1 h", count=800),
    Contender(
        name="Celery, late acks, 4 processes",
        module="celery",
        crash="again after 1 h",
        count=800,
        many_workers=False,
        environment=PREFORK,
    ),
    Contender(
        name="RQ, 4 processes", module="rq", crash="again after 4 to 14 min", count=400, many_workers=False
    ),
    Contender(name="Huey", module="huey", crash=LOST, count=3_000, safe=False),
    Contender(name="Taskiq, list", module="taskiq", crash=LOST, count=2_500, safe=False),
    Contender(name="Celery, defaults", module="celery", crash=LOST, count=800, safe=False),
)
RABBITMQ = (
    Contender(name="noria", module="noria", crash="again at once", count=2_500),
    Contender(name="Dramatiq, confirms", module="dramatiq", crash="again at once", count=2_000),
    Contender(name="Taskiq", module="taskiq", crash="again at once", count=1_200),
    Contender(name="Celery, late acks, confirms", module="celery", crash="again at once", count=1_200),
    Contender(
        name="Dramatiq, no confirms",
        module="dramatiq",
        crash="again at once; a publish may be lost",
        count=3_000,
        safe=False,
    ),
    Contender(name="Celery, defaults", module="celery", crash=LOST, count=1_500, safe=False),
)
BROKERS = {"redis": REDIS, "rabbitmq": RABBITMQ}
LIBRARIES = ("dramatiq", "taskiq", "taskiq-redis", "taskiq-aio-pika", "celery", "rq", "huey", "redis", "pika")


# In a process for each contender and round: it publishes.


class Run:
    """A queue of one contender: messages to warm up, many, and then one at a time."""

    def __init__(self, module: str, count: int, workers: int) -> None:
        self._workers = workers
        self._sleep = SLEEP[workers]
        self._folder = Path(os.environ["BENCH_FOLDER"])
        self._warm = range(WARM)
        self._many = range(WARM, WARM + count)
        self._pings = range(WARM + count, WARM + count + PINGS)
        sys.path.insert(0, str(CONTENDERS))
        from common import Meter

        self._meter = Meter(self._folder / "meter", self._pings.stop)  # before anybody opens it
        self._contender = importlib.import_module(f"with_{module}")

    def figures(self) -> dict[str, float]:
        """Rates in messages a second, latency in seconds; and how many messages were lost or doubled."""
        count = len(self._many)
        with self._contender.publisher() as publish:
            publish(map(made, self._warm))
            began = time.monotonic()
            publish(map(made, self._many))
            publishing = time.monotonic() - began
            with self._consumer():
                draining = self._drained()
                if self._sleep:
                    return {"sleeping": count / draining, **self._wrong(self._many)}
                latency = self._latency(publish)
        rates = {
            "publish": count / publishing,
            "drain": count / draining,
            "both": count / (publishing + draining),
        }
        return {**rates, "latency": latency, **self._wrong(range(self._pings.stop))}

    def _wait(self, numbers: range) -> None:
        """Until each was handled, or for so long nothing has been handled any more."""
        seen, limit = 0, 0.0
        while not self._meter.is_complete(numbers):
            if (now_seen := self._meter.handled(numbers)) > seen or not limit:
                seen, limit = now_seen, time.monotonic() + PATIENCE
            if time.monotonic() > limit:
                return
            time.sleep(LOOK)  # other processes handle them, and note when

    def _drained(self) -> float:
        """Seconds from the first call of a handler to the end of the last."""
        self._wait(self._many)
        times = [when for when in self._meter.times[self._many.start : self._many.stop] if when]
        return max(times) - min(times) + self._sleep

    def _latency(self, publish: Callable[[Iterator[dict[str, object]]], None]) -> float:
        """Median seconds from the call of publish to that of the handler."""
        found = []
        for number in self._pings:
            time.sleep(GAP)  # so that the workers are idle
            began = time.monotonic()
            publish(iter([made(number)]))
            self._wait(range(number, number + 1))
            if self._meter.counts[number]:
                found.append(self._meter.times[number] - began)
        return statistics.median(found)

    def _wrong(self, numbers: range) -> dict[str, int]:
        counts = self._meter.counts[: numbers.stop].tolist()
        return {"lost": counts.count(0), "doubled": sum(times > 1 for times in counts)}

    @contextmanager
    def _consumer(self) -> Iterator[None]:
        """The contender's own command. It is killed: its queue is used no more."""
        command = self._contender.command(self._workers)
        with (self._folder / "log").open("ab") as log:
            consumer = Child(command, folder=CONTENDERS, output=log)
        try:
            yield
        finally:
            consumer.kill()


def made(number: int) -> dict[str, object]:
    return {"id": number, "action": "process", "data": "x" * 65}


# In the process that was started: it compares.


def measured(contender: Contender, url: str, scale: float, folder: Path) -> dict[str, float]:
    """A round: with four workers, and where it makes sense with many.

    Raises:
        SystemExit: when it failed; with the end of its log.
    """
    found: dict[str, float] = {"lost": 0, "doubled": 0}
    for workers in (WORKERS, MANY_WORKERS) if contender.many_workers else (WORKERS,):
        part = run_apart(contender, workers, url, int(contender.count * scale), folder)
        found |= part | {what: found[what] + part[what] for what in ("lost", "doubled")}
    return found


def run_apart(contender: Contender, workers: int, url: str, count: int, folder: Path) -> dict[str, float]:
    """A `Run` in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        settings = {
            "BENCH_URL": url,
            "BENCH_QUEUE": Path(scratch).name,
            "BENCH_FOLDER": scratch,
            "BENCH_SAFE": contender.safe,
            "BENCH_WORKERS": workers,
            "BENCH_PREFETCH": PREFETCH[workers],
            "BENCH_SLEEP": SLEEP[workers],
            **contender.environment,
        }
        environment = os.environ | {name: str(value) for name, value in settings.items()}
        command = [sys.executable, __file__, "--run", contender.module, str(count), str(workers)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            log = Path(scratch, "log")
            tail = log.read_text()[-3000:] if log.exists() else ""
            sys.exit(f"{contender.name}: {done.stderr[-3000:]}\n{tail}")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def compare(broker: str, contenders: tuple[Contender, ...], rounds: int, scale: float) -> None:
    found: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = (RedisServer if broker == "redis" else RabbitServer)(folder / "server")
        server.start()
        stack.callback(server.stop)
        for number in range(rounds):
            for contender in contenders:
                print(f"{broker}, round {number + 1}: {contender.name}", file=sys.stderr, flush=True)
                found[contender.name].append(measured(contender, server.url, scale, folder))
    print_table(broker, contenders, found)


def print_versions() -> None:
    """Of everything that is measured, where it is installed."""
    versions = [f"CPython {platform.python_version()}, {os.cpu_count()} cores"]
    for package in ("noria", *LIBRARIES):
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    for server, command in (
        ("Redis", ["redis-server", "--version"]),
        ("RabbitMQ", ["rabbitmqctl", "version"]),
    ):
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            versions += [f"{server} {number}" for number in re.findall(r"\d+\.\d+\.\d+", said)[:1]]
    print(f"\n{'; '.join(versions)}")


def print_table(
    broker: str, contenders: tuple[Contender, ...], found: dict[str, list[dict[str, float]]]
) -> None:
    ours = found["noria"]
    print(f"\n| {broker} | killed in its handler | {' | '.join(MEASURES.values())} | lost, doubled |")
    print(f"| --- | --- |{' --- |' * len(MEASURES)} --- |")
    for contender in contenders:
        theirs = found[contender.name]
        cells = [cell(measure, ours, theirs) for measure in MEASURES]
        lost, doubled = (sum(run[what] for run in theirs) for what in ("lost", "doubled"))
        print(f"| {contender.name} | {contender.crash} | {' | '.join(cells)} | {lost}, {doubled} |")


def cell(measure: str, ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> str:
    """The median of the rounds' ratios, their range, and the median figure."""
    if measure not in theirs[0]:
        return ""
    values = [run[measure] for run in theirs]
    middle = statistics.median(values)
    absolute = f"{middle * 1000:.2f} ms" if measure == "latency" else f"{middle:,.0f}/s"
    if theirs is ours:
        return f"1.00; {absolute}"
    ratios = [value / run[measure] for value, run in zip(values, ours, strict=True)]
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g}); {absolute}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of messages")
    parser.add_argument("--broker", choices=BROKERS, help="only this one")
    parser.add_argument("--contender", action="append", help="only this one beside noria; repeatable")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        module, count, workers = given.run
        print(json.dumps(Run(module, int(count), int(workers)).figures()), flush=True)
        os._exit(0)  # some leave threads behind that do not end
    for broker, contenders in BROKERS.items():
        if given.broker in (None, broker):
            chosen = tuple(
                one for one in contenders if not given.contender or one.name in ("noria", *given.contender)
            )
            compare(broker, chosen, given.rounds, given.scale)
    print_versions()


if __name__ == "__main__":
    main()
