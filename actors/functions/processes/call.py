"""One call on its way through a worker process: what it still has time for, and how it is ended.

Knows: its context, its process, the order of ending one. Must not know: other calls, waiting.
"""

import math
from collections.abc import Callable

from attrs import define, field

from ...errors import HandlerTimeout
from ...handle import HandlerContext
from .process import WorkerProcess
from .wire import CANCEL, END

# A handler that is told to end gets this long to tidy up; then its process is killed.
TIDY_UP = 0.5


@define(eq=False, kw_only=True)
class Call:
    """A call. Everything in it is changed under the lock of its pool.

    Attributes:
        context: the call's, in which the waiting thread is.
        number: grows with each call of the pool.
        changed: to be called when it was cancelled.
        process: where it runs; None while it waits for one.
        deadline: when it is made to end, in monotonic seconds.
        kill_at: when its process is killed, for it was told to end; infinity before that.
        why: what it was told to end for.
    """

    context: HandlerContext
    number: int
    changed: Callable[["Call"], None]
    process: WorkerProcess | None = None
    began: float = 0.0
    deadline: float = math.inf
    kill_at: float = math.inf
    why: BaseException | None = field(default=None)

    @property
    def is_condemned(self) -> bool:
        """Whether it was told to end. Its process is not used again."""
        return self.why is not None

    def cancel(self) -> None:
        """Its context was cancelled, by whom it does not matter."""
        self.changed(self)

    def tell_cancelled(self) -> None:
        """Let the handler see it."""
        if self.process is not None:
            self.process.order(CANCEL, self.number)

    def condemn(self, why: BaseException, now: float) -> None:
        """Make it end, kindly at first."""
        if self.process is not None and not self.is_condemned:
            self.why = why
            self.kill_at = now + TIDY_UP
            self.process.order(END, self.number)

    def look(self, now: float) -> float:
        """Do what is due; return when to look again."""
        if self.process is None:
            return math.inf
        if now >= self.deadline:
            self.condemn(HandlerTimeout(round(self.deadline - self.began, 3)), now)
        if now >= self.kill_at:
            self.process.kill()
            return math.inf
        return self.kill_at if self.is_condemned else self.deadline
