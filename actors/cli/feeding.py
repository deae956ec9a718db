"""Feeding: JSON lines from a file or standard input into a queue.

Knows: lines, JSON, a runtime's `publish_many`. Must not know: when the run ends; it is told to stop. One thread a feed.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import click

from .application import find_queue
from .lines import LONGEST, Line, batches

if TYPE_CHECKING:
    from ...registry import Registry
    from ..runtime import Runtime

logger = logging.getLogger("noria.feed")

STDIN: Final = "-"

PATIENCE: Final = 0.25
"""Seconds of waiting for room before it is looked whether to go on."""


class Feed:
    """One source for one queue. Its figures may be read from any thread.

    Attributes:
        queue: the queue's ID.
        source: the path as it was given, or `<stdin>`.
        read: lines read so far, empty ones too.
        published: messages that the queue has taken.
        bad: lines that could not be published.
        taken: bytes read so far.
        size: bytes of the whole file, None where that cannot be known.
        blocked: whether it waits for room, or for the queue to come back, right now.
        done: set at the end, whatever it was.
        complete: whether the source was read to its end and all that could be published was.
        failure: why the source could not be read to its end, or None.
    """

    def __init__(self, queue: str, path: str) -> None:
        self.queue = queue
        self.source = "<stdin>" if path == STDIN else path
        self.read = 0
        self.published = 0
        self.bad = 0
        self.taken = 0
        self.size = size_of(path)
        self.blocked = False
        self.done = threading.Event()
        self.complete = False
        self.failure: str | None = None
        self._path = path
        self._stop = threading.Event()

    def start(self, runtime: Runtime) -> None:
        """Begin, in a thread of its own."""
        # A daemon: a thread that waits for somebody to type cannot be woken, and must not keep the process.
        threading.Thread(target=self._run, args=(runtime,), name=f"feed {self.source}", daemon=True).start()

    def stop(self) -> None:
        """End soon; a read that waits for input is left behind."""
        self._stop.set()

    def _run(self, runtime: Runtime) -> None:
        try:
            with opened(self._path) as stream:
                for batch in batches(self._counted(stream.read)):
                    self._feed(batch, runtime)
                    if self._stop.is_set():
                        return
            self.complete = True
        except OSError as error:
            self.failure = f"{self.source}: {error.strerror or error}"
            logger.error("%s", self.failure)  # noqa: TRY400 - the sentence says it all
        except Exception as error:
            self.failure = f"{self.source}: stopped after line {self.read}: {type(error).__name__}: {error}"
            logger.exception("%s", self.failure)
        finally:
            self.done.set()

    def _counted(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def counted(size: int) -> bytes:
            chunk = read(size)
            self.taken += len(chunk)
            return chunk

        return counted

    def _feed(self, batch: Sequence[Line], runtime: Runtime) -> None:
        numbers, bodies = values(batch, self._complain)
        self._publish(runtime, numbers, bodies)
        self.read = batch[-1].number

    def _publish(self, runtime: Runtime, numbers: Sequence[int], bodies: Sequence[Any]) -> None:
        from ..errors import BodyRefused, NotRunning, QueueFull, QueueUnavailable

        while bodies and not self._stop.is_set():
            try:
                taken = len(runtime.publish_many(self.queue, bodies, timeout=PATIENCE))
            except (QueueFull, QueueUnavailable) as waited:
                taken = waited.accepted
            except NotRunning:
                return self.stop()
            except BodyRefused as refused:
                if len(bodies) > 1:
                    for number, body in zip(numbers, bodies, strict=True):
                        self._publish(runtime, [number], [body])
                else:
                    self._complain(numbers[0], str(refused))
                return None
            self.blocked = not taken
            self.published += taken
            numbers, bodies = numbers[taken:], bodies[taken:]
        return None

    def _complain(self, number: int, problem: str) -> None:
        self.bad += 1
        logger.error(
            "%s:%d: %s",
            self.source,
            number,
            problem,
            extra={"event": "BadLine", "fields": {"queue": self.queue}},
        )


def values(batch: Sequence[Line], complain: Callable[[int, str], object]) -> tuple[list[int], list[Any]]:
    """The values of a batch with the numbers of their lines. Empty lines are left out, and bad ones complained of."""
    numbers, found = list[int](), list[Any]()
    for line in batch:
        if line.text is not None and not line.text.strip():
            continue
        try:
            found.append(parsed(line))
        except ValueError as error:
            complain(line.number, str(error))
        else:
            numbers.append(line.number)
    return numbers, found


def parsed(line: Line) -> Any:
    """The value of a line. Raises ValueError with what is wrong; the line itself is not repeated: it is data."""
    if line.text is None:
        raise ValueError(f"the line is longer than {LONGEST // 2**20} MB")
    try:
        text = line.text.decode("utf-8-sig" if line.number == 1 else "utf-8")
        return json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        is_wide = line.number == 1 and line.text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        hint = "; the file is UTF-16, save it as UTF-8" if is_wide else ""
        raise ValueError(f"not UTF-8: byte {error.start + 1}{hint}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("not JSON that can be read: nested too deeply") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")


def size_of(path: str) -> int | None:
    """The bytes of a file, None where that cannot be known."""
    file = Path(path)
    return file.stat().st_size if path != STDIN and file.is_file() else None


class _Input:
    """Standard input, read without its buffer: what is there comes at once, and no lock is held at exit."""

    def __init__(self) -> None:
        buffer = sys.stdin.buffer
        self._stream = getattr(buffer, "raw", buffer)

    def read(self, size: int) -> bytes:
        """As a file's; also where somebody has made standard input non-blocking."""
        while (chunk := self._stream.read(size)) is None:
            select.select([self._stream], [], [])
        return bytes(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None


def opened(path: str) -> Any:
    """The file, or standard input for `-`, to be read by `with` and `read`."""
    return _Input() if path == STDIN else Path(path).open("rb", buffering=0)


def feeds_of(texts: Iterable[str], registry: Registry) -> tuple[Feed, ...]:
    """The feeds of `--publish QUEUE=FILE` options.

    Raises:
        click.UsageError: not of that form, no such queue, no such file, or standard input twice.
    """
    pairs = [_pair(text, registry) for text in texts]
    from_stdin = sum(path == STDIN for _, path in pairs)
    if from_stdin > 1:
        raise click.UsageError("--publish: standard input can only be read once")
    if from_stdin and sys.stdin is None:
        raise click.UsageError("--publish: standard input is closed")
    return tuple(Feed(queue, path) for queue, path in pairs)


def _pair(text: str, registry: Registry) -> tuple[str, str]:
    wanted, equals, path = text.partition("=")
    if not (equals and wanted and path):
        raise click.UsageError(f"--publish {text!r}: expected QUEUE=FILE, or QUEUE=- for standard input")
    try:
        queue = str(find_queue(registry, wanted).id)
    except click.UsageError as error:
        raise click.UsageError(f"--publish {text!r}: {error.message}") from error
    if path != STDIN:
        problem = unreadable(path)
        if problem is not None:
            raise click.UsageError(f"--publish {text!r}: {problem}")
    return queue, path


def unreadable(path: str) -> str | None:
    """Why a file cannot be read, or None."""
    file = Path(path)
    if not file.exists():
        return f"file not found: {path}"
    if file.is_dir():
        return f"{path} is a directory"
    if not os.access(file, os.R_OK):
        return f"{path} cannot be read"
    return None
