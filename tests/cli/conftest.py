"""Applications and ways to run the command line."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from noria.actors.cli.program import cli

PROGRAM = Path(sys.executable).with_name("noria")

APP = """
version: "1.0"
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory, lifecycle: {auto_start: true}}
  - name: dead
    kind: queue.queue
    driver: memory
  - name: tasks
    kind: queue.queue
    meta: {team: data, enabled: true, tags: [a, b]}
    driver: memory
    options: {max_length: 100}
    dead_letter: {queue: dead, max_attempts: 2}
    redelivery: {initial_delay: 10ms, jitter: 0}
  - name: worker
    kind: queue.consumer
    queue: tasks
    func: handle
    concurrency: 2
    lifecycle: {auto_start: true, stop_timeout: 5s}
  - {name: handle, kind: function.python, source: file://handlers.py}
"""

POLICIES = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - name: worker
    kind: queue.consumer
    queue: tasks
    func: handle
    lifecycle:
      auto_start: true
      security:
        actor: {id: "acme", meta: {key: "${env:ACME_KEY}"}}
        policies: [few]
        groups: [team]
  - {name: free, kind: queue.consumer, queue: tasks, func: handle}
  - {name: handle, kind: function.python, source: file://handlers.py}
  - name: few
    kind: security.policy
    policy:
      actions: funcs.call
      resources: app:handle
      effect: allow
      conditions: [{field: meta.message.attempt, operator: lt, value: 3}]
  - name: never
    kind: security.policy
    groups: [team]
    policy: {actions: [queue.publish, queue.publish.queue], resources: "*", effect: deny}
"""

HANDLERS = """
def handler(body):
    if body == "bad":
        raise ValueError("no good")
    print(f"handled {body}\\n", end="", flush=True)
"""


@pytest.fixture
def noria() -> Callable[..., Result]:
    """The command line in this process: for commands that start nothing."""
    return lambda *arguments: CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="noria")


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes an application below the current directory, which is a temporary one."""
    monkeypatch.chdir(tmp_path)

    def write(definition: str = APP, handlers: str = HANDLERS, name: str = "app", **files: str) -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "app.yaml").write_text(definition)
        (directory / "handlers.py").write_text(handlers)
        for file, text in files.items():
            (directory / file).write_text(text)
        return Path(name)

    return write


@pytest.fixture
def tenants(application: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with policies, a secret, and one consumer without security."""
    monkeypatch.setenv("ACME_KEY", "top-secret")
    return application(POLICIES)


@pytest.fixture
def definition() -> str:
    """The definition that `application` writes, to be changed."""
    return APP


@pytest.fixture
def policies() -> str:
    """The definition of `tenants`, to be changed."""
    return POLICIES


class Output:
    """One output of a process, read in a thread of its own as it comes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> str:
        """The next line with this text."""
        seen = []
        while (line := self._lines.get(timeout=60)) is not None:
            if text in line:
                return line
            seen.append(line)
        raise AssertionError(f"{text!r} never came, but {seen}")

    def rest(self) -> str:
        """Everything that is left, to the end."""
        return "".join(iter(lambda: self._lines.get(timeout=60) or "", ""))


class Running:
    """A started `noria`. A test waits for a line, never for a time."""

    def __init__(self, *arguments: Any, env: dict[str, str] | None = None, **options: Any) -> None:
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)],
            env={**os.environ, **(env or {})},
            text=True,
            **{**pipes, **options},
        )
        streams = {"stdout": self.process.stdout, "stderr": self.process.stderr}
        self.outputs = {name: Output(stream) for name, stream in streams.items() if stream is not None}

    def wait_for(self, text: str, stream: str = "stdout") -> str:
        """The next line of an output with this text."""
        return self.outputs[stream].wait_for(text)

    def say(self, text: str) -> None:
        """Type a line."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, text: str | None = None) -> tuple[int, str, str]:
        """Exit code and what is left of both outputs; closes standard input, after a last text."""
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(text or "")
        left = {name: output.rest() for name, output in self.outputs.items()}
        return self.process.wait(60), left.get("stdout", ""), left.get("stderr", "")


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """The installed program as a process."""
    started: list[Running] = []

    def run(*arguments: Any, **options: Any) -> Running:
        started.append(Running(*arguments, **options))
        return started[-1]

    yield run
    for each in started:
        each.process.kill()
        each.process.wait()
        with contextlib.suppress(BrokenPipeError):
            if each.process.stdin is not None:
                each.process.stdin.close()


@pytest.fixture
def run(start: Callable[..., Running]) -> Callable[..., tuple[int, str, str]]:
    """The installed program from start to end: exit code, stdout, stderr."""
    return lambda *arguments, text=None, **options: start(*arguments, **options).end(text)
