"""Fetches one consumer's messages, on a connection and a thread of its own.

Knows: credit, entries, how to wait for more. Must not know: what becomes of a delivery.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..io_thread import IoThread
from . import scripts
from .entries import entries_of
from .errors import LeaseLost
from .keys import GROUP
from .link import Link
from .subscription import RedisSubscription

# How many entries a script gets: Lua's stack has an end.
SCRIPT_BATCH = 1000
# What other processes give back, and whose delay they know, is found after this time at the latest.
LONGEST_BLOCK = 0.5
# How long others, who have less, get to take what they may.
COURTESY = 0.05


class Reader:
    """Takes its consumer's share; with nothing there, lets the server wake it with the next message.

    Args:
        subscription: whose.
        link: a connection that nobody else uses.
        ended: called once, in its thread, with the error that ended it or None.

    Attributes:
        client: the number by which the server can be told to wake it.
        rounds: how often it has begun to look.
        is_looking: it is in the middle of a round, and may wait inside the server.
    """

    def __init__(
        self, subscription: RedisSubscription, link: Link, ended: Callable[[BaseException | None], None]
    ) -> None:
        self.client: int = link.ask(("CLIENT", "ID"))
        self.rounds = 0
        self.is_looking = False
        self.has_ended = False
        self._subscription = subscription
        self._link = link
        self._ended = ended
        self._others_had_time = False
        self.thread = IoThread(f"noria-redis-{subscription.name}", self._round, self._end)

    def _end(self, error: BaseException | None) -> None:
        self.has_ended = True
        self._subscription.has_looked()
        self._link.close()
        self._ended(error)

    def _round(self) -> float | None:
        if self._subscription.is_closed:
            self.thread.stop(0)
            return None
        # Before asking for credit: who pauses sees either that it looks, or that it will find none.
        self.is_looking = True
        try:
            if not self._subscription.is_worth_a_trip:
                return None
            self.rounds += 1
            return self._look()
        finally:
            self.is_looking = False
            self._subscription.has_looked()

    def _look(self) -> float:
        subscription = self._subscription
        subscription.is_hurried = False
        old, new, due, some_are_left = self._take(min(subscription.credit, SCRIPT_BATCH))
        self._others_had_time = False
        if old or new:
            subscription.deliver_entries([*entries_of(old), *entries_of(new)])
            return 0
        subscription.is_hurried = True
        if some_are_left:
            self._others_had_time = True
            return COURTESY
        self._wait_for_one(LONGEST_BLOCK if due < 0 else min(LONGEST_BLOCK, due / 1000))
        return 0

    def _take(self, credit: int) -> Sequence[Any]:
        keys, name = self._subscription.queue.keys.all, self._subscription.name
        reply = self._link.ask(scripts.TAKE.on(keys, name, credit, int(self._others_had_time)))
        if reply is None:
            raise LeaseLost([name])
        taken: Sequence[Any] = reply
        return taken

    def _wait_for_one(self, seconds: float) -> None:
        """One, not as many as there is credit: others may wait, too, and the rest is shared fairly."""
        if self._subscription.credit > 0:
            block = max(1, int(seconds * 1000))
            stream, name = self._subscription.queue.keys.stream, self._subscription.name
            group = ("XREADGROUP", "GROUP", GROUP, name, "COUNT", 1, "BLOCK", block)
            reply = self._link.ask((*group, "STREAMS", stream, ">"))
            if reply:
                self._subscription.deliver_entries(list(entries_of(reply[0][1])))
                # Lets go of the interpreter: the worker that was just woken comes before our next look.
                os.sched_yield()
