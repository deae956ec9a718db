"""What is to happen later, for the memory driver: one heap and one thread.

Knows: times and functions without arguments. Must not know: queues, messages.
"""

import heapq
import itertools
import threading
from collections.abc import Callable

# A longer wait overflows in C; whoever waits looks again, and waits on.
LONGEST_WAIT = 3600.0

Later = tuple[float, int, Callable[[], None]]


class Delays:
    """Calls functions when their time has come; while it is closed, they wait. Thread-safe.

    A function that was called is forgotten afterwards, so that none is lost with its thread; it must bear being called
    twice. The thread is started with the first delay.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._heap: list[Later] = []
        self._order = itertools.count()
        self._is_open = False
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Go on."""
        with self._lock:
            self._is_open = True
            if self._heap:
                self._ensure_thread()

    def close(self) -> None:
        """Keep what is delayed, and end the thread."""
        with self._lock:
            self._is_open = False
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def add(self, seconds: float, end: Callable[[], None]) -> None:
        """Call `end` in so many seconds."""
        with self._lock:
            heapq.heappush(self._heap, (self._clock() + seconds, next(self._order), end))
            if self._is_open:
                self._ensure_thread()
            self._changed.notify()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="memory-driver-delays", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            _time, _order, end = due
            end()
            self._forget(due)

    def _next_due(self) -> Later | None:
        with self._lock:
            while self._is_open:
                if not self._heap:
                    self._changed.wait()
                elif (wait := self._heap[0][0] - self._clock()) > 0:
                    self._changed.wait(min(wait, LONGEST_WAIT))
                else:
                    return self._heap[0]
            return None

    def _forget(self, due: Later) -> None:
        with self._lock:
            if self._heap[0] is due:
                heapq.heappop(self._heap)
            else:  # something with an earlier time came meanwhile
                self._heap.remove(due)
                heapq.heapify(self._heap)
