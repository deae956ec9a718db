"""A worker: the actor that draws deliveries from its consumer's buffer and handles them, one at a time.

Knows: its buffer, and that its consumer may tell it to retire. Must not know: drivers, policies, siblings.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .driver import Subscription
from .handle import Binding, Handling
from .outcome import Nack, describe
from .pool import Buffer, Work, WorkerMailbox
from .supervision import Control, Supervised
from .supervision.adoption import use_inbox


@frozen
class Retire(Control):
    """To a worker whose place another one has taken: end when your handler has returned."""


class Worker(Supervised):
    """Handles deliveries until it is told to stop. What it holds when it fails goes back to the queue.

    Args:
        name: its ID among the consumer's children.
        buffer: shared with the other workers.
        binding: what every call of this consumer has in common.
        joined: called with the worker, in its thread, before it takes its first delivery.
    """

    def __init__(
        self, name: str, buffer: Buffer, binding: Binding, joined: Callable[["Worker"], None]
    ) -> None:
        super().__init__()
        self._own_mailbox = WorkerMailbox(buffer)
        use_inbox(self, self._own_mailbox)
        self.name = name
        self.handling = Handling(binding)
        self.is_retired = False
        self._buffer = buffer
        self._binding = binding
        self._joined = joined

    def setup(self) -> None:
        """Join the pool."""
        self._joined(self)

    def on_receive(self, message: Any) -> Any:
        """Work, or retire."""
        match message:
            case Work():
                self._work()
            case Retire():
                self.finish()
            case _:
                return super().on_receive(message)
        return None

    def _work(self) -> None:
        is_undisturbed = self.mailbox.empty
        take, handle, mailbox = self._buffer.take, self.handling.handle, self._own_mailbox
        subscription: Subscription | None = None
        while is_undisturbed():
            delivery = take(mailbox)
            if delivery is not None:
                subscription = delivery.subscription
                if not subscription.is_closed:
                    handle(delivery)
            elif subscription is not None:
                subscription.hurry()
                subscription = None
            else:
                return

    def teardown(self, error: BaseException | None) -> None:
        """Give back a delivery that is still in hand, which only a failure of ours can leave there."""
        self._buffer.leave(self._own_mailbox)
        self.give_back(error)
        self.handling.close()

    def give_back(self, error: BaseException | None) -> None:
        """Nack the delivery in hand, if there is one that nobody has settled. Thread-safe."""
        context = self.handling.current
        if context is not None and context.delivery is not None and context.delivery.claim():
            reason = describe(error) if error is not None else "its worker ended"
            self._binding.queue.settle(context.delivery, Nack(reason))

    def figures(self) -> dict[str, Any]:
        """What it does right now, for the tree. Thread-safe."""
        context = self.handling.current
        if context is None or context.delivery is None:
            return {"doing": "idle"}
        if context.since == math.inf:
            return {"doing": "waiting", "message": context.delivery.message.id}
        return {
            "doing": "stuck" if self.is_retired else "handling",
            "message": context.delivery.message.id,
            "seconds": round(time.monotonic() - context.since, 3),
        }
