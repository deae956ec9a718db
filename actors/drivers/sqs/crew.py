"""Threads for calls that wait for an answer.

Knows: jobs, as many threads as they need up to a limit. Must not know: what the jobs are.

A ThreadPoolExecutor would keep the interpreter from ending for as long as one of its calls hangs.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue

from ..io_thread import Request

Job = Callable[[], object]


class Crew:
    """Runs jobs in daemon threads, started when needed. Thread-safe. A job must not raise."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread_count = 0
        self._unfinished = 0
        self._is_closed = False

    def submit(self, job: Job) -> bool:
        """Run it soon; False if the crew is closed."""
        with self._lock:
            if self._is_closed:
                return False
            self._unfinished += 1
            self._jobs.put(job)
            if self._thread_count < min(self._size, self._unfinished):
                self._thread_count += 1
                name = f"{self._name}-{self._thread_count}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
            return True

    def run_all(self, jobs: Sequence[Job], timeout: float) -> bool:
        """Run them at once, the last one in this thread; False if some have not ended `timeout` seconds after it."""
        if not jobs:
            return True
        answers = [self._asked(job) for job in jobs[:-1]]
        jobs[-1]()
        return all(answer.wait(timeout) for answer in answers)

    def close(self) -> None:
        """Threads end after what they are doing."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._thread_count):
                self._jobs.put(None)

    def _asked(self, job: Job) -> Request:
        request = Request()
        if not self.submit(partial(self._answer, request, job)):
            self._answer(request, job)
        return request

    @staticmethod
    def _answer(request: Request, job: Job) -> None:
        try:
            job()
        finally:
            request.finish()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            finally:
                with self._lock:
                    self._unfinished -= 1
