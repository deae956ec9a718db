"""The buffer that a consumer's workers share, and the mailbox through which each of them draws from it.

Knows: who is idle, and how to wake one of them for many deliveries. Must not know: drivers, handlers.

A pool with one shared buffer is what the seed describes ('workers pull from buffer concurrently'), and handing
each delivery to a chosen idle worker was three to five times slower.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from pykka._envelope import Envelope

from .delivery import Delivery
from .supervision import Mailbox


class Work:
    """Told to a worker by its mailbox: there is something in the buffer."""


WORK: Final = Envelope(Work())


class Buffer:
    """Deliveries that no worker has taken yet. Thread-safe; nothing in it waits."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque()
        self._idle: deque[WorkerMailbox] = deque()

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries and wake one idle worker; it wakes the next one if there is more than it can take."""
        self._deliveries.extend(deliveries)
        self.rouse()

    def take(self) -> Delivery | None:
        """The oldest delivery, or None. Wakes another worker for what is left."""
        try:
            delivery = self._deliveries.popleft()
        except IndexError:
            return None
        if self._deliveries and self._idle:
            self.rouse()
        return delivery

    def drain(self) -> list[Delivery]:
        """Take everything, oldest first."""
        taken = []
        while True:
            try:
                taken.append(self._deliveries.popleft())
            except IndexError:
                return taken

    def snapshot(self) -> tuple[Delivery, ...]:
        """What is in it now."""
        return tuple(self._deliveries.copy())

    def rouse(self) -> None:
        """Wake one idle worker, if there is one."""
        while True:
            try:
                mailbox = self._idle.pop()
            except IndexError:
                return
            mailbox.is_idle = False
            if mailbox.wake():
                return

    def rest(self, mailbox: "WorkerMailbox") -> None:
        """Note an idle worker, the one to wake next: the last to fall asleep is the warmest."""
        mailbox.is_idle = True
        self._idle.append(mailbox)

    def __len__(self) -> int:
        return len(self._deliveries)


class WorkerMailbox(Mailbox):
    """A worker's own messages first, then the buffer of its pool."""

    def __init__(self, buffer: Buffer) -> None:
        super().__init__()
        self._buffer = buffer
        self.is_idle = False

    def _next(self) -> Envelope[Any] | None:
        envelope = super()._next()
        if envelope is not None:
            return envelope
        if self._buffer:
            return WORK
        # `get` looks a second time after it has marked the mailbox as sleeping. Whoever fills the buffer in
        # between either is seen by that second look, or finds us here and wakes us.
        if not self.is_idle:
            self._buffer.rest(self)
        return None
