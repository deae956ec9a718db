"""SIGINT and SIGTERM: the first asks for a stop, the second ends the process at once. SIGHUP asks for a reload.

Knows: signals. Must not know: what is stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from .program import end_at_once

WATCHED: Final = (signal.SIGINT, signal.SIGTERM)

# Windows has none.
HANGUP: Final = getattr(signal, "SIGHUP", None)

SHOW_CURSOR: Final = "\x1b[?25h"


class Interrupted(BaseException):
    """A signal came while the program was starting: raised in the main thread, wherever that was."""


class Signals:
    """Watches the signals while it is entered.

    Attributes:
        stopping: set by the first SIGINT or SIGTERM, and when the terminal is gone.
        hung_up: set by SIGHUP, to be cleared by whoever answers it.
        interrupts: whether the first signal raises Interrupted in the main thread instead of only setting `stopping`.
        silence: keeps a live view from drawing, when there is one, and returns the lines that it did not show yet;
            called just before the process ends at once.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.hung_up = threading.Event()
        self._had_terminal = _has_terminal()
        self.interrupts = False
        self.silence: Callable[[], str] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in WATCHED:
                self._watch(number, self._receive)
            if HANGUP is not None:
                self._watch(HANGUP, self._hang_up)
        return self

    def _watch(self, number: int, receive: Callable[[int, FrameType | None], None]) -> None:
        # Whoever started us with a signal ignored (nohup, a script's `&`) wants it ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            self._before[number] = signal.signal(number, receive)

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.stopping.is_set():
            self._end(number)
        self.stopping.set()
        if self.interrupts:
            self.interrupts = False
            raise Interrupted

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        # The kernel sends the same signal when a terminal is closed: then nobody is left to run for.
        if self._had_terminal and not _has_terminal():
            self._receive(number, frame)
        else:
            self.hung_up.set()

    def _end(self, number: int) -> None:
        shown = f"noria: second {signal.Signals(number).name}: ended at once\n"
        shown = f"{SHOW_CURSOR}\n{self.silence()}{shown}" if self.silence is not None else f"\n{shown}"
        # Not through sys.stderr: the interrupted thread may be in the middle of writing there.
        end_at_once(128 + number, shown)


def _has_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
