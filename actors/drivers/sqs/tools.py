"""What every part of one opening of a driver has at hand.

Knows: the client, whom to tell that it is of no use any more. Must not know: what the parts do.
"""

from collections.abc import Callable

from attrs import frozen

from .client import SqsClient
from .failures import CallFailed, Fate
from .lease import Uncounted


@frozen(kw_only=True)
class Tools:
    """Shared by senders, pollers and the settling thread.

    Attributes:
        driver: its name, for errors and threads.
        client: speaks to SQS.
        uncounted: outlives this opening.
        lost: hears of an error that only closing and opening again may heal.
        patience: seconds that a call may take.
    """

    driver: str
    client: SqsClient
    uncounted: Uncounted
    lost: Callable[[CallFailed], None]
    patience: float

    def fail(self, error: BaseException) -> None:
        """Whatever it is that ended a thread: somebody has to hear of it."""
        self.lost(error if isinstance(error, CallFailed) else CallFailed(Fate.LOST, repr(error)))
