"""Threads for the calls that scripts do not wait for at once.

Knows: how many run at a time, and how they end. Must not know: what is called.
"""

import contextvars
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

MOST = 32
# Who stops a runtime waits this long for calls that were cancelled; after that they are left to themselves.
PATIENCE = 5.0

Work = Callable[[], object]


class Background:
    """A bounded pool whose threads start when they are needed and stay until it is closed. Thread-safe.

    Nothing ever waits for a free thread: calls that wait for calls that wait for a thread could do so for ever.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._cancels: set[Work] = set()
        self._is_closed = False

    def run(self, work: Work, cancel: Work) -> None:
        """Do some work that raises nothing, with the context variables of this thread: in another thread, or here.

        Args:
            work: it.
            cancel: asks it to end early.
        """
        inherited = contextvars.copy_context()

        def begin() -> None:
            try:
                inherited.run(work)
            finally:
                with self._lock:
                    self._cancels.discard(cancel)

        with self._lock:
            self._cancels.add(cancel)
            is_taken = self._take_thread()
            if is_taken:
                self._work.put(begin)
        if not is_taken:
            begin()

    def _take_thread(self) -> bool:
        if self._is_closed:
            return False
        if self._free > 0:
            self._free -= 1
            return True
        if len(self._threads) >= self._most:
            return False
        thread = threading.Thread(target=self._serve, name="noria-lua-async", daemon=True)
        self._threads.append(thread)
        thread.start()
        return True

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                self._free += 1

    def close(self) -> None:
        """Cancel what runs, and wait a while for it; the threads end. Calling it again does nothing."""
        with self._lock:
            self._is_closed = True
            threads, self._threads = self._threads, []
            cancels = tuple(self._cancels)
        for cancel in cancels:
            cancel()
        for _ in threads:
            self._work.put(None)
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
