"""Lines out of a stream of bytes, as they come.

Knows: bytes and numbers of lines. Must not know: JSON, queues. What is there is handed out at once: a line that
somebody types does not wait for the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

CHUNK: Final = 64 * 1024
BATCH: Final = 500
LONGEST: Final = 16 * 1024 * 1024


@attrs.frozen
class Line:
    """A line without its end; `text` is None for one that is longer than LONGEST bytes."""

    number: int
    text: bytes | None


def batches(read: Callable[[int], bytes]) -> Iterator[list[Line]]:
    """The lines of a stream, in batches of at most BATCH: each read gives what is there, and no batch waits for more.

    Args:
        read: returns up to so many bytes, at least one when there are any, and nothing at the end of the stream.
    """
    splitter = _Splitter()
    while chunk := read(CHUNK):
        lines = splitter.feed(chunk)
        for start in range(0, len(lines), BATCH):
            yield lines[start : start + BATCH]
    rest = splitter.end()
    if rest:
        yield rest


class _Splitter:
    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._number = 0

    def feed(self, chunk: bytes) -> list[Line]:
        *complete, rest = chunk.split(b"\n")
        lines = [self._line(part) for part in complete]
        self._hold(rest)
        return lines

    def end(self) -> list[Line]:
        return [self._line(b"")] if self._held else []

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > LONGEST:
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _line(self, last: bytes) -> Line:
        self._hold(last)
        text = None if self._held > LONGEST else b"".join(self._parts)
        self._parts, self._held = [], 0
        self._number += 1
        return Line(self._number, text)
