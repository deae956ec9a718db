"""Applications and ways to run the command line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from noria.actors.cli import cli

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
def policies() -> str:
    """The definition of `tenants`, to be changed."""
    return POLICIES


class Running:
    """A started `noria`; its output is read line by line, so a test waits for a line, never for a time."""

    def __init__(self, *arguments: Any, env: dict[str, str] | None = None, **options: Any) -> None:
        settings: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            **options,
        }
        self.process = subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)], env={**os.environ, **(env or {})}, **settings
        )

    def wait_for(self, text: str, stream: str = "stdout") -> str:
        """The first line with this text."""
        for line in getattr(self.process, stream):
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came")

    def say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, text: str | None = None) -> tuple[int, str, str]:
        """Exit code and what is left of both outputs; closes standard input, after a last text."""
        stdout, stderr = self.process.communicate(text, timeout=60)
        return self.process.returncode, stdout, stderr


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
        for stream in (each.process.stdin, each.process.stdout, each.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def run(start: Callable[..., Running]) -> Callable[..., tuple[int, str, str]]:
    """The installed program from start to end: exit code, stdout, stderr."""
    return lambda *arguments, text=None, **options: start(*arguments, **options).end(text)
