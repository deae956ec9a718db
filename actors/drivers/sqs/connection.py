"""Everything that lives from one opening of a driver to its closing.

Knows: the client, its threads, that it is lost only once. Must not know: what queues there are.
"""

import threading
import time
from collections.abc import Callable, Sequence

from attrs import define

from ...delivery import Delivery, Message
from ...errors import ActorsError, DriverUnavailable
from .client import SqsClient
from .crew import Crew
from .failures import CallFailed
from .lease import Uncounted
from .outbox import Outbox
from .poller import Poller
from .queue import SqsQueue
from .settler import Settler
from .subscription import SqsSubscription, Terms
from .tools import Tools

SENDERS, SETTLERS, RECEIVERS = 8, 4, 8
# How long a closing driver waits for its last settlements.
LAST_ROUND = 4.0
# And how long for polls that take what has just been given back: they answer at once, and give it back in their turn.
LAST_POLL = 2.0

Store = Callable[[Delivery, str, Message], bool]


@define(eq=False)
class Line:
    """What a subscription reaches of its driver."""

    settler: Settler
    poller: Poller
    _store: Store

    def ring(self) -> None:
        """Something was settled, or there is credit."""
        self.settler.ring()
        self.poller.ring()

    def store(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Put a message into another queue; False if that did not work."""
        return self._store(delivery, queue, message)


class Connection:
    """One life of a driver. Thread-safe.

    Args:
        driver: its name.
        client: speaks to SQS; closed with the last poll that uses it.
        uncounted: outlives this.
        store: stores a dead letter in any of the driver's queues.
        failed: is told once if SQS is lost.

    Attributes:
        over: set when it was closed or lost.
    """

    def __init__(
        self,
        driver: str,
        *,
        client: SqsClient,
        uncounted: Uncounted,
        store: Store,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.client = client
        self.over = threading.Event()
        self._driver = driver
        self._failed = failed
        self._store = store
        self._lock = threading.Lock()
        self._polls = 0
        self._senders = Crew(f"sqs-send-{driver}", SENDERS)
        self._settlers = Crew(f"sqs-settle-{driver}", SETTLERS)
        self._receivers = Crew(f"sqs-receive-{driver}", RECEIVERS)
        self._outboxes: dict[str, Outbox] = {}
        self._pollers: dict[str, Poller] = {}
        self._tools = Tools(
            driver=driver, client=client, uncounted=uncounted, lost=self._lose, patience=client.patience
        )
        self._settler = Settler(self._tools, self._settlers)
        self._settler.start()

    def outbox(self, queue: SqsQueue) -> Outbox:
        """What sends to a queue.

        Raises:
            DriverUnavailable: closed meanwhile.
        """
        with self._lock:
            self._check_open()
            outbox = self._outboxes.get(queue.name)
            if outbox is None:
                outbox = self._outboxes[queue.name] = Outbox(queue, self._tools, self._senders)
            return outbox

    def subscribe(
        self,
        queue: SqsQueue,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        terms: Terms,
    ) -> SqsSubscription:
        """Let a consumer take part; an earlier subscription of it is closed first.

        Raises:
            DriverUnavailable: closed meanwhile.
        """
        for earlier in self.subscriptions(queue):
            if earlier.consumer == consumer:
                earlier.close()
        poller = self._poller(queue)
        subscription = SqsSubscription(
            consumer=consumer,
            credit=credit,
            deliver=deliver,
            terms=terms,
            backend=Line(self._settler, poller, self._store),
        )
        self._settler.add(subscription, queue)
        poller.add(subscription)
        if self.over.is_set():  # between the check above and now
            subscription.lose()
            raise DriverUnavailable(self._driver)
        return subscription

    def subscriptions(self, queue: SqsQueue) -> Sequence[SqsSubscription]:
        """Those of one queue that take part."""
        poller = self._pollers.get(queue.name)
        return () if poller is None else poller.subscriptions

    def close(self) -> None:
        """Give everything back, and end; what is still under way ends by itself."""
        if not self._end():
            return
        for poller in tuple(self._pollers.values()):
            poller.stop()
            for subscription in poller.everyone:
                subscription.close()
        for outbox in tuple(self._outboxes.values()):
            outbox.close(DriverUnavailable(self._driver, "closed"))
        self._settler.stop(LAST_ROUND)
        deadline = time.monotonic() + LAST_POLL
        for poller in tuple(self._pollers.values()):
            poller.join_if_it_may_hold(max(0.0, deadline - time.monotonic()))
        self._let_go()

    # ---- ending --------------------------------------------------------------------------------------

    def _poller(self, queue: SqsQueue) -> Poller:
        with self._lock:
            self._check_open()
            poller = self._pollers.get(queue.name)
            if poller is None:
                self._polls += 1
                poller = Poller(queue, self._tools, self._receivers, self._let_go)
                self._pollers[queue.name] = poller
            return poller

    def _check_open(self) -> None:
        if self.over.is_set():
            raise DriverUnavailable(self._driver)

    def _end(self) -> bool:
        """Whether it was for this caller to end it."""
        with self._lock:
            was_over = self.over.is_set()
            self.over.set()
            return not was_over

    def _lose(self, failed: CallFailed) -> None:
        """SQS is gone: nobody waits for it any longer."""
        if not self._end():
            return
        error: ActorsError = failed.for_driver(self._driver)
        for poller in tuple(self._pollers.values()):
            poller.stop()
            for subscription in poller.everyone:
                subscription.lose()
        for outbox in tuple(self._outboxes.values()):
            outbox.close(error)
        self._settler.stop(0)
        self._let_go()
        self._failed(error)

    def _let_go(self) -> None:
        """Called once by whoever ends this, and once by each poller at its end: the last one closes the client."""
        with self._lock:
            self._polls -= 1
            if self._polls >= 0:
                return
        for crew in (self._senders, self._settlers, self._receivers):
            crew.close()
        self.client.close()
