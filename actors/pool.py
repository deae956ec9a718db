"""The buffer that a consumer's workers share, and the mailbox through which each of them draws from it.

Knows: who is idle, and how to wake one of them for many deliveries. Must not know: drivers, handlers.

A pool with one shared buffer is what the seed describes ('workers pull from buffer concurrently'), and handing
each delivery to a chosen idle worker was three to five times slower.
"""

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from pykka._envelope import Envelope

from .delivery import Delivery
from .supervision import Mailbox


class Work:
    """Told to a worker by its mailbox: there is something in the buffer."""


WORK: Final = Envelope(Work())


# So many workers may be on their way at a time. A pool of that size is not limited by it; in a larger one, threads that
# all wait for the interpreter would cost ten times what a small handler does.
MOST_COMING: Final = 64


class Buffer:
    """Deliveries that no worker has taken yet. Thread-safe; nothing in it waits.

    While some workers are on their way, those that are awake take what lies there, and each that has come wakes the
    next one if anything is left. Waking one for each delivery would cost more than most handlers do.
    """

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque()
        self._idle: deque[WorkerMailbox] = deque()
        self._coming: set[WorkerMailbox] = set()

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries and wake one idle worker; it wakes the next one if there is more than it can take."""
        # Added first, asked second: who is on its way says that it has come before it looks for deliveries.
        self._deliveries.extend(deliveries)
        if len(self._coming) < MOST_COMING:
            self.rouse()

    def take(self, mailbox: "WorkerMailbox") -> Delivery | None:
        """The oldest delivery for the owner of a mailbox, or None. Wakes another worker for what is left."""
        # Somebody may have chosen it just when it had woken up by itself.
        if mailbox.is_coming:
            self.has_come(mailbox)
        try:
            delivery = self._deliveries.popleft()
        except IndexError:
            return None
        if self._deliveries and self._idle and len(self._coming) < MOST_COMING:
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
            mailbox.is_coming = True
            self._coming.add(mailbox)
            if mailbox.wake():
                return
            self.has_come(mailbox)

    def has_come(self, mailbox: "WorkerMailbox") -> None:
        """The owner of a mailbox looks for deliveries now."""
        mailbox.is_coming = False
        self._coming.discard(mailbox)

    def leave(self, mailbox: "WorkerMailbox") -> None:
        """The owner of a mailbox never looks for deliveries again. A wake-up that was meant for it goes to another."""
        with contextlib.suppress(ValueError):
            self._idle.remove(mailbox)
        self.has_come(mailbox)
        if self._deliveries:
            self.rouse()

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
        self.is_coming = False

    def has_something(self) -> bool:
        """Also a delivery that any worker of the pool could take."""
        return bool(self._buffer) or super().has_something()

    def _next(self) -> Envelope[Any] | None:
        envelope = super()._next()
        if envelope is not None:
            return envelope
        if self.is_coming:
            self._buffer.has_come(self)
        if self._buffer:
            return WORK
        # `get` looks a second time after it has marked the mailbox as sleeping. Whoever fills the buffer in
        # between either is seen by that second look, or finds us here and wakes us.
        if not self.is_idle:
            self._buffer.rest(self)
        return None
