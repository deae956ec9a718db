"""Sends what consumers have said, keeps their leases alive, ends delays: one thread for all queues of a driver.

Knows: settlements, leases, whom to wake. Must not know: how entries are fetched, what a message is.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..held import Settlement, Verb
from ..io_thread import IoThread
from . import scripts
from .errors import LeaseLost
from .link import Command, Link, checked
from .queue import RedisQueue
from .script import Script
from .subscription import RedisSubscription

if TYPE_CHECKING:
    from .reader import Reader
    from .session import Session

Heard = Callable[[Any], None]

# How many entries a script gets: Lua's stack has an end.
SCRIPT_BATCH = 1000
# After a round that had something to do, acks are looked for without being rung for.
LOOK_AGAIN = 0.05
# The server may be told to wake a reader a moment before that reader sleeps.
WAKE_AGAIN = 0.002


class Settler:
    """The thread that speaks for the consumers.

    Args:
        session: whose consumers.
        link: a connection that nobody else uses.

    Attributes:
        is_idle: it would not notice by itself that an ack was left.
    """

    def __init__(self, session: "Session", link: Link) -> None:
        self.is_idle = True
        self._session = session
        self._link = link
        # Not longer than one answer may take: a server that is gone without a word is noticed by that.
        self._interval = min(session.config.lease / 3, session.config.socket_timeout)
        self._work: list[tuple[Command, Heard]] = []
        self._waking: dict[Reader, int] = {}
        self._stirred: set[RedisQueue] = set()
        self._said_paused: set[RedisSubscription] = set()
        self._ping_at = 0.0
        self.thread = IoThread(f"noria-redis-{session.driver}", self._round, session.ended)

    def ring(self) -> None:
        """There is something to send."""
        self.thread.ring()

    def _round(self) -> float:
        self.is_idle = True
        readers = self._session.readers()
        # Before everything that it may have left.
        leaving = [each for each, reader in readers if each.is_leaving and reader.has_ended]
        for subscription, _ in readers:
            self._settle(subscription)
        for subscription, reader in readers:
            if subscription in leaving:
                self._leave(subscription)
            elif subscription.is_paused:
                self._pause(subscription, reader)
        self._renew([each for each, _ in readers if each not in leaving])
        self._wake()
        if not self._work:
            times = (self._ping_at, *(each.queue.renew_at for each, _ in readers))
            return max(0.0, min(times) - time.monotonic())
        self.is_idle = False
        self._send()
        return WAKE_AGAIN if self._waking else LOOK_AGAIN

    def _send(self) -> None:
        work, self._work = self._work, []
        replies = self._link.run([command for command, _ in work])
        for (_, heard), reply in zip(work, replies, strict=True):
            heard(checked(reply))
        stirred, self._stirred = self._stirred, set()
        for subscription, reader in self._session.readers():
            if subscription.queue in stirred:
                self._waking[reader] = reader.rounds
                reader.thread.ring()

    # ---- settlements ---------------------------------------------------------------------------------

    def _settle(self, subscription: RedisSubscription) -> None:
        settlements = subscription.take_settlements()
        if not settlements:
            return
        queue = subscription.queue
        nacks = [each for each in settlements if each.verb is Verb.NACK]
        returns = [each for each in settlements if each.verb in (Verb.RELEASE, Verb.RETURN)]
        acks = [(each.delivery.receipt,) for each in settlements if each.verb is Verb.ACK]
        self._run(scripts.ACK, subscription, acks)
        self._run(scripts.NACK, subscription, [nack_arguments(each) for each in nacks])
        self._run(scripts.RELEASE, subscription, [(each.delivery.receipt, note_of(each)) for each in returns])
        if returns:
            self._stirred.add(queue)
        for each in nacks:
            queue.renew_at = min(queue.renew_at, time.monotonic() + each.delay)

    def _run(
        self,
        script: Script,
        subscription: RedisSubscription,
        items: Sequence[tuple[str | bytes | int, ...]],
    ) -> None:
        def confirm(count: int) -> Heard:
            def hear(_reply: Any) -> None:
                if script is scripts.RELEASE:
                    subscription.has_gone_back(count)
                subscription.confirm(count)
                subscription.queue.tell_of_room()

            return hear

        rest = iter(items)
        while batch := list(islice(rest, SCRIPT_BATCH)):
            parts = [part for item in batch for part in item]
            command = script.on(subscription.queue.keys.all, subscription.name, *parts)
            self._work.append((command, confirm(len(batch))))

    def _tell(self, script: Script, subscription: RedisSubscription, *args: str | bytes | int) -> None:
        command = script.on(subscription.queue.keys.all, subscription.name, *args)
        self._work.append((command, _ignore))

    # ---- coming and going ----------------------------------------------------------------------------

    def _pause(self, subscription: RedisSubscription, reader: "Reader") -> None:
        if subscription not in self._said_paused:
            self._said_paused.add(subscription)
            self._tell(scripts.PAUSE, subscription)
            self._waking[reader] = reader.rounds

    def _leave(self, subscription: RedisSubscription) -> None:
        def hear(_reply: Any) -> None:
            self._said_paused.discard(subscription)
            self._stirred.add(subscription.queue)
            self._session.forget(subscription)

        command = scripts.LEAVE.on(subscription.queue.keys.all, subscription.name)
        self._work.append((command, hear))

    def _wake(self) -> None:
        """Make the server wake readers that sleep in it and have not looked since there was something to see."""
        for reader, rounds in tuple(self._waking.items()):
            if reader.has_ended or reader.rounds != rounds or not reader.is_looking:
                del self._waking[reader]
            else:
                self._work.append((("CLIENT", "UNBLOCK", reader.client), _ignore))

    # ---- time ----------------------------------------------------------------------------------------

    def _renew(self, subscriptions: Sequence[RedisSubscription]) -> None:
        now = time.monotonic()
        for queue in {each.queue for each in subscriptions if each.queue.renew_at <= now}:
            queue.renew_at = now + self._interval
            names = [each.name for each in subscriptions if each.queue is queue]
            command = scripts.RENEW.on(queue.keys.all, int(self._session.config.lease * 1000), *names)
            self._work.append((command, self._heard_of_leases(queue)))
        if not subscriptions and self._ping_at <= now:
            self._work.append((("PING",), _ignore))
        if self._ping_at <= now:
            self._ping_at = now + self._interval

    def _heard_of_leases(self, queue: RedisQueue) -> Heard:
        def hear(reply: Any) -> None:
            server_time, lost, taken_over, due = reply
            self._session.set_server_time(server_time)
            if lost:
                raise LeaseLost([name.decode() for name in lost])
            if taken_over:
                self._stirred.add(queue)
            if due >= 0:
                queue.renew_at = min(queue.renew_at, time.monotonic() + due / 1000)

        return hear


def nack_arguments(settlement: Settlement) -> tuple[bytes, int, int]:
    """Which entry, with how many attempts, after how many milliseconds."""
    delivery = settlement.delivery
    milliseconds = int(settlement.delay * 1000) if settlement.delay < 1 else round(settlement.delay * 1000)
    return delivery.receipt, delivery.attempt, max(milliseconds, int(settlement.delay > 0))


def note_of(settlement: Settlement) -> str:
    """What is to be remembered of an entry that goes back to the head."""
    delivery = settlement.delivery
    attempts = delivery.attempt if settlement.verb is Verb.RETURN else delivery.attempt - 1
    suspicion = "!" if delivery.is_suspect and settlement.verb is Verb.RELEASE else ""
    return f"{attempts or ''}{suspicion}"


def _ignore(_reply: Any) -> None:
    """It has been said, and that was all."""
