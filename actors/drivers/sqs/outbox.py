"""What waits to be sent to one queue: the messages of many publishers share the trips.

Knows: entries in order, batches of ten, publications that wait for all of theirs. Must not know: boto3, consumers.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from attrs import define

from ...errors import ActorsError, BodyRefused, DriverRefused, DriverUnavailable
from ..io_thread import Request
from .crew import Crew
from .failures import CallFailed, Failure, Fate
from .queue import SqsQueue
from .tools import Tools

LARGEST_BATCH = 10
SENDERS = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
ABOUT_A_MESSAGE = {
    "BatchRequestTooLong",
    "InvalidAttributeValue",
    "InvalidMessageContents",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "UnsupportedOperation",
    "AWS.SimpleQueueService.BatchRequestTooLong",
    "AWS.SimpleQueueService.UnsupportedOperation",
}


class Publication(Request):
    """The entries of one call of `publish`, and what became of each."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.is_abandoned = count == 0
        self._answers: list[Failure | None] = [None] * count
        self._is_answered = [False] * count
        self._waiting_for = count
        self._lock = threading.Lock()

    def answer(self, number: int, failure: Failure | None) -> None:
        """An entry was stored, or can never be."""
        with self._lock:
            if not self._is_answered[number]:
                self._is_answered[number] = True
                self._answers[number] = failure
                self._waiting_for -= 1
                if not self._waiting_for:
                    self.finish()

    def fail(self, error: BaseException) -> None:
        """Nothing more will come."""
        with self._lock:
            self.is_abandoned = True
            self.finish(error=error)

    @property
    def accepted(self) -> int:
        """How many entries, from the first, are stored for sure."""
        with self._lock:
            answers = zip(self._is_answered, self._answers, strict=True)
            for number, (is_answered, failure) in enumerate(answers):
                if not is_answered or failure is not None:
                    return number
            return len(self._answers)

    @property
    def refusal(self) -> Failure | None:
        """Why the first entry that was refused can never be stored."""
        with self._lock:
            return next((failure for failure in self._answers if failure is not None), None)


@define(eq=False)
class Outgoing:
    """One entry on its way."""

    entry: dict[str, Any]
    size: int
    publication: Publication
    number: int


class Outbox:
    """Sends to one queue, as long as its driver is open. Thread-safe.

    Args:
        queue: where to.
        tools: send.
        crew: whose threads do it.
    """

    def __init__(self, queue: SqsQueue, tools: Tools, crew: Crew) -> None:
        self._queue = queue
        self._tools = tools
        self._crew = crew
        # One trip after the other keeps the order.
        self._most_senders = 1 if queue.is_fifo else SENDERS
        self._lock = threading.Lock()
        self._waiting: deque[Outgoing] = deque()
        self._senders = 0
        self._publications: set[Publication] = set()
        self._closed = threading.Event()

    def send(self, entries: Sequence[tuple[dict[str, Any], int]], timeout: float) -> None:
        """Store the entries, each with its size; returns when they are safe.

        Raises:
            DriverUnavailable: closed, lost, or no answer in time.
            BodyRefused: SQS will not have one of them.
        """
        publication = Publication(len(entries))
        if publication.is_abandoned:
            return
        self._put(publication, entries)
        try:
            if not publication.wait(timeout):
                publication.fail(DriverUnavailable(self._tools.driver, f"no answer within {timeout:g} s"))
        finally:
            publication.is_abandoned = True
            with self._lock:
                self._publications.discard(publication)
        self._raise_what_failed(publication)

    def _raise_what_failed(self, publication: Publication) -> None:
        if isinstance(publication.error, DriverRefused):
            raise publication.error
        if publication.error is not None:
            problem = getattr(publication.error, "problem", "")
            raise DriverUnavailable(self._tools.driver, problem, accepted=publication.accepted)
        if publication.refusal is not None:
            raise BodyRefused(self._queue.name, publication.refusal.problem)

    def close(self, error: ActorsError) -> None:
        """Whoever still waits hears of the error at once."""
        with self._lock:
            self._closed.set()
            publications = tuple(self._publications)
            self._waiting.clear()
        for publication in publications:
            publication.fail(error)

    def _put(self, publication: Publication, entries: Sequence[tuple[dict[str, Any], int]]) -> None:
        with self._lock:
            if self._closed.is_set():
                raise DriverUnavailable(self._tools.driver)
            self._publications.add(publication)
            self._waiting.extend(
                Outgoing(entry, size, publication, number) for number, (entry, size) in enumerate(entries)
            )
            wanted = min(self._most_senders, -(-len(self._waiting) // LARGEST_BATCH))
            more = max(0, wanted - self._senders)
            self._senders += more
        for _ in range(more):
            self._crew.submit(self._send_all)

    def _send_all(self) -> None:
        """In a thread of the crew: until nothing waits."""
        try:
            self._send_until_nothing_waits()
        except Exception as error:
            self._tools.fail(error)

    def _send_until_nothing_waits(self) -> None:
        while batch := self._next_batch():
            pause = FIRST_PAUSE
            while batch := self._still_wanted(self._send(batch)):
                self._closed.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _next_batch(self) -> list[Outgoing]:
        with self._lock:
            batch: list[Outgoing] = []
            size = 0
            while self._waiting and len(batch) < LARGEST_BATCH:
                size += self._waiting[0].size
                if batch and size > self._queue.facts.largest:
                    break
                outgoing = self._waiting.popleft()
                if outgoing.publication.is_abandoned:
                    size -= outgoing.size
                else:
                    batch.append(outgoing)
            if not batch:
                self._senders -= 1
            return batch

    def _still_wanted(self, batch: list[Outgoing]) -> list[Outgoing]:
        return [outgoing for outgoing in batch if not outgoing.publication.is_abandoned]

    def _send(self, batch: list[Outgoing]) -> list[Outgoing]:
        """Send a batch; what is to be tried again."""
        try:
            failures = self._tools.client.send(self._queue.url, [outgoing.entry for outgoing in batch])
        except CallFailed as failed:
            return self._failed(batch, failed)
        again = []
        for number, outgoing in enumerate(batch):
            failure = failures.get(number)
            if failure is None or failure.is_final:
                outgoing.publication.answer(outgoing.number, failure)
            else:
                again.append(outgoing)
        return again

    def _failed(self, batch: list[Outgoing], failed: CallFailed) -> list[Outgoing]:
        if failed.fate is Fate.LATER:
            return batch
        if failed.fate is Fate.LOST:
            for outgoing in batch:
                outgoing.publication.fail(failed)
            self._tools.lost(failed)
        elif failed.code not in ABOUT_A_MESSAGE:
            for outgoing in batch:
                outgoing.publication.fail(failed.for_driver(self._tools.driver))
        elif len(batch) > 1:  # one bad message must not take the others along
            return [again for outgoing in batch for again in self._send([outgoing])]
        else:
            batch[0].publication.answer(batch[0].number, Failure(failed.problem, is_final=True))
        return []
