"""A small world of kinds, and applications written for one test."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from noria.registry import (
    ConfigurationError,
    Duration,
    EntryID,
    FileText,
    Kind,
    Kinds,
    Registry,
    between,
    load,
    reference,
)


@attrs.frozen(kw_only=True)
class Restart:
    max_attempts: int = between(0, default=0)
    backoff_factor: float = between(1, default=2.0)


@attrs.frozen(kw_only=True)
class Lifecycle:
    auto_start: bool | None = None
    startup: Literal["required", "optional"] = "required"
    requires: tuple[EntryID, ...] = reference(default=())
    start_timeout: Duration = between(0.001, default=10.0)
    restart: Restart = Restart()


@attrs.frozen(kw_only=True)
class Service:
    lifecycle: Lifecycle = Lifecycle()


@attrs.frozen(kw_only=True)
class DeadLetter:
    queue: EntryID = reference("queue.queue")
    max_attempts: int = between(0, default=0)


@attrs.frozen(kw_only=True)
class Queue(Service):
    driver: EntryID = reference("queue.driver.*")
    queue_name: str = ""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    dead_letter: DeadLetter | None = None


@attrs.frozen(kw_only=True)
class Consumer(Service):
    queue: EntryID = reference("queue.queue")
    func: EntryID = reference("function.*")
    concurrency: int = between(1, 1000, default=1)
    prefetch: int = between(1, 10000, default=10)
    timeout: Duration | None = between(0.001, default=None)
    auto_ack: bool = False


@attrs.frozen(kw_only=True)
class Function:
    source: FileText | None = None
    method: str = "handler"


class Worlds:
    """The kinds of these tests, and their classes."""

    KINDS = (
        Kind("queue.driver.memory", Service),
        Kind("queue.queue", Queue),
        Kind("queue.consumer", Consumer),
        Kind("function.python", Function),
    )
    Service, Queue, Consumer, Function = Service, Queue, Consumer, Function


Write = Callable[..., Path]
Load = Callable[..., Registry]
Problems = Callable[..., list[str]]


@pytest.fixture
def world() -> type[Worlds]:
    return Worlds


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files of an application, `write({"app.yaml": "…"})`; paths in messages are relative to it."""
    monkeypatch.chdir(tmp_path)

    def files(contents: Mapping[str, str | bytes]) -> Path:
        for name, content in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return files


@pytest.fixture
def loaded(write: Write) -> Load:
    """Load an application of one file (a text) or several (a mapping)."""

    def load_it(contents: str | Mapping[str, str | bytes], kinds: Any = None, **options: Any) -> Registry:
        directory = write({"app.yaml": contents} if isinstance(contents, str) else contents)
        options.setdefault("environ", {})
        return load(directory, Kinds(Worlds.KINDS) if kinds is None else kinds, **options)

    return load_it


@pytest.fixture
def problems(loaded: Load) -> Problems:
    """What is wrong with an application, a line each; nothing wrong is an empty list."""

    def told(contents: str | Mapping[str, str | bytes], kinds: Any = None, **options: Any) -> list[str]:
        try:
            loaded(contents, kinds, **options)
        except ConfigurationError as caught:
            error = caught
        else:
            return []
        lines = [str(problem) for problem in error.problems]
        assert str(error) == "\n".join(lines)
        return lines

    return told
