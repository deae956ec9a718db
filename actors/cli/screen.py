"""A terminal with a live view at its foot, and everything that is printed above it.

Knows: rich, threads, the two standard streams. Must not know: what the view shows, when the run is over. Whoever prints
never waits for the terminal: lines are collected, and drawn together with the view a few times a second.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment

INTERVAL: Final = 0.1
"""Seconds between two drawings of lines that were printed."""

PACE: Final = 2
"""The view is drawn anew at every so manieth interval in which nobody printed."""


class Lines:
    """Text as it is: rich neither wraps nor reads it, so the terminal wraps it and its colours survive."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One segment."""
        del console, options
        yield Segment(self._text)


class Screen:
    """Draws a view while it is entered; it gives way to what is printed afterwards. Thread-safe.

    While it is entered, whatever is written to a standard stream that is a terminal appears above the view, whole lines
    at a time and in the order in which they were ended.

    Args:
        console: a terminal.
        view: what to draw now.
    """

    def __init__(self, console: Console, view: Callable[[], RenderableType]) -> None:
        self._console = console
        self._view = view
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._waiting: deque[str] = deque()
        self._put: Callable[[str], object] = self._waiting.append
        self._ended = threading.Event()
        self._drawer = threading.Thread(target=self._draw_on, name="live view", daemon=True)
        self._streams: list[tuple[str, TextIO, LineStream]] = []

    def __enter__(self) -> Self:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                ours = LineStream(stream, self.show)
                self._streams.append((name, stream, ours))
                setattr(sys, name, ours)
        self._live.start()
        self._draw(self._now())
        self._drawer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._drawer.join()
        for name, stream, ours in self._streams:
            ours.end_lines()
            setattr(sys, name, stream)
        self._draw()
        self._live.stop()
        # Whoever has kept a stream of ours, such as a handler that does not end, still prints.
        self._put = self._console.file.write

    def show(self, lines: str) -> None:
        """Show whole lines above the view, soon; when there is no view any more, at once."""
        self._put(lines)

    def abandon(self) -> str:
        """Draw nothing any more; return what was not shown yet. For a signal handler: takes no lock."""
        self._console.quiet = True
        return self._take()

    def _draw_on(self) -> None:
        silent = 0
        while not self._ended.wait(INTERVAL):
            silent = 0 if self._waiting else silent + 1
            if silent % PACE == 0:
                self._draw(self._now())

    def _now(self) -> RenderableType | None:
        try:
            return self._view()
        except Exception:
            return None  # the last one stays: a view that cannot be made must not hold back what is printed

    def _draw(self, view: RenderableType | None = None) -> None:
        text = self._take()
        with self._console:  # one write for both
            if view is not None:
                self._live.update(view)
            if text:
                self._console.print(Lines(text), soft_wrap=True)
            self._live.refresh()

    def _take(self) -> str:
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return "".join(taken)


class LineStream:
    """Stands for a standard stream and hands on whole lines.

    What threads print at once does not mix: each has its own unfinished line.
    """

    def __init__(self, stream: TextIO, show: Callable[[str], object]) -> None:
        self._stream = stream
        self._show = show
        self._unfinished: dict[int, str] = {}

    @property
    def rich_proxied_file(self) -> TextIO:
        """Where a rich console really writes to."""
        return self._stream

    def write(self, text: str) -> int:
        """Show the lines that are complete."""
        thread = threading.get_ident()
        lines, end, rest = (self._unfinished.pop(thread, "") + text).rpartition("\n")
        if rest:
            self._unfinished[thread] = rest
        if end:
            self._show(lines + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """As `write` of each."""
        for line in lines:
            self.write(line)

    def end_lines(self) -> None:
        """Show what was begun, too."""
        for thread in tuple(self._unfinished):
            self._show(self._unfinished.pop(thread) + "\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
