"""Examples, run in this process and through the command that their README gives."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from noria.actors import Runtime

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 60.0
PROGRAMS = {"noria": str(Path(sys.executable).with_name("noria")), "python": sys.executable}


@frozen
class Ran:
    """How a command ended. `logged` are the lines of its structured log."""

    code: int
    stdout: str
    stderr: str

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]

    @property
    def texts(self) -> list[str]:
        return [line["text"] for line in self.logged]

    @property
    def summary(self) -> dict[str, Any]:
        [ended] = [line for line in self.logged if line.get("event") == "RunEnded"]
        return ended


def commands_in(readme: Path) -> list[str]:
    return re.findall(r"^\$ (.+)$", readme.read_text(), re.MULTILINE)


def run_command(command: str) -> Ran:
    program, *arguments = shlex.split(command)
    ran = subprocess.run(
        [PROGRAMS[program], *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=PATIENCE,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def run_as_written() -> Callable[[str], Ran]:
    """Runs the one command of an example's README that has these words: `run_as_written("tasks", "noria run")`.

    A word that ends in a line break stands at the end of the command.
    """

    def run(example: str, *words: str) -> Ran:
        commands = commands_in(EXAMPLES / example / "README.md")
        [command] = [command for command in commands if all(word in f"{command}\n" for word in words)]
        return run_command(command)

    return run


@pytest.fixture
def start_example() -> Iterator[Callable[..., Runtime]]:
    """Starts an example in this process, and stops it after the test."""
    started: list[Runtime] = []

    def start(example: str, **options: Any) -> Runtime:
        runtime = Runtime.load(EXAMPLES / example, **options)
        started.append(runtime)
        runtime.start(PATIENCE)
        return runtime

    yield start
    for runtime in started:
        runtime.stop()


@pytest.fixture
def feed_example(start_example, example_input, caplog) -> Callable[..., list[str]]:
    """Runs an example on its own input in this process, and returns what its handlers logged."""

    def feed(example: str, queue: str) -> list[str]:
        logger = queue.partition(":")[0] if "/" in example else example
        caplog.set_level("INFO", logger)
        runtime = start_example(example)
        runtime.publish_many(queue, example_input(example))
        runtime.wait_idle(PATIENCE)
        return [record.getMessage() for record in caplog.records if record.name == logger]

    return feed


@pytest.fixture
def example_input() -> Callable[[str], list[Any]]:
    """The bodies of an example's input.jsonl."""

    def read(example: str) -> list[Any]:
        return [json.loads(line) for line in (EXAMPLES / example / "input.jsonl").read_text().splitlines()]

    return read
