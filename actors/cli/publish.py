"""`noria publish`: messages into a queue, straight through its driver.

Knows: lines, headers, what to say when something is not accepted. Must not know: any driver. No process has to run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from .application import Application, application_options, example
from .backends import access_to, counted, named_queue
from .waiting import bar, tell

if TYPE_CHECKING:
    from ..access import QueueAccess
    from ..errors import ActorsError
    from ..queue import Queue

BODY: Final = "--body"


@click.command(
    "publish",
    short_help="Publish messages to a queue; nothing has to run.",
    epilog=example(
        "noria publish examples/brokers/app orders examples/brokers/input.jsonl",
        "noria publish examples/brokers/app orders --body '{\"id\": 7}' --header tenant=acme",
    ),
)
@application_options
@click.argument("queue")
@click.argument("file", required=False)
@click.option("--body", metavar="JSON", help="Publish this one body instead of lines.")
@click.option(
    "--header",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A header of every message; a number, true, false or null is one. Repeatable.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait for room; otherwise the queue's publish_timeout.",
)
def command(  # noqa: PLR0913 - one parameter for each option
    application: Application,
    *,
    queue: str,
    file: str | None,
    body: str | None,
    pairs: tuple[str, ...],
    timeout: float | None,
) -> int:
    """Publish each line of FILE, a JSON value, to QUEUE of APP; without FILE, or for -, those of standard input.

    Straight through the queue's driver: the application need not run. Ends with how many messages were accepted: the
    driver has them safely. A bad line is told and skipped, and the exit code is 1.
    """
    headers = dict(map(_header, pairs))
    source = _source(file, body)
    with access_to(application.registry()) as access:
        target = access.open(str(named_queue(access, queue).id))
        publishing = _Publishing(access, target, headers, timeout)
        try:
            if body is not None:
                publishing.send([1], [_json(body)])
            else:
                publishing.send_lines(source)
        finally:
            click.echo(publishing.told())
    return 1 if publishing.bad else 0


def _source(file: str | None, body: str | None) -> str:
    from .feeding import STDIN, unreadable

    if body is not None:
        if file is not None:
            raise click.UsageError("give either FILE or --body")
        _json(body)
        return ""
    if file is None and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("say what to publish: FILE, - for standard input, or --body JSON")
    path = file or STDIN
    problem = unreadable(path) if path != STDIN else None
    if path == STDIN and sys.stdin is None:
        problem = "standard input is closed"
    if problem is not None:
        raise click.UsageError(problem)
    return path


def _json(text: str) -> Any:
    from .feeding import parsed
    from .lines import Line

    try:
        return parsed(Line(2, text.encode(errors="surrogateescape")))
    except ValueError as error:
        raise click.UsageError(f"--body: {error}") from error


def _header(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--header {text!r}: expected NAME=VALUE")
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(found, list | dict) else found


@attrs.define
class _Publishing:
    access: QueueAccess
    queue: Queue
    headers: Mapping[str, Any]
    timeout: float | None
    accepted: int = 0
    bad: int = 0
    source: str = BODY
    tell: Callable[[str], None] = tell

    def send_lines(self, path: str) -> None:
        from .feeding import STDIN, opened, size_of, values
        from .lines import batches

        self.source = "<stdin>" if path == STDIN else path
        with opened(path) as stream, bar(str(self.queue.id), size_of(path)) as shown:
            self.tell = shown.tell

            def read(size: int) -> bytes:
                chunk: bytes = stream.read(size)
                shown.advance(len(chunk))
                return chunk

            for batch in batches(read):
                numbers, bodies = values(batch, self._complain)
                self.send(numbers, bodies)

    def send(self, numbers: Sequence[int], bodies: Sequence[Any]) -> None:
        from ..errors import BodyRefused

        try:
            if bodies:
                self._publish(numbers, bodies)
        except BodyRefused as refused:
            if len(bodies) == 1:
                self._complain(numbers[0], str(refused))
                return
            for number, body in zip(numbers, bodies, strict=True):
                self.send([number], [body])

    def _publish(self, numbers: Sequence[int], bodies: Sequence[Any]) -> None:
        """All of them, or an error that says from which line on nothing was accepted."""
        from ..errors import QueueFull, QueueUnavailable

        taken = 0
        while taken < len(bodies):
            try:
                new = len(self._try(bodies[taken:]))
            except KeyboardInterrupt:
                self.tell(self._interrupted(numbers[taken], numbers[-1]))
                raise
            except (QueueFull, QueueUnavailable) as error:
                new = error.accepted
                is_hopeless = not new or self.access.lost(self.queue) is not None
                if is_hopeless:
                    self.accepted += new
                    where = numbers[taken + new] if taken + new < len(numbers) else numbers[-1]
                    raise click.ClickException(self._stopped(where, error)) from error
            self.accepted += new
            taken += new

    def _try(self, bodies: Sequence[Any]) -> list[str]:
        """Waits as long as it may for room, and not at all for a driver that is lost: nobody here restarts it."""
        return self.queue.publish(
            bodies,
            self.headers,
            timeout=self.timeout,
            is_cancelled=lambda: self.access.lost(self.queue) is not None,
        )

    def _stopped(self, number: int, error: ActorsError) -> str:
        from ..errors import QueueFull

        # Why its driver did not take them says more than that the queue did not.
        reason = self.access.lost(self.queue) or error.__cause__ or error
        problem = f"{self.queue.id} has no room" if isinstance(error, QueueFull) else str(reason)
        if self.source == BODY:
            return f"not accepted: {problem}"
        return f"{self.source}:{number}: {problem}; nothing from this line on was accepted"

    def _interrupted(self, first: int, last: int) -> str:
        if self.source == BODY:
            return "interrupted: it may have been accepted"
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        return f"{self.source}:{first}: interrupted: {lines} may have been accepted, nothing after"

    def _complain(self, number: int, problem: str) -> None:
        self.bad += 1
        self.tell(
            f"{self.source}: {problem}" if self.source == BODY else f"{self.source}:{number}: {problem}"
        )

    def told(self) -> str:
        bad = f", {counted(self.bad, 'bad line')}" if self.bad and self.source != BODY else ""
        return f"{self.queue.id}: {counted(self.accepted)} accepted{bad}"
