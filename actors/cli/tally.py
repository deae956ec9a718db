"""What happened during a run, counted from its events.

Knows: events. Must not know: who asks, how it is printed. Thread-safe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import attrs

from ..events import MessageAcked, MessageDeadLettered, MessageFailed

if TYPE_CHECKING:
    from ..runtime import Runtime


@attrs.frozen
class Counts:
    """Figures at one moment."""

    handled: int
    failed: int
    dead_lettered: int
    denied: int


class Tally:
    """Counts from the moment it listens."""

    def __init__(self, runtime: Runtime) -> None:
        self.reasons: dict[str, Counter[str]] = {}
        """For each dead-letter queue: how many came for which reason."""
        self.last: dict[str, MessageDeadLettered] = {}
        """For each dead-letter queue: the last that came."""
        self._runtime = runtime
        self._lock = Lock()
        self._acked = 0
        self._failed = 0
        self._unsubscribe: tuple[Callable[[], None], ...] = (
            runtime.bus.subscribe(self._count_acked, MessageAcked),
            runtime.bus.subscribe(self._count_failed, MessageFailed),
            runtime.bus.subscribe(self._dead_lettered, MessageDeadLettered),
        )

    def close(self) -> None:
        """Listen no longer."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def counts(self) -> Counts:
        """The figures now."""
        with self._lock:
            dead_lettered = sum(counter.total() for counter in self.reasons.values())
            return Counts(self._acked, self._failed, dead_lettered, self._runtime.guard.denials)

    def _count_acked(self, _event: MessageAcked) -> None:
        with self._lock:
            self._acked += 1

    def _count_failed(self, _event: MessageFailed) -> None:
        with self._lock:
            self._failed += 1

    def _dead_lettered(self, event: MessageDeadLettered) -> None:
        with self._lock:
            self.reasons.setdefault(event.dead_letter_queue, Counter())[event.reason] += 1
            self.last[event.dead_letter_queue] = event
