"""A driver's own thread, and what others ask of it and wait for.

Knows: a bell, rounds of work, the error that ends them. Must not know: what the work is.

Whoever publishes or settles leaves it somewhere and rings; the thread does everything that lies there in one trip
to the backend. The more there is to do, the larger the batches grow, by themselves.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

LONGEST_WAIT = 3600.0


class Request:
    """Something that one thread asks of another one, and waits for. Answered once; later answers are ignored."""

    __slots__ = ("_answered", "_is_done", "error", "result")

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._is_done = False
        self._answered = threading.Lock()
        self._answered.acquire()

    @property
    def is_done(self) -> bool:
        """Whether it was answered."""
        return self._is_done

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        """Answer it. Called by one thread at a time."""
        if not self._is_done:
            self.result, self.error = result, error
            self._is_done = True
            self._answered.release()

    def wait(self, timeout: float) -> bool:
        """Wait for the answer; False when `timeout` seconds have passed. For one waiting thread."""
        return self._is_done or self._answered.acquire(timeout=min(timeout, LONGEST_WAIT))

    def outcome(self) -> Any:
        """The result; raises the error. Only once it is done."""
        if self.error is not None:
            raise self.error
        return self.result


class IoThread:
    """Does rounds of work while there is something to do, and sleeps until it is rung or its own time has come.

    Args:
        name: of the thread.
        work: one round. Returns how many seconds from now it has something to do by itself: 0 at once, None only
            when it is rung.
        ended: called in the thread, once, at its end: with the error that `work` raised, or None after `stop`.
    """

    def __init__(
        self, name: str, work: Callable[[], float | None], ended: Callable[[BaseException | None], None]
    ) -> None:
        self._work = work
        self._ended = ended
        # What is put in is only the ringing: a queue in C wakes its reader faster than a Condition in Python.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_rung = False
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ring(self) -> None:
        """There is something to do. Cheap while the thread is busy; safe from any thread."""
        if not self._is_rung:
            self._is_rung = True
            self._bell.put(None)

    def stop(self, timeout: float) -> bool:
        """Let it do one last round and end; False if it has not ended within `timeout` seconds."""
        self._is_stopping = True
        self._bell.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._hear()
            while not self._is_stopping:
                wait = self._work()
                if wait != 0:
                    self._sleep(wait)
                self._hear()
            self._work()
        except BaseException as caught:  # whatever it is, somebody has to hear of it
            error = caught
        self._ended(error)

    def _hear(self) -> None:
        """Before a round, and before asking whether to stop: what is left from now on rings again.

        All of it: a busy thread never sleeps, and each ring of that time would cost a round in vain later.
        """
        while not self._bell.empty():
            self._bell.get_nowait()
        self._is_rung = False

    def _sleep(self, seconds: float | None) -> None:
        try:
            self._bell.get(timeout=LONGEST_WAIT if seconds is None else min(seconds, LONGEST_WAIT))
        except Empty:
            return
