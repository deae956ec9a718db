"""`noria run`: start an application, feed it, watch it, stop it.

Knows: options, the terminal and exit codes. Must not know: when a run is over (session.py), how it looks (live.py).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import attrs
import click

from .application import (
    Application,
    Invalid,
    application_options,
    example,
    from_here,
    not_started,
    nothing_below,
    skipped,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..runtime import Runtime
    from .feeding import Feed
    from .logs import ConsoleHandler, Format
    from .session import Session
    from .signals import Signals
    from .tally import Tally

logger = logging.getLogger("noria.run")


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
    """Run the application directory APP, which is put last on Python's module path.

    Log lines go to stderr. SIGINT (Ctrl-C) or SIGTERM stops gracefully; a second one ends the process at once, with
    exit code 130 or 143. SIGHUP reads APP again, and exchanges what has changed.

    Exit codes: 0 clean, also when messages failed and lie in a dead-letter queue; 1 when a service gave up or cannot
    start, a handler did not finish in time, an input line was bad, or what was fed waits for a consumer that does not
    start; 2 configuration or usage.
    """
    from .feeding import feeds_of
    from .logs import format_of, handler_for, logging_to

    runtime = _loaded(application)
    application.make_importable()
    feeds = feeds_of(sources, runtime.registry)
    settings = runtime.settings.logger
    form = format_of(
        log_format or settings.format,
        is_terminal=sys.stderr.isatty(),
        can_move=os.environ.get("TERM", "") not in ("dumb", "unknown"),
    )
    console = _console() if form == "live" else None
    handler = handler_for(form, console)
    with logging_to(handler, log_level or settings.level) as write:
        run = _Run(application, runtime, feeds, form, handler, write, console)
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
    return runtime


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@attrs.frozen
class _Run:
    """One run, with everything that is printed."""

    _application: Application
    _runtime: Runtime
    _feeds: tuple[Feed, ...]
    _form: Format
    _handler: logging.Handler
    _write: Callable[[logging.LogRecord], object]
    _console: Console | None

    def go(self, *, until_idle: bool, stop_timeout: float | None) -> int:
        from .session import Session
        from .signals import Signals
        from .summary import Summary
        from .tally import Tally

        silence = self._listen()
        tally = Tally(self._runtime)
        try:
            self._warn()
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

    def _listen(self) -> Callable[[], None]:
        from ..observability import LogSink
        from .why import Why

        why = Why(self._application.path, lambda: self._runtime.registry)
        return LogSink(more=why).listen(self._runtime.bus)

    def _warn(self) -> None:
        """Of what is allowed and probably not meant; in the log, so that every line of it has one form."""
        registry = self._runtime.registry
        if not len(registry):
            nothing = nothing_below(self._application.path)
            logger.warning("nothing to run: %s", nothing, extra={"event": "NothingToRun"})
        for each in (*skipped(registry), *not_started(registry)):
            logger.warning("%s: %s", each.place, each.text, extra={"event": each.event})

    def _start(self, session: Session) -> int | None:
        """Start; an exit code when that is already the end."""
        from ...registry import NoriaError
        from ..errors import FunctionBroken
        from ..supervision.errors import StartFailed, describe

        try:
            return None if session.start() else 0
        except FunctionBroken as broken:
            self._say("StartFailed", from_here(str(broken)))
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
        from .logs import ConsoleHandler

        if self._console is None or not isinstance(self._handler, ConsoleHandler):
            return nullcontext()
        return _live(self._console, self._handler, session, tally, signals)


@contextmanager
def _live(
    console: Console, handler: ConsoleHandler, session: Session, tally: Tally, signals: Signals
) -> Iterator[None]:
    from .live import Rates, view
    from .screen import Screen

    rates, began, tree = Rates(), time.monotonic(), dict[str, Any]()

    def now() -> RenderableType:
        # A runtime that stops has no tree any more: its last one stays.
        tree.update(session.runtime.tree())
        seconds = time.monotonic() - began
        return view(
            tree,
            session.feeds,
            tally.counts(),
            rates,
            seconds,
            is_stopping=session.is_stopping,
            height=console.size.height,
        )

    printed = handler.show
    with Screen(console, now) as screen:
        signals.silence, handler.show = screen.abandon, screen.show
        try:
            yield
        finally:
            signals.silence, handler.show = None, printed
