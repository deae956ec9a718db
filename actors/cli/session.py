"""One run of an application: start, feed, wait, stop.

Knows: a runtime, its feeds, the two signals, and when a run is over. Must not know: options, terminals, exit codes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from .application import resting
from .readers import unread
from .reloading import Reloading
from .signals import Interrupted, Signals

if TYPE_CHECKING:
    from ...registry import EntryID
    from ..drain_report import DrainReport
    from ..runtime import Runtime
    from .feeding import Feed

GLANCE: Final = 0.1
"""Seconds between two looks at whether the run is over."""


@attrs.define(kw_only=True)
class Ending:
    """How a run ended.

    Attributes:
        report: the drain report; None when nothing had started.
        problems: what failed, a sentence each; none of them is a message that failed.
        lying: messages in queues that nobody consumes, or whose consumer is gone, by queue.
        seconds: from start to end.
    """

    report: DrainReport | None = None
    problems: list[str] = attrs.field(factory=list)
    lying: dict[str, int] = attrs.field(factory=dict)
    seconds: float = 0.0


class Session:
    """Runs an application once.

    Args:
        runtime: loaded, not started.
        feeds: what to publish.
        signals: entered.
        until_idle: whether to stop when everything is fed and handled.
        stop_timeout: seconds for the stop; None: as `.noria.yaml` says.
    """

    def __init__(
        self,
        runtime: Runtime,
        feeds: Iterable[Feed],
        signals: Signals,
        *,
        until_idle: bool = False,
        stop_timeout: float | None = None,
    ) -> None:
        self.runtime = runtime
        self.feeds = tuple(feeds)
        self._signals = signals
        self._until_idle = until_idle
        self._stop_timeout = stop_timeout
        self._reloading = Reloading(runtime)
        self._stuck_before: Mapping[str, int] | None = None

    def start(self) -> bool:
        """Start the runtime; False when a signal came first.

        Raises:
            FunctionBroken, StartFailed: as `Runtime.start`.
        """
        # It comes out when the signal came in the very moment in which starting had ended.
        with contextlib.suppress(Interrupted):
            self._begin()
        if self._signals.stopping.is_set():
            self._stop(Ending())
            return False
        return True

    def _begin(self) -> None:
        try:
            self._signals.interrupts = True
            self.runtime.start()
        except BaseException:
            # An interrupted import of a handler looks like a broken handler.
            if not self._signals.stopping.is_set():
                raise
        finally:
            self._signals.interrupts = False

    def go_on(self) -> Ending:
        """Feed and wait until the run is over, then stop."""
        began = time.monotonic()
        ending = Ending()
        for feed in self.feeds:
            feed.start(self.runtime)
        try:
            while not self._signals.stopping.wait(GLANCE) and not self._is_over(ending):
                if self._signals.hung_up.is_set():
                    self._reloading.begin(self._signals.hung_up)
            is_idle = self._until_idle and not self.is_stopping and not ending.problems
            ending.problems += [f"{name} gave up: {error}" for name, error in self.runtime.failures.items()]
        finally:
            self._stop(ending)
        ending.lying = self._lying()
        ending.problems += self._problems_of_feeding()
        if is_idle:
            ending.problems += self._unhandled(ending.lying)
        ending.seconds = time.monotonic() - began
        return ending

    @property
    def is_stopping(self) -> bool:
        """Whether a signal has asked for the stop."""
        return self._signals.stopping.is_set()

    def _problems_of_feeding(self) -> list[str]:
        problems = [feed.failure for feed in self.feeds if feed.failure]
        bad = sum(feed.bad for feed in self.feeds)
        if bad:
            problems.append(f"{bad} input {'line' if bad == 1 else 'lines'} could not be published")
        return problems

    # ---- is it over? -------------------------------------------------------------------------------------

    def _is_over(self, ending: Ending) -> bool:
        lost = unread()
        if lost:
            ending.problems.append(f"nobody reads {lost} any more")
            return True
        tree = self.runtime.tree()
        if tree.get("state") == "failed":
            ending.problems.append(f"the application failed: {tree.get('details')}")
            return True
        if not self._until_idle:
            return False
        unserved = self._unserved(tree)
        for feed in self.feeds:
            if feed.blocked and feed.queue in unserved and not feed.done.is_set():
                self._give_up(feed)
        return all(feed.done.is_set() for feed in self.feeds) and self._is_idle(unserved, ending)

    def _give_up(self, feed: Feed) -> None:
        feed.failure = f"{feed.source}: stopped at line {feed.read + 1}: {feed.queue} takes no more and nothing consumes it"
        feed.stop()

    def _is_idle(self, unserved: Mapping[str, str], ending: Ending) -> bool:
        from ...registry import NoriaError
        from ..errors import NotIdle

        try:
            self.runtime.wait_idle(timeout=GLANCE)
        except NotIdle as error:
            counts = {queue: count for queue, count in error.waiting.items() if count is not None}
            # A backend that cannot be asked now is being restarted.
            return counts == error.waiting and self._is_stuck(counts, unserved, ending)
        except NoriaError:
            return False
        return True

    def _is_stuck(self, waiting: Mapping[str, int], unserved: Mapping[str, str], ending: Ending) -> bool:
        """Whether only queues still hold messages whose consumers will never take them; twice the same in a row."""
        if not waiting or not set(waiting) <= set(unserved):
            self._stuck_before = None
            return False
        if self._stuck_before != waiting:
            self._stuck_before = dict(waiting)
            return False
        for queue, count in waiting.items():
            if unserved[queue]:
                ending.problems.append(f"{queue} still holds {_messages(count)}: {unserved[queue]} gave up")
        return True

    def _unserved(self, tree: Mapping[str, Any]) -> dict[str, str]:
        """Queues that no consumer serves nor will: to the service whose end is the reason, or to nothing."""
        gone = {service.partition("/")[0] for service in self.runtime.failures if "/" not in service}
        never = {node["id"] for node in tree.get("children", ()) if node["state"] == "unknown"}
        served: set[str] = set()
        reasons: dict[str, str] = {}
        for entry in self.runtime.registry:
            if entry.kind != "queue.consumer":
                continue
            queue = str(entry.config.queue)
            lost = next((id_ for id_ in self._with_what_it_needs(entry.id) if id_ in gone), "")
            if lost:
                reasons[queue] = lost
            elif str(entry.id) not in never:
                served.add(queue)
        queues = (str(entry.id) for entry in self.runtime.registry if entry.kind == "queue.queue")
        return {queue: reasons.get(queue, "") for queue in queues if queue not in served}

    def _with_what_it_needs(self, id_: EntryID) -> list[str]:
        found: dict[EntryID, None] = {id_: None}
        waiting = [id_]
        while waiting:
            entry = self.runtime.registry.get(waiting.pop())  # a reload may just have taken it away
            for needed in () if entry is None else entry.dependencies:
                if needed not in found:
                    found[needed] = None
                    waiting.append(needed)
        return [str(each) for each in found]

    # ---- the end -----------------------------------------------------------------------------------------

    def _stop(self, ending: Ending) -> None:
        from ..errors import StopIncomplete

        for feed in self.feeds:
            feed.stop()
        try:
            ending.report = self.runtime.stop(self._stop_timeout)
        except StopIncomplete as error:
            ending.report = error.report
            ending.problems.append(str(error))

    def _unhandled(self, lying: Mapping[str, int]) -> list[str]:
        """What was fed and nothing handled, because its consumers do not start: a sentence for each queue."""
        asleep = {entry.id for entry in resting(self.runtime.registry)}
        problems = []
        for queue in dict.fromkeys(feed.queue for feed in self.feeds if feed.published):
            consumers = self._consumers_of(queue)
            if queue in lying and consumers and consumers <= asleep:
                named = ", ".join(map(str, sorted(consumers)))
                problems.append(
                    f"{queue} still holds {_messages(lying[queue])}: {named} did not start by itself"
                    " (lifecycle.auto_start is not true)"
                )
        return problems

    def _consumers_of(self, queue: str) -> set[EntryID]:
        return {
            entry.id
            for entry in self.runtime.registry
            if entry.kind == "queue.consumer" and str(entry.config.queue) == queue
        }

    def _lying(self) -> dict[str, int]:
        """What is left in the queues, by queue. A driver that is closed by now is opened once more to be asked."""
        from ...registry import NoriaError
        from ..access import QueueAccess
        from ..errors import DriverUnavailable

        left: dict[str, int] = {}
        with QueueAccess(self.runtime.registry) as access:
            for id_ in access.queues:
                try:
                    left[id_] = self.runtime.info(id_)["message_count"]
                except DriverUnavailable:
                    with contextlib.suppress(NoriaError):  # a backend that cannot be asked any more
                        left[id_] = access.open(id_).info().message_count
                except NoriaError:
                    continue  # never declared
        return {queue: count for queue, count in left.items() if count}


def _messages(count: int) -> str:
    return f"{count} {'message' if count == 1 else 'messages'}"
