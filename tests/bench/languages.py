"""Rows of `make bench` about where a handler runs: in Lua, in worker processes, in a thread of the runtime.

Two workers that compute are measured against one, in turn. A half is what two free cores could give; what they give at the
moment is shown beside it, by processes without noria. Then what a call costs.
"""

import os
import statistics
import subprocess
import sys
import time

from application import BODY, NO_OP, PYTHON, application
from attrs import frozen
from table import Table


@frozen
class Handler:
    """How a function is declared, and its text."""

    declared: str
    text: str


COMPUTING_LUA = """
return function(body)
    local sum = 0
    for number = 1, 2000000 do sum = sum + number % 7 end
    return sum
end
"""
COMPUTING_PYTHON = """
def handler(body):
    total = 0
    for number in range(500_000):
        total += number % 7
    return total
"""
LUA = 'kind: function.lua, source: "file://handlers"'
POOLED = f"{PYTHON}, pool: {{{{type: process, size: {{}}}}}}"
NO_OP_IN_PYTHON = Handler(PYTHON, NO_OP)
NO_OP_IN_LUA = Handler(LUA, "return function() end")
NO_OP_IN_A_PROCESS = Handler(POOLED.format(1), NO_OP)


def pooled(size: int) -> Handler:
    return Handler(POOLED.format(size), COMPUTING_PYTHON)


def computing(handler: Handler, workers: int, count: int = 24) -> float:
    """Wall seconds for so many messages, once every worker has a state or a process of its own."""
    with application(workers, prefetch=1, handlers=handler.text, function=handler.declared) as runtime:
        for _ in range(2):
            runtime.publish_many("bench:tasks", [BODY] * workers)
            runtime.wait_idle()
        began = time.perf_counter()
        runtime.publish_many("bench:tasks", [BODY] * count)
        runtime.wait_idle()
        return time.perf_counter() - began


def bare_processes(processes: int, count: int = 24) -> float:
    """Wall seconds of the Python that is measured here, in processes without noria: what the machine can give."""
    code = (
        f"import sys, time\n{COMPUTING_PYTHON}\nbegan = time.perf_counter()\n"
        "for _ in range(int(sys.argv[1])): handler(None)\n"
        "print(time.perf_counter() - began)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(count // processes)], stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    return max(float(child.communicate()[0]) for child in children)


def seconds_a_message(handler: Handler, count: int) -> float:
    """Wall time of a message with one worker: CPU time would leave out what other processes spend."""
    with application(1, prefetch=256, handlers=handler.text, function=handler.declared) as runtime:
        runtime.publish("bench:tasks", BODY)
        runtime.wait_idle()
        began = time.perf_counter()
        for _ in range(count // 100):
            runtime.publish_many("bench:tasks", [BODY] * 100)
        runtime.wait_idle()
        return (time.perf_counter() - began) / count


def two_against_one(table: Table, what: str, rounds: int, one: Handler, two: Handler, bar: float) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        table.left_out(what, "needs two cores")
        return
    ratios, possible = [], []
    for _ in range(rounds):
        alone, both = computing(one, 1), computing(two, 2)
        ratios.append(both / alone)
        possible.append(bare_processes(2) / bare_processes(1))
    best = f"bare processes {statistics.median(possible):.2f}"
    table.row(what, ratios, bar, note=f"one {alone:.2f} s, two {both:.2f} s; {best}")


def rows(table: Table, rounds: int) -> None:
    """Everything here, row by row."""
    lua = Handler(LUA, COMPUTING_LUA)
    two_against_one(table, "two Lua workers that compute, time of one", rounds, lua, lua, 0.65)
    two_against_one(
        table, "two worker processes that compute, time of one", rounds, pooled(1), pooled(2), 0.7
    )
    ratios, added = [], []
    for _ in range(rounds):
        python = seconds_a_message(NO_OP_IN_PYTHON, 20_000)
        inside = seconds_a_message(NO_OP_IN_LUA, 20_000)
        elsewhere = seconds_a_message(NO_OP_IN_A_PROCESS, 2_000)
        ratios.append(inside / python)
        added.append((elsewhere - python) * 1e6)
    note = f"Lua {inside * 1e6:.1f} us, Python {python * 1e6:.1f} us"
    table.row("a no-op handler in Lua, time of one in Python", ratios, note=note)
    table.row(
        "what a call through a process adds, us", added, note=f"with it {elsewhere * 1e6:.0f} us a message"
    )
