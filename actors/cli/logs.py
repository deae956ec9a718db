"""Where log records go while a command runs.

Knows: the root logger, which it borrows and gives back. Must not know: events (observability does).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from ..observability import JsonFormatter, TextFormatter

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["live", "text", "json"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}

STYLES: Final = {"debug": "dim", "warn": "yellow", "error": "red"}


class ConsoleHandler(logging.Handler):
    """Prints records above a live view."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from rich.text import Text

        from ..observability.log import level_name

        try:
            line = Text(self.format(record), style=STYLES.get(level_name(record), ""))
            self._console.print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


def format_of(chosen: str, *, is_terminal: bool) -> Format:
    """`auto` is a live view on a terminal and JSON lines elsewhere; the others are what they say."""
    if chosen == "auto":
        return "live" if is_terminal else "json"
    return "text" if chosen == "text" else "json"


def handler_for(form: Format, console: Console | None) -> logging.Handler:
    """The handler that writes records of this format."""
    handler = ConsoleHandler(console) if console is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    return handler


@contextmanager
def logging_to(handler: logging.Handler, level: str) -> Iterator[Callable[[logging.LogRecord], object]]:
    """Send everything that is logged to one handler, and only there; yields what writes a record past the level.

    Loggers are left as they were found.
    """
    root, ours = logging.getLogger(), logging.getLogger("noria")
    # pykka logs the failures that the events tell, too.
    quiet = logging.getLogger("pykka")
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in (root, ours, quiet)]
    root.handlers, ours.handlers, ours.propagate = [handler], [], True
    root.setLevel(LEVELS[level])
    ours.setLevel(logging.NOTSET)
    quiet.setLevel(logging.CRITICAL)
    try:
        yield handler.handle
    finally:
        for logger, number, handlers, propagate in before:
            logger.setLevel(number)
            logger.handlers, logger.propagate = handlers, propagate
