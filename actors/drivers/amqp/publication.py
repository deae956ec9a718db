"""What one call of `publish` has sent, and what of it is safe.

Knows: counting. Must not know: pika, threads, connections.
"""

from collections.abc import Callable, Sequence

from ..io_thread import Request
from .declared import DeclaredQueue
from .headers import Letter


class Publication(Request):
    """Some letters for one queue of the broker.

    Args:
        route: the queue's name in the broker.
        letters: in order.
        queue: whose room they take; None if there is always room for them.
        answered: called in the link's thread when everything was confirmed or refused, instead of somebody waiting.

    Attributes:
        allowed: how many of the letters, from the first, have room.
        sent: how many were sent.
        open: how many were sent and neither confirmed nor refused.
        is_gated: its letters take room that is counted.
        is_due: its time is up: what has no room now gets none.
        problem: why it will not be confirmed as a whole.
        is_unroutable: the broker does not have the queue.
    """

    __slots__ = (
        "_confirmed",
        "allowed",
        "answered",
        "is_due",
        "is_gated",
        "is_unroutable",
        "letters",
        "open",
        "problem",
        "queue",
        "route",
        "sent",
    )

    def __init__(
        self,
        route: str,
        letters: Sequence[Letter],
        queue: DeclaredQueue | None = None,
        answered: "Callable[[Publication], None] | None" = None,
    ) -> None:
        super().__init__()
        self.route = route
        self.letters = letters
        self.queue = queue
        self.answered = answered
        self.allowed = 0
        self.sent = 0
        self.open = 0
        self.is_due = False
        self.is_gated = False
        self.is_unroutable = False
        self.problem = ""
        self._confirmed = bytearray(len(letters))

    @property
    def accepted(self) -> int:
        """How many, from the first, are safe."""
        first_open = self._confirmed.find(0)
        return len(self._confirmed) if first_open < 0 else first_open

    def confirm(self, index: int) -> None:
        """This one is safe."""
        self._confirmed[index] = 1
        self.end_if_complete()

    def stop(self, problem: str = "") -> None:
        """Send nothing more; it ends when what was sent is confirmed or refused."""
        self.allowed = min(self.allowed, self.sent)
        self.problem = self.problem or problem
        self.is_due = True
        self.end_if_complete()

    def end_if_complete(self) -> None:
        """Answer, once there is nothing more to come."""
        if not self.open and (self.sent == len(self.letters) or (self.is_due and self.sent == self.allowed)):
            self.end()

    def end(self) -> None:
        """Answer now."""
        if not self.is_done:
            self.finish()
            if self.answered is not None:
                self.answered(self)
