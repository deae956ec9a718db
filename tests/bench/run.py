"""`make bench`: what noria costs, as ratios against limits that are measured in the same run.

Each row measures a limit and noria alternately, several rounds, and shows the median ratio with its range. CPU time
(`time.process_time`) is what the bars are held to: on a shared machine it is steadier than the wall clock, which is
printed beside it. docs/performance.md explains each row.
"""

import argparse
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import languages
import pykka
from application import BODY, LOOKING, SECURITY, Cost, application
from table import Table

NAP = 0.005

NAPPING = f"import time\ndef handler(body): time.sleep({NAP})"
STAMPING = "import time, bench_probe\ndef handler(body): bench_probe.arrived(time.perf_counter())"


# ---- limits ---------------------------------------------------------------------------------------------


class Echo(pykka.ThreadingActor):
    """Answers at once."""

    def on_receive(self, message: object) -> object:
        return message


class Count(pykka.ThreadingActor):
    """Counts messages, and says when the last one came."""

    def __init__(self, expected: int, done: threading.Event) -> None:
        super().__init__()
        self._left = expected
        self._done = done

    def on_receive(self, message: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._done.set()


def ask_round_trips(count: int) -> Cost:
    """pykka's `ask`, one after the other."""
    actor = Echo.start()
    with Cost() as cost:
        for number in range(count):
            actor.ask(number)
    actor.stop()
    return cost


def tells(count: int) -> Cost:
    """pykka's `tell` into its default inbox, to the last one handled."""
    done = threading.Event()
    actor = Count.start(count, done)
    with Cost() as cost:
        for number in range(count):
            actor.tell(number)
        done.wait()
    actor.stop()
    return cost


def bare_threads(count: int, threads: int) -> Cost:
    """So many threads on one SimpleQueue, each item a nap."""
    inbox: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def work() -> None:
        while inbox.get() is not None:
            time.sleep(NAP)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    with Cost() as cost:
        for number in range(count):
            inbox.put(number)
        for _ in workers:
            inbox.put(None)
        for worker in workers:
            worker.join()
    return cost


class Stamp(pykka.ThreadingActor):
    """Tells when a message came."""

    def __init__(self, arrived: Callable[[float], None]) -> None:
        super().__init__()
        self._arrived = arrived

    def on_receive(self, message: object) -> None:
        self._arrived(time.perf_counter())


# ---- noria ----------------------------------------------------------------------------------------------


def publish_one_by_one(count: int) -> Cost:
    """Confirmed publishes from one thread, four workers, a principal and a policy."""
    with application(concurrency=4) as runtime, Cost() as cost:
        for _ in range(count):
            runtime.publish("bench:tasks", BODY)
        runtime.wait_idle()
    return cost


def publish_in_hundreds(count: int, security: str = SECURITY) -> Cost:
    """The same in batches of a hundred, prefetch 256."""
    with application(concurrency=4, prefetch=256, security=security) as runtime, Cost() as cost:
        for _ in range(count // 100):
            runtime.publish_many("bench:tasks", [BODY] * 100)
        runtime.wait_idle()
    return cost


def napping_handlers(count: int, concurrency: int) -> Cost:
    """Handlers that wait, and nothing else."""
    with application(concurrency=concurrency, handlers=NAPPING) as runtime, Cost() as cost:
        runtime.publish_many("bench:tasks", [BODY] * count)
        runtime.wait_idle()
    return cost


def latencies(count: int, send: Callable[[], object], probe: "Probe") -> list[float]:
    """Seconds from sending to arrival, one at a time to a sleeping receiver."""
    found = []
    for _ in range(count):
        time.sleep(0.003)
        began = time.perf_counter()
        send()
        found.append(probe.wait() - began)
    return found


class Probe(ModuleType):
    """What the stamping handler imports as `bench_probe`."""

    def __init__(self) -> None:
        super().__init__("bench_probe")
        self._stamps: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.arrived = self._stamps.put

    def wait(self) -> float:
        return self._stamps.get(timeout=10)


def thousand_workers() -> dict[str, float]:
    """In a process of its own, so that its memory is its own: seconds to start, and MB that a thousand workers add."""
    code = (
        "import json, resource, sys, time; sys.path.insert(0, sys.argv[1]); from application import application\n"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 1e6\n"
        "before = rss(); began = time.perf_counter()\n"
        "with application(concurrency=1000) as runtime:\n"
        "    print(json.dumps({'seconds': time.perf_counter() - began, 'megabytes': rss() - before}))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], check=True, capture_output=True, text=True
    ).stdout
    return dict(json.loads(output))


# ---- the table ------------------------------------------------------------------------------------------


def micro(cost: Cost, count: int) -> str:
    return f"{cost.cpu / count * 1e6:.1f} us CPU, {cost.wall / count * 1e6:.1f} us wall"


def compare(
    rounds: int, ours: Callable[[], Cost], ours_count: int, limit: Callable[[], Cost], limit_count: int
) -> tuple[list[float], str]:
    ratios = []
    for _ in range(rounds):
        below, above = limit(), ours()
        ratios.append((above.cpu / ours_count) / (below.cpu / limit_count))
    return ratios, f"noria {micro(above, ours_count)}; limit {micro(below, limit_count)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    table = Table()

    ratios, note = compare(
        rounds, lambda: publish_one_by_one(10_000), 10_000, lambda: ask_round_trips(5_000), 5_000
    )
    table.row("publish one by one, CPU of asks", ratios, 2, note=note)
    ratios, note = compare(rounds, lambda: publish_in_hundreds(60_000), 60_000, lambda: tells(60_000), 60_000)
    table.row("publish_many in hundreds, CPU of tells", ratios, 2.5, note=note)

    rates = []
    for _ in range(rounds):
        below, above = bare_threads(12_800, 64), napping_handlers(12_800, 64)
        rates.append(below.wall / above.wall)
    table.row(
        "5 ms handlers, 64 workers, rate of 64 bare threads",
        rates,
        0.95,
        at_least=True,
        note=f"noria {12_800 / above.wall:,.0f}/s; limit {12_800 / below.wall:,.0f}/s",
    )

    starts = [thousand_workers() for _ in range(rounds)]
    table.row("start of 1000 workers, seconds", [start["seconds"] for start in starts], 2)
    table.row("1000 workers, MB of memory", [start["megabytes"] for start in starts], 150)

    ratios = []
    for _ in range(rounds):
        below, above = idle_latencies(300)
        ratios.append(above / below)
    table.row(
        "idle latency p50, of a bare tell's",
        ratios,
        5,
        note=f"noria {above * 1e6:.0f} us; limit {below * 1e6:.0f} us",
    )

    table.row("authorisation, % of throughput", authorisation_shares(rounds, SECURITY), 15)
    table.row("the same, a policy that reads each message, %", authorisation_shares(rounds, LOOKING))
    languages.rows(table, rounds)
    return 1 if table.failed else 0


def authorisation_shares(rounds: int, security: str) -> list[float]:
    """How much of the CPU per message is authorisation, in percent."""
    shares = []
    for _ in range(rounds):
        free, guarded = (
            publish_in_hundreds(60_000, security=""),
            publish_in_hundreds(60_000, security=security),
        )
        shares.append((guarded.cpu - free.cpu) / guarded.cpu * 100)
    return shares


def idle_latencies(count: int) -> tuple[float, float]:
    """Medians: a bare tell between two threads, and publish to handler."""
    probe = Probe()
    actor = Stamp.start(probe.arrived)
    bare = statistics.median(latencies(count, lambda: actor.tell(None), probe))
    actor.stop()
    sys.modules["bench_probe"] = probe
    with application(concurrency=4, handlers=STAMPING) as runtime:
        ours = statistics.median(latencies(count, lambda: runtime.publish("bench:tasks", BODY), probe))
    return bare, ours


if __name__ == "__main__":
    sys.exit(main())
