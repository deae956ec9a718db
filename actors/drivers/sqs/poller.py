"""Takes messages from one queue and hands them to its consumers in this process.

Knows: credit, long polls, turns. Must not know: boto3, what becomes of deliveries.

The consumers of a queue share their polls: an idle queue costs one call in 20 seconds, however many consumers it has,
and whatever a poll brings goes to those that have room, in turns.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ...delivery import Delivery
from ..io_thread import IoThread
from .client import Received
from .crew import Crew
from .failures import CallFailed, Fate
from .lease import Lease
from .queue import SqsQueue
from .subscription import SqsSubscription
from .tools import Tools
from .wire import unpack

LARGEST_BATCH = 10
MOST_HELPERS = 4
FIRST_PAUSE, MOST_TRIES = 0.2, 6


class Poller:
    """Fills the consumers of one queue, as long as its driver is open. Thread-safe.

    Args:
        queue: what to take from.
        tools: receive.
        crew: more threads, for when one cannot keep up.
        ended: called when it takes no more and its last poll is over.
    """

    def __init__(self, queue: SqsQueue, tools: Tools, crew: Crew, ended: Callable[[], None]) -> None:
        self._queue = queue
        self._tools = tools
        self._crew = crew
        self._tell_end = ended
        # One message of a group at a time: SQS keeps back the rest of it until that is settled, and so the order
        # is kept with any number of workers, and when a handler fails.
        self._largest_batch = 1 if queue.is_fifo else LARGEST_BATCH
        self._lock = threading.Lock()
        self._subscriptions: deque[SqsSubscription] = deque()
        self._reserved = 0
        self._helpers = 0
        self._stopping = threading.Event()
        self._thread = IoThread(f"sqs-poll-{queue.name}", self._round, self._ended)
        self._is_started = False

    @property
    def subscriptions(self) -> Sequence[SqsSubscription]:
        """Those that take part."""
        with self._lock:
            return tuple(each for each in self._subscriptions if not each.is_paused)

    @property
    def everyone(self) -> Sequence[SqsSubscription]:
        """Also those that are paused, or closed with something left to settle."""
        with self._lock:
            return tuple(self._subscriptions)

    def add(self, subscription: SqsSubscription) -> None:
        """Let a consumer take part."""
        with self._lock:
            self._subscriptions.append(subscription)
            if not self._is_started:
                self._is_started = True
                self._thread.start()
        self._thread.ring()

    def ring(self) -> None:
        """There may be credit."""
        self._thread.ring()

    def stop(self) -> None:
        """Take no more. A poll that is under way ends by itself, and gives back what it brings."""
        self._stopping.set()
        with self._lock:
            if not self._is_started:
                self._is_started = True
                self._thread.start()
        self._thread.stop(0)

    def join_if_it_may_hold(self, timeout: float) -> None:
        """After `stop`: wait for the poll that is under way, if this process has given back what it may now bring.

        Else a process that ends would take along what it has just released, until its visibility is over.
        """
        if self._queue.has_given_back:
            self._thread.stop(timeout)

    # ---- taking --------------------------------------------------------------------------------------

    def _ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._tools.fail(error)
        self._tell_end()

    def _round(self) -> float | None:
        """One long poll, if there is credit; more of them at once, while there is more than one can take."""
        wanted = self._reserve()
        if not wanted:
            return None
        if self._take(wanted, is_long=True) == wanted == self._largest_batch:
            self._call_helpers()
        return 0

    def _reserve(self) -> int:
        """How many messages may be taken now: no more than all consumers have room for."""
        with self._lock:
            if any(each.is_closed for each in self._subscriptions):
                self._subscriptions = deque(each for each in self._subscriptions if not each.is_closed)
            if self._stopping.is_set():
                return 0
            free = sum(each.credit for each in self._subscriptions) - self._reserved
            wanted = max(0, min(self._largest_batch, free))
            self._reserved += wanted
            return wanted

    def _call_helpers(self) -> None:
        with self._lock:
            free = sum(each.credit for each in self._subscriptions) - self._reserved
            more = max(0, min(free // self._largest_batch - 1, MOST_HELPERS) - self._helpers)
            self._helpers += more
        for _ in range(more):
            self._crew.submit(self._help)

    def _help(self) -> None:
        """In a thread of the crew: as long as there is plenty."""
        try:
            while (wanted := self._reserve()) and self._take(wanted, is_long=False) == self._largest_batch:
                pass
        except Exception as error:
            self._tools.fail(error)
        finally:
            with self._lock:
                self._helpers -= 1

    def _take(self, wanted: int, *, is_long: bool) -> int:
        """Receive and hand out; how many there were."""
        try:
            visibility, longest = self._terms()
            wait = longest if is_long else 0
            begun = time.monotonic()
            received = self._receive(wanted, visibility, wait)
            # Where this process slept meanwhile, it is later than it would be; where it polled, it is not yet so late.
            since = min(time.monotonic(), begun + wait)
            self._hand_out(self._deliverable(received, visibility, since))
        finally:
            with self._lock:
                self._reserved -= wanted
        return len(received.messages)

    def _terms(self) -> tuple[int, int]:
        """For how long messages are ours, and how long to wait for one: what the most generous consumer says."""
        with self._lock:
            return (
                max((each.terms.visibility for each in self._subscriptions), default=30),
                max((each.terms.wait_time for each in self._subscriptions), default=1),
            )

    def _receive(self, wanted: int, visibility: int, wait: int) -> Received:
        """Receive; wait a little, ever longer, while SQS says that it is too much.

        Raises:
            CallFailed: no connection, not allowed, or too much for too long.
        """
        pause = FIRST_PAUSE
        for _ in range(MOST_TRIES):
            try:
                return self._tools.client.receive(self._queue.url, wanted, wait=wait, visibility=visibility)
            except CallFailed as failed:
                if failed.fate is not Fate.LATER:
                    raise
                problem = failed
            if self._stopping.wait(pause):
                return Received((), 0.0)
            pause *= 2
        raise problem

    def _deliverable(self, received: Received, visibility: int, since: float) -> list[Delivery]:
        ttl = self._queue.options.message_ttl
        return [
            self._delivery(each, visibility, since, ttl, received.server_time) for each in received.messages
        ]

    def _delivery(
        self, received: Any, visibility: int, since: float, ttl: float | None, server_time: float
    ) -> Delivery:
        system = received.get("Attributes", {})
        lease = Lease(
            key=received["MessageId"],
            handle=received["ReceiptHandle"],
            visibility=visibility,
            since=since,
            until=since + visibility,
        )
        self._queue.note_seen(lease.key)
        attempt = self._tools.uncounted.attempt(lease.key, int(system.get("ApproximateReceiveCount", 1)))
        # Whose it is comes with the handing out.
        delivery = Delivery(unpack(received), None, attempt, lease)  # type: ignore[arg-type]
        if ttl is not None and "SentTimestamp" in system:
            delivery.is_expired = server_time - int(system["SentTimestamp"]) / 1000 >= ttl
        return delivery

    # ---- handing out ---------------------------------------------------------------------------------

    def _hand_out(self, deliveries: list[Delivery]) -> None:
        """To those that have room, in turns; what nobody can take goes back at once."""
        with self._lock:
            shares = self._shares(deliveries)
            left = [delivery for delivery in deliveries if delivery.subscription is None]
            for subscription, share in shares:
                if not subscription.hand_over(share):
                    left.extend(share)
        if left:
            self._give_back(left)

    def _shares(self, deliveries: list[Delivery]) -> list[tuple[SqsSubscription, list[Delivery]]]:
        shares: dict[SqsSubscription, list[Delivery]] = {}
        room = {subscription: subscription.credit for subscription in self._subscriptions}
        for delivery in deliveries:
            for _ in range(len(self._subscriptions)):
                subscription = self._subscriptions[0]
                self._subscriptions.rotate(-1)
                if room[subscription] > 0 and not self._stopping.is_set():
                    room[subscription] -= 1
                    delivery.subscription = subscription
                    shares.setdefault(subscription, []).append(delivery)
                    break
        return list(shares.items())

    def _give_back(self, deliveries: list[Delivery]) -> None:
        handles = [delivery.receipt.handle for delivery in deliveries]
        for delivery in deliveries:
            self._tools.uncounted.add(delivery.receipt.key)
        try:
            self._tools.client.hide(self._queue.url, handles, [0] * len(handles))
        except CallFailed as failed:
            if failed.fate is not Fate.LATER:  # else it comes back by itself, when its visibility is over
                raise
