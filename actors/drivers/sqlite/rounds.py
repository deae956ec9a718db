"""What is done in one transaction, and in which order.

Knows: settlements, delays, tasks, claims. Must not know: threads, SQL, the contract of a driver.

A round takes everything that lies there: settlements, delays that end, tasks (publishes above all). Then it claims for
whoever has credit, so that a message may come in and be claimed in one transaction. The more there is to do, the more
shares one transaction and its wait for the disk.
"""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from ...delivery import Delivery
from ...errors import DriverUnavailable
from ..held import Settlement, Verb
from .clock import DatabaseClock
from .database import is_full
from .owners import Owners
from .rows import QueueRow
from .store import Store
from .subscription import Consumers, SqliteSubscription
from .tasks import Publish, Task

# How many messages a round claims for a queue, and how many delays it ends, at most: others want their turn.
MOST_AT_ONCE = 1000
# What we leave for other processes is ours as well, if they have not taken it after so many seconds.
LEFT_FOR_OTHERS = 0.002
# The longest delay, in milliseconds: a hundred years.
LONGEST_DELAY = 100 * 365 * 86_400_000


@define(eq=False)
class Round:
    """What one transaction did, to be told once it is safe.

    Attributes:
        settled: what was carried out, and whose it was; None for what we give back ourselves.
        ended: subscriptions of which nothing more can come.
        done: tasks that have their answer.
        claimed: what is to be handed over.
        consumers: how many of ours take from each queue, as others were told.
        changed: the queues in which something happened.
        is_more: a consumer may have more at once.
        is_shared: but other processes have a claim to it, too.
        next_due: when the next delay ends, in milliseconds of the database.
    """

    settled: list[tuple[SqliteSubscription | None, list[Settlement]]]
    ended: list[SqliteSubscription]
    done: list[Task] = field(factory=list)
    claimed: list[tuple[SqliteSubscription, list[Delivery]]] = field(factory=list)
    consumers: dict[int, int] = field(factory=dict)
    changed: list[QueueRow] = field(factory=list)
    is_more: bool = False
    is_shared: bool = False
    next_due: int | None = None


