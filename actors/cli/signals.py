"""SIGINT and SIGTERM: the first asks for a stop, the second ends the process at once.

Knows: signals. Must not know: what is stopped.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from .program import end_at_once

WATCHED: Final = (signal.SIGINT, signal.SIGTERM)

SHOW_CURSOR: Final = "\x1b[?25h"


class Interrupted(BaseException):
    """A signal came while the program was starting: raised in the main thread, wherever that was."""


class Signals:
    """Watches the two signals while it is entered.

    Attributes:
        stopping: set by the first signal.
        interrupts: whether the first signal raises Interrupted in the main thread instead of only setting `stopping`.
        silence: keeps a live view from drawing, when there is one, and returns the lines that it did not show yet;
            called just before the process ends at once.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.interrupts = False
        self.silence: Callable[[], str] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in WATCHED:
                # Whoever started us with a signal ignored (nohup, a script's `&`) wants it ignored.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

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

    def _end(self, number: int) -> None:
        shown = f"noria: second {signal.Signals(number).name}: ended at once\n"
        shown = f"{SHOW_CURSOR}\n{self.silence()}{shown}" if self.silence is not None else f"\n{shown}"
        # Not through sys.stderr: the interrupted thread may be in the middle of writing there.
        end_at_once(128 + number, shown)
