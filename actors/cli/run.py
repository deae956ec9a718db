"""`noria run`: start an application, feed it, watch it, stop it.

Knows: options, the terminal and exit codes. Must not know: when a run is over (session.py), how it looks (live.py).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .application import Application, Invalid, application_options, example, tell_skipped

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..runtime import Runtime
    from .feeding import Feed
    from .logs import Format
    from .session import Session
    from .signals import Signals
    from .tally import Tally


@click.command(
    "run",
    short_help="Run an application until it is told to stop, or is idle.",
    epilog=example(
        "noria run hello",
        "noria run hello --publish app:greetings=hello/input.jsonl --until-idle",
        "tail -f requests.jsonl | noria run hello --publish app:greetings=-",
    ),
)
@application_options
@click.option(
    "--publish",
    "sources",
    multiple=True,
    metavar="QUEUE=FILE",
    help="Publish each line of FILE, a JSON value, to QUEUE; - is standard input. Repeatable, all run at once.",
)
@click.option("--until-idle", is_flag=True, help="Stop when all is fed and nothing is left to handle.")
@click.option(
    "--stop-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="For the whole stop; otherwise shutdown.timeout of .noria.yaml, 30 by default.",
)
@click.option(
    "--log-format",
    type=click.Choice(("auto", "text", "json")),
    help="auto: a live view on a terminal, JSON lines elsewhere. Otherwise logger.format of .noria.yaml.",
)
@click.option(
    "--log-level",
    type=click.Choice(("debug", "info", "warn", "error")),
    help="Otherwise logger.level of .noria.yaml, info by default.",
)
def command(  # noqa: PLR0913 - one parameter for each option
    application: Application,
    *,
    sources: tuple[str, ...],
    until_idle: bool,
    stop_timeout: float | None,
    log_format: str | None,
    log_level: str | None,
) -> int:
    """Run the application directory APP, which is put first on Python's module path.

    Log lines go to stderr. SIGINT (Ctrl-C) or SIGTERM stops gracefully; a second one ends the process at once, with
    exit code 130 or 143.

    Exit codes: 0 clean, also when messages failed and lie in a dead-letter queue; 1 when a service gave up or cannot
    start, a handler did not finish in time, or an input line was bad; 2 configuration or usage.
    """
    from .feeding import feeds_of
    from .logs import format_of, handler_for, logging_to

    sys.path.insert(0, str(Path(application.path).absolute()))
    runtime = _loaded(application)
    feeds = feeds_of(sources, runtime.registry)
    logger = runtime.settings.logger
    form = format_of(log_format or logger.format, is_terminal=sys.stderr.isatty())
    console = _console() if form == "live" else None
    handler = handler_for(form, console)
    with logging_to(handler, log_level or logger.level) as write:
        run = _Run(runtime, feeds, console, form, write)
        return run.go(until_idle=until_idle, stop_timeout=stop_timeout)


def _loaded(application: Application) -> Runtime:
    from ...registry import ConfigurationError
    from ..runtime import Runtime

    try:
        runtime = Runtime.load(
            application.path, application.ignore_unknown_kinds, overrides=application.overrides
        )
    except ConfigurationError as error:
        raise Invalid(error) from error
    tell_skipped(runtime.registry)
    return runtime


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


class _Run:
    """One run, with everything that is printed."""

    def __init__(
        self, runtime: Runtime, feeds: tuple[Feed, ...], console: Console | None, form: Format, write: Any
    ) -> None:
        self._runtime = runtime
        self._feeds = feeds
        self._console = console
        self._form = form
        self._write = write

    def go(self, *, until_idle: bool, stop_timeout: float | None) -> int:
        from ..observability import LogSink
        from .session import Session
        from .signals import Signals
        from .summary import Summary
        from .tally import Tally

        silence = LogSink().listen(self._runtime.bus)
        tally = Tally(self._runtime)
        try:
            with Signals() as signals:
                session = Session(
                    self._runtime, self._feeds, signals, until_idle=until_idle, stop_timeout=stop_timeout
                )
                with self._screen(session, tally, signals):
                    code = self._start(session)
                    if code is not None:
                        return code
                    ending = session.go_on()
            self._tell(Summary(session, ending, tally))
            return 1 if ending.problems else 0
        finally:
            tally.close()
            silence()

    def _start(self, session: Session) -> int | None:
        """Start; an exit code when that is already the end."""
        from ...registry import NoriaError
        from ..errors import FunctionBroken
        from ..supervision_errors import StartFailed, describe

        try:
            return None if session.start() else 0
        except FunctionBroken as broken:
            self._say("StartFailed", str(broken))
            return 2
        except StartFailed as failed:
            for service, error in failed.failures.items():
                self._say("StartFailed", f"{service} did not start: {describe(error)}")
            return 1
        except NoriaError as error:
            self._say("StartFailed", f"the application did not start: {error}")
            return 1

    def _say(self, event: str, text: str) -> None:
        self._write_record(logging.ERROR, event, text, {})

    def _tell(self, summary: Any) -> None:
        if self._form == "json":
            level = logging.ERROR if summary.ending.problems else logging.INFO
            self._write_record(level, "RunEnded", "run ended", summary.fields())
        else:
            for line in summary.lines():
                click.echo(line, err=True)

    def _write_record(self, level: int, event: str, text: str, fields: dict[str, Any]) -> None:
        record = logging.LogRecord("noria.run", level, "", 0, "%s", (text,), None)
        vars(record).update(event=event, fields=fields)
        self._write(record)

    def _screen(self, session: Session, tally: Tally, signals: Signals) -> AbstractContextManager[None]:
        return nullcontext() if self._console is None else _live(self._console, session, tally, signals)


@contextmanager
def _live(console: Console, session: Session, tally: Tally, signals: Signals) -> Iterator[None]:
    from rich.live import Live

    from .live import Rates, view

    rates, began, tree = Rates(), time.monotonic(), dict[str, Any]()

    def now() -> RenderableType:
        # A runtime that has stopped has no tree any more: its last one stays.
        tree.update(session.runtime.tree())
        return view(tree, session.feeds, tally.counts(), rates, time.monotonic() - began)

    signals.silence = lambda: setattr(console, "quiet", True)
    with Live(get_renderable=now, console=console, refresh_per_second=5, redirect_stdout=sys.stdout.isatty()):
        yield
    signals.silence = None
