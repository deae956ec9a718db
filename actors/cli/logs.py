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
from ..observability.log import level_name

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
    """Prints records on a terminal, coloured by their level.

    Attributes:
        show: takes whole lines; a live view puts itself in its place.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._coloured = console.color_system is not None and not console.no_color
        self.show: Callable[[str], object] = console.file.write

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from rich.style import Style

        try:
            line = self.format(record)
            style = STYLES.get(level_name(record), "")
            self.show(f"{Style.parse(style).render(line) if self._coloured else line}\n")
        except Exception:
            self.handleError(record)


def format_of(chosen: str, *, is_terminal: bool, can_move: bool = True) -> Format:
    """`auto` is a live view on a terminal and JSON lines elsewhere; the others are what they say.

    Args:
        chosen: `auto`, `text` or `json`.
        is_terminal: whether the lines go to one.
        can_move: whether that terminal can draw over what it has shown; one that cannot gets text.
    """
    if chosen == "auto" and is_terminal:
        return "live" if can_move else "text"
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
