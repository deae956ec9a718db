"""Tells SQS what became of deliveries, and prolongs those that are still in somebody's hands.

Knows: settlements, batches of ten, leases. Must not know: boto3, who consumes what.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from attrs import define

from ...delivery import Delivery
from ..held import Settlement, Verb
from ..io_thread import IoThread
from .crew import Crew, Job
from .failures import CallFailed, Fate
from .lease import Lease
from .options import LONGEST_VISIBILITY
from .queue import SqsQueue
from .subscription import SqsSubscription
from .tools import Tools

Item = TypeVar("Item")

LARGEST_BATCH = 10
# A lease is prolonged when a third of it is over; three tries may fail before others see the message.
RENEWALS = 6
PAUSE_AFTER_FAILURE = 0.2
# SQS counts twelve hours from the receipt; what was on the way may have taken some seconds.
MARGIN = 10.0


@define(eq=False)
class Owner:
    """A subscription, and the queue it is of."""

    subscription: SqsSubscription
    queue: SqsQueue


@define(eq=False)
class Task:
    """A settlement that has to be carried out."""

    owner: Owner
    settlement: Settlement
    is_tried: bool = False

    @property
    def lease(self) -> Lease:
        """Of its delivery."""
        lease: Lease = self.settlement.delivery.receipt
        return lease


class Settler:
    """The thread of one opening of a driver that settles and prolongs. Thread-safe.

    Args:
        tools: speak to SQS.
        crew: whose threads do, several at once.
    """

    def __init__(self, tools: Tools, crew: Crew) -> None:
        self._tools = tools
        self._crew = crew
        self._owners: list[Owner] = []
        self._again: list[Task] = []
        self._renewed_at = 0.0
        self._thread = IoThread(f"sqs-settle-{tools.driver}", self._round, self._ended)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, subscription: SqsSubscription, queue: SqsQueue) -> None:
        """Settle for one more consumer."""
        self._owners.append(Owner(subscription, queue))
        self.ring()

    def ring(self) -> None:
        """Something was settled."""
        self._thread.ring()

    def stop(self, timeout: float) -> bool:
        """One last round; False if it takes longer."""
        return self._thread.stop(timeout)

    def _ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._tools.fail(error)

    def _round(self) -> float | None:
        tasks, self._again = self._again, []
        tasks += self._collect()
        jobs = [*self._jobs(tasks), *self._renewals()]
        self._crew.run_all(jobs, self._tools.patience * 2)
        if self._again:
            return PAUSE_AFTER_FAILURE
        return max(0.001, self._next_renewal() - time.monotonic()) if self._owners else None

    def _collect(self) -> list[Task]:
        tasks = []
        for owner in tuple(self._owners):
            is_over = owner.subscription.is_closed and not owner.subscription.unsettled()
            taken = owner.subscription.take_settlements()
            tasks += [Task(owner, settlement) for settlement in taken]
            if is_over and not taken:
                self._owners.remove(owner)
        return tasks

    # ---- settling ------------------------------------------------------------------------------------

    def _jobs(self, tasks: Sequence[Task]) -> Iterable[Job]:
        """Batches of one queue and one kind of call each."""
        deletions: dict[str, list[Task]] = defaultdict(list)
        returns: dict[str, list[Task]] = defaultdict(list)
        now = time.monotonic()
        for task in tasks:
            if now >= task.lease.until:  # too late: it is somebody else's, or about to be
                task.owner.subscription.confirm(1)
            elif task.settlement.verb is Verb.ACK:
                deletions[task.owner.queue.url].append(task)
            else:
                returns[task.owner.queue.url].append(task)
        for url, group in deletions.items():
            for batch in _batches(group):
                yield partial(self._carry_out, batch, partial(self._delete, url, batch))
        for url, group in returns.items():
            for batch in _batches(group):
                yield partial(self._carry_out, batch, partial(self._return, url, batch))

    def _carry_out(self, batch: Sequence[Task], call: Callable[[], Iterable[int]]) -> None:
        """Make a call; what it says may work later is tried again as long as the lease lasts."""
        try:
            again = set(call())
        except CallFailed as failed:
            if failed.fate is not Fate.LATER:
                self._tools.lost(failed)
                return
            again = set(range(len(batch)))
        for number, task in enumerate(batch):
            if number in again:
                self._again.append(task)
            else:
                task.owner.subscription.confirm(1)

    def _delete(self, url: str, batch: Sequence[Task]) -> Iterable[int]:
        failures = self._tools.client.delete(url, [task.lease.handle for task in batch])
        for number, task in enumerate(batch):
            if number not in failures:
                self._tools.uncounted.forget(task.lease.key)
        return (number for number, failure in failures.items() if not failure.is_final)

    def _return(self, url: str, batch: Sequence[Task]) -> Iterable[int]:
        now = time.monotonic()
        delays = []
        for task in batch:
            delay = _whole_seconds(task.settlement.delay, task.lease, now)
            delays.append(delay)
            if task.settlement.verb is Verb.RELEASE and not task.is_tried:
                # Before the call: the message may be back before its answer is.
                self._tools.uncounted.add(task.lease.key)
            task.is_tried = True
            if delay:
                task.owner.queue.note_hidden(task.lease, delay)
            else:
                task.owner.queue.has_given_back = True
        failures = self._tools.client.hide(url, [task.lease.handle for task in batch], delays)
        return (number for number, failure in failures.items() if not failure.is_final)

    # ---- prolonging ----------------------------------------------------------------------------------

    def _next_renewal(self) -> float:
        """Asked each time: whoever has come since may have shorter leases than all others."""
        visibilities = (owner.subscription.terms.visibility for owner in self._owners)
        return self._renewed_at + min(visibilities, default=math.inf) / RENEWALS

    def _renewals(self) -> Iterable[Job]:
        """Prolong what is still in somebody's hands, now and then."""
        now = time.monotonic()
        if now < self._next_renewal():
            return
        self._renewed_at = now
        for owner in self._owners:
            due = []
            for delivery in owner.subscription.unsettled():
                lease: Lease = delivery.receipt
                if now >= lease.until:
                    owner.subscription.take_away(delivery)
                elif lease.until - now < lease.visibility * (1 - 1 / RENEWALS):
                    due.append(delivery)
            for batch in _batches(due):
                yield partial(self._prolong, owner, batch)

    def _prolong(self, owner: Owner, batch: Sequence[Delivery]) -> None:
        leases: list[Lease] = [delivery.receipt for delivery in batch]
        now = time.monotonic()
        seconds = [_whole_seconds(lease.visibility, lease, now) for lease in leases]
        try:
            failures = self._tools.client.hide(owner.queue.url, [lease.handle for lease in leases], seconds)
        except CallFailed as failed:
            if failed.fate is not Fate.LATER:
                self._tools.lost(failed)
            return
        for number, (delivery, lease) in enumerate(zip(batch, leases, strict=True)):
            failure = failures.get(number)
            if failure is None:
                lease.until = now + seconds[number]
            elif failure.is_final:
                # It is ours no longer: deleted by somebody, or in other hands.
                owner.subscription.take_away(delivery)


def _batches(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + LARGEST_BATCH] for start in range(0, len(items), LARGEST_BATCH))


def _whole_seconds(seconds: float, lease: Lease, now: float) -> int:
    """Rounded up, and no more than is left of the twelve hours after which SQS lets others see it in any case."""
    left = lease.since + LONGEST_VISIBILITY - MARGIN - now
    return max(0, min(math.ceil(seconds), math.floor(left)))