class Rounds:
    """Round after round, all in one thread; `tasks` is filled by others.

    Args:
        store: the tables.
        clock: the time of the database.
        owners: this process among others.
        consumers: this process's subscriptions.
        refusal: makes the error for what a full disk does not take.
    """

    def __init__(
        self,
        store: Store,
        clock: DatabaseClock,
        owners: Owners,
        consumers: Consumers,
        refusal: Callable[[BaseException, int], DriverUnavailable],
    ) -> None:
        self.tasks: deque[Task] = deque()
        self._in_hand: list[Task] = []
        self._returned: list[Settlement] = []
        self._told: dict[int, int] = {}
        self._store = store
        self._clock = clock
        self._owners = owners
        self._consumers = consumers
        self._refusal = refusal

    def work(self, check: Callable[[], None]) -> float | None:
        """One round; how many seconds until the next one, None if the database is locked.

        `check` raises what has to keep it from being committed.
        """
        store = self._store
        if not self._owners.begin(store):
            return None
        done = self._gather()
        while True:
            try:
                self._transact(done)
                check()
                done.changed = store.commit()
                break
            except sqlite3.Error as error:
                store.roll_back()
                self._owners.start_over()
                self._refuse_what_takes_space(error)
                if not store.begin():
                    raise
                done = Round(done.settled, done.ended)
        self._tell(done)
        return self._seconds_to_wait(done)

    def finish(self) -> bool:
        """The last one: settle what is left, and leave; False if the database is locked."""
        if not self._store.begin():
            return False
        done = self._gather()
        for _subscription, settlements in done.settled:
            self._settle(settlements)
        self._owners.leave(self._store)
        self._store.commit()
        self._tell_settled(done)
        return True

    def refuse(self, error_for: Callable[[Task], BaseException]) -> None:
        """Answer everything that waits with an error."""
        tasks, self._in_hand = self._in_hand, []
        while self.tasks:
            tasks.append(self.tasks.popleft())
        for task in tasks:
            task.finish(error=error_for(task))

    # ---- before and in the transaction ---------------------------------------------------------------

    def _gather(self) -> Round:
        # First who has ended: nothing can be settled after that.
        ended = [each for each in self._consumers.all if each.is_done]
        settled: list[tuple[SqliteSubscription | None, list[Settlement]]] = [
            (each, settlements) for each in self._consumers.all if (settlements := each.take_settlements())
        ]
        if self._returned:
            settled.append((None, self._returned))
            self._returned = []
        while self.tasks:
            self._in_hand.append(self.tasks.popleft())
        return Round(settled, ended)

    def _transact(self, done: Round) -> None:
        store = self._store
        if self._owners.attend(store):
            store.members.write_clock(self._clock.mark())
        for _subscription, settlements in done.settled:
            self._settle(settlements)
        store.end_delays(MOST_AT_ONCE)
        done.done = [task for task in self._in_hand if task.is_abandoned or task.perform(store)]
        consumers = self._consumers.by_queue()
        done.consumers = {queue: len(some) for queue, some in consumers.items()}
        if done.consumers != self._told:
            self._tell_others_of_consumers(consumers)
        self._claim(done, consumers)
        done.next_due = store.next_due()

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        store = self._store
        acked, released = [], []
        for settlement in settlements:
            delivery, position = settlement.delivery, settlement.delivery.receipt
            if settlement.verb is Verb.ACK:
                acked.append(position)
                continue
            if settlement.verb is not Verb.RELEASE:
                store.count_attempts(position, delivery.attempt)
            if settlement.verb is not Verb.NACK:
                released.append(position)
            elif settlement.delay > 0:
                store.delay(position, min(int(settlement.delay * 1000) + 1, LONGEST_DELAY))
            else:
                store.put_behind(position)
        store.remove(acked)
        store.release(released)

    def _tell_others_of_consumers(self, consumers: Mapping[int, Sequence[SqliteSubscription]]) -> None:
        for queue in consumers.keys() | self._told.keys():
            some = consumers.get(queue, ())
            self._store.members.set_consumers(queue, len(some), sum(each.limit for each in some))

    def _claim(self, done: Round, consumers: Mapping[int, Sequence[SqliteSubscription]]) -> None:
        for queue, subscriptions in consumers.items():
            hungry = [(each, credit) for each in subscriptions if (credit := each.credit) > 0]
            if not hungry:
                continue
            row = self._store.queue(queue)
            if not row.ready:
                continue
            credit = sum(credit for _, credit in hungry)
            share = self._owners.share(queue, row.ready, sum(each.limit for each in subscriptions))
            records = self._store.claim(row, min(credit, share, MOST_AT_ONCE))
            done.claimed += self._consumers.deal(row, self._store.now, records, hungry)
            if row.ready and len(records) < credit:
                done.is_more = True
                done.is_shared = done.is_shared or len(records) < min(credit, MOST_AT_ONCE)

    def _refuse_what_takes_space(self, error: sqlite3.Error) -> None:
        """On a full disk all but that goes on."""
        refused = [task for task in self._in_hand if task.takes_space]
        if not is_full(error) or not refused:
            raise error
        self._in_hand = [task for task in self._in_hand if not task.takes_space]
        for task in refused:
            task.finish(error=self._refusal(error, task.accepted))

    # ---- after the transaction -----------------------------------------------------------------------

    def _tell(self, done: Round) -> None:
        self._told = done.consumers
        for subscription, deliveries in done.claimed:
            if not subscription.hand_over(deliveries):
                self._returned += [Settlement(Verb.RELEASE, delivery) for delivery in deliveries]
            elif subscription.credit == subscription.limit - 1:
                # It had nothing to do. Lets go of the interpreter: the worker comes before what is left of this round.
                os.sched_yield()
        for task in self._in_hand:
            if isinstance(task, Publish):
                task.stored()
        for task in done.done:
            task.announce()
        if done.done:
            finished = set(done.done)
            self._in_hand = [task for task in self._in_hand if task not in finished]
        self._tell_settled(done)
        if self._owners.are_there_others:
            self._ring_others(done.changed)

    def _tell_settled(self, done: Round) -> None:
        for subscription, settlements in done.settled:
            if subscription is not None:
                subscription.confirm(len(settlements))
        for subscription in done.ended:
            self._consumers.remove(subscription)

    def _ring_others(self, changed: Sequence[QueueRow]) -> None:
        for row in changed:
            if row.ready:
                self._owners.ring_for(row.number)
        if any(row.max_length for row in changed):
            self._owners.ring_all()  # somebody may wait for room

    def _seconds_to_wait(self, done: Round) -> float:
        waiting = self._in_hand
        if self._returned or self.tasks or (waiting and (done.claimed or done.done)):
            return 0
        if done.is_more and not done.is_shared:
            return 0
        seconds = [self._owners.seconds_to_wait()]
        if done.is_more:
            seconds.append(LEFT_FOR_OTHERS)
        if waiting:
            seconds.append(min(task.deadline for task in waiting) - time.monotonic())
        if done.next_due is not None:
            seconds.append((done.next_due - self._clock.now()) / 1000)
        return max(0.0, min(seconds))
