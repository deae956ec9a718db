"""An application whose one handler runs in worker processes and tells this process what it sees."""

import os
import select
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.actors import Runtime

PATIENCE = 30.0

APP = """
namespace: app
entries:
  - {{name: memory, kind: queue.driver.memory}}
  - {{name: told, kind: queue.queue, driver: memory}}
  - {{name: dead, kind: queue.queue, driver: memory}}
  - name: tasks
    kind: queue.queue
    driver: memory
    redelivery: {{initial_delay: 5ms, max_delay: 10ms, jitter: 0}}
    {queue}
  - {{name: hear, kind: function.python, source: "file://hear.py"}}
  - {{name: listener, kind: queue.consumer, queue: told, func: hear, lifecycle: {{auto_start: true}}}}
  - {{name: handler, kind: function.python, source: "file://handlers.py", pool: {{type: process, size: {size}}}}}
  - name: consumer
    kind: queue.consumer
    queue: tasks
    func: handler
    {consumer}
    lifecycle: {{auto_start: true, {lifecycle}}}
{more}
"""

HEAR = "import probe\ndef handler(body):\n    probe.record(body)\n"


class Gate:
    """What handlers in other processes can wait for: `open(gate, "rb", buffering=0).read(1)` returns once it is open."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        # For reading and writing: then nobody who opens it waits for somebody else to do so.
        self._file = os.open(path, os.O_RDWR)

    def open(self) -> None:
        os.write(self._file, b"x" * 100)

    def close(self) -> None:
        os.close(self._file)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.close()


Begin = Callable[..., Runtime]


@pytest.fixture
def load(application: Callable[..., Path], probe: Any) -> Begin:
    """`load(handlers, queue=…, consumer=…, lifecycle=…, size=…, more=…)`."""

    def begin(handlers: str, **parts: Any) -> Runtime:
        blanks = {"queue": "", "consumer": "", "lifecycle": "", "size": 1, "more": ""}
        definition = APP.format(**{**blanks, **parts})
        return Runtime.load(application(definition, handlers, hear__py=HEAR))

    return begin


@pytest.fixture
def run(load: Begin, gate: Gate) -> Iterator[Begin]:
    """As `load`, and started; stopped after the test."""
    started: list[Runtime] = []

    def begin(handlers: str, **parts: Any) -> Runtime:
        runtime = load(textwrap.dedent(handlers), **parts)
        runtime.start(PATIENCE)
        started.append(runtime)
        return runtime

    yield begin
    gate.open()
    for runtime in started:
        runtime.stop()


class Process:
    """A process of whom only the number is known; made while it lives."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._file = os.pidfd_open(pid)

    def has_ended(self, patience: float = PATIENCE) -> bool:
        """Whether it ends within that time."""
        return bool(select.select([self._file], [], [], patience)[0])

    def __del__(self) -> None:
        os.close(self._file)


@pytest.fixture
def process() -> type[Process]:
    return Process
