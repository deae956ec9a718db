"""Keeper: the machine inside a supervisor, which starts and stops children as they shall be.

Knows: time, lifelines, notices. Does not know: what follows from a child's end, nor requests from outside
(supervisor.py), nor who shares whose fate (siblings.py). It never waits for a child: whatever a child does
is a message, whatever takes too long is a timer.
"""

from __future__ import annotations

import abc
import random as standard_random
import time
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final

from pykka._envelope import Envelope

from ...registry import Bus, Event
from .adoption import use_inbox
from .child import Child, ChildSpec, State
from .departures import Departures
from .errors import (
    ChildStartTimeout,
    ChildStuck,
    StartFailed,
)
from .events import (
    ChildStarted,
    ChildStopTimeout,
)
from .mailbox import Clock, Mailbox, Timer
from .messages import (
    BackoffOver,
    Begin,
    ChildEnded,
    ChildReady,
    Rush,
    StartTimedOut,
    StopTimedOut,
    Sweep,
)
from .restart import Intensity, Random, RestartWindow, Strategy
from .siblings import Siblings
from .supervised import Lifeline, Supervised

SWEEP_EVERY: Final = 1.0
"""Seconds between two looks for threads that died without a word, or that nobody lived to wake."""

RUSH_AT: Final = 0.8
"""The part of a stop's time after which nobody waits any more for dependents to stop first."""


class Phase(Enum):
    """Where a supervisor stands itself."""

    NEW = auto()
    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    DONE = auto()


class Keeper(Supervised):
    """What a Supervisor is, without its decisions. Use `Supervisor`."""

    def __init__(  # noqa: PLR0913 - the two last are for tests
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy | str = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        bus: Bus | None = None,
        clock: Clock = time.monotonic,
        random: Random = standard_random.random,
    ) -> None:
        super().__init__()
        use_inbox(self, Mailbox(clock))
        self.siblings = Siblings(Strategy(strategy), children)
        self.unfinished: tuple[str, ...] = ()
        """After the end: what did not stop in time, as `child` or `child/grandchild`."""
        self._bus = bus
        self._random = random
        self._window = RestartWindow(intensity) if intensity is not None else None
        self._notices = Notices(self)
        self._phase = Phase.NEW
        self._required: set[str] = set()
        self._awaited: set[str] = set()
        self._lost: dict[str, BaseException] = {}
        self._deadline: float | None = None
        self._rush_at = 0.0
        self._departures = Departures()
        self._crashes = 0
        self._next_sweep: Timer | None = None
        self._is_successor = False

    def succeed(self, former: Keeper) -> None:
        """Before the start: take the place of one that was killed.

        Its children shall run, or rest, as they did there. None of them can make the start fail: that was over before.
        """
        self._is_successor = True
        for child in self.siblings:
            before = former.siblings.find(child.id)
            if before is not None:
                child.wish = before.wish

    def on_children_started(self) -> None:
        """Once, when the children that must run do, before this is reported. Raise: the start fails."""

    def on_stop_requested(self, deadline: float | None) -> None:
        """Stop by `deadline`. Here: `stop_children(deadline)`, which ends in `finish`."""
        self.stop_children(deadline)

    def on_children_stopped(self, unfinished: tuple[str, ...]) -> None:
        """All children are down, but for the abandoned ones named. The supervisor ends after this."""

    def emit(self, event: Event) -> None:
        """Give an event to the bus. Thread-safe."""
        (self.lifeline.listener if self._bus is None else self._bus).emit(event)

    def lives(self, prefix: str = "") -> list[tuple[str, Lifeline]]:
        """Every life at or below the children whose thread may still run, with its path. Thread-safe."""
        present = [(child.id, child.record.lifeline) for child in self.siblings]
        found: list[tuple[str, Lifeline]] = []
        for name, lifeline in (*self._departures.lives(), *present):
            if lifeline is not None:
                found.append((f"{prefix}{name}", lifeline))
                if isinstance(lifeline.actor, Keeper):
                    found += lifeline.actor.lives(f"{prefix}{name}/")
        return found

    def orphans(self, *, bereft: bool) -> list[Lifeline]:
        """The lives at or below the children whose supervisor has ended while they had not. Thread-safe.

        `bereft` says whether this one has ended itself. Those that were abandoned have had their time, and do not count.
        """
        present = [lifeline for child in self.siblings if (lifeline := child.record.lifeline) is not None]
        found = [lifeline for lifeline in present if bereft and not lifeline.ended]
        for lifeline in (*present, *(lifeline for _, lifeline in self._departures.lives())):
            if isinstance(lifeline.actor, Keeper):
                found += lifeline.actor.orphans(bereft=lifeline.ended)
        return found

    def stop_children(self, deadline: float | None = None) -> None:
        """Stop all children, dependents first, and then end. May be called again with less time.

        Returns at once. When all are down or abandoned: `on_children_stopped`, then `finish`.
        """
        if self._phase is Phase.DONE:
            return
        self._phase = Phase.STOPPING
        if deadline is not None and (self._deadline is None or deadline < self._deadline):
            self._deadline = deadline
            self._hurry(deadline - self.mailbox.clock())
        for child in self.siblings:
            self._unwant(child)
        self._reconcile(self.siblings)

    def on_start(self) -> None:
        """Not for subclasses: see `setup`."""
        self.setup()
        self.defer_ready()
        # As a message, so that an exception on the way is one that stops what has been started.
        self.mailbox.put(Envelope(Begin()))

    def retire(self) -> None:
        """Let nobody live on alone, where this supervisor dies before its children."""
        for child in self.siblings:
            if child.lifeline is not None:
                child.lifeline.request_stop(None)

    def _notice(self, message: Any) -> None:
        match message:
            case ChildReady(lifeline):
                self._child_ready(lifeline)
            case ChildEnded(lifeline, error):
                self._child_ended(lifeline, error)
            case BackoffOver(name, attempts):
                self._backoff_over(name, attempts)
            case StartTimedOut(lifeline):
                self._start_timed_out(lifeline)
            case StopTimedOut(lifeline, seconds):
                self._stop_timed_out(lifeline, seconds)
            case Begin():
                self._begin()
            case Rush():
                self._rush()
            case Sweep():
                self._sweep()

    def _begin(self) -> None:
        if self._phase is not Phase.NEW:
            return
        self._phase = Phase.STARTING
        starting = [child for child in self.siblings if child.wish]
        for name in self.siblings.needed_by(child.id for child in starting):
            self.siblings[name].wanted = True
        required = [child.id for child in starting if child.spec.required and not self._is_successor]
        self._required = self.siblings.needed_by(required)
        self._awaited = set(self._required)
        self.siblings.chain()
        self._sweep()
        self._reconcile(self.siblings)

    def _reconcile(self, touched: Iterable[Child]) -> None:
        """Stop and start whichever of these may be, now."""
        waiting = deque(touched)
        while waiting:
            child = waiting.popleft()
            if self.siblings.may_stop(child):
                self._stop_one(child)
            elif self._phase in {Phase.STARTING, Phase.RUNNING}:
                if self.siblings.comes_first(child):
                    waiting.extend(self.siblings.release(child))
                if self.siblings.may_start(child):
                    self._launch(child)
        self._check()

    def _check(self) -> None:
        """Whether the start, or the stop, as a whole has come to its end."""
        if self._phase is Phase.STARTING:
            if not self._awaited:
                self._phase = Phase.RUNNING
                self.on_children_started()
                self.ready()
            elif not self._awaited.isdisjoint(self._lost) and self._nobody_is_starting():
                lost = {child.id: self._lost[child.id] for child in self.siblings if child.id in self._lost}
                self.lifeline.fail(StartFailed(self.lifeline.name, lost))
                self.stop_children()
        elif self._phase is Phase.STOPPING and not self.siblings.up and not self._departures.awaited:
            self._phase = Phase.DONE
            self.unfinished = self._departures.unfinished()
            self.on_children_stopped(self.unfinished)
            self.finish()

    def _nobody_is_starting(self) -> bool:
        # So that all that is wrong is told at once: a broken sibling may still be about to fail.
        return not any(child.state is State.STARTING for child in self.siblings)

    def _launch(self, child: Child) -> None:
        lifeline = Lifeline(child.id, child.spec.create, self._notices, clock=self.mailbox.clock)
        child.lifeline = lifeline
        child.starts += 1
        self.siblings.up.add(child.id)
        child.become(State.STARTING, f"attempt {child.attempts + 1}")
        child.timer = self.mailbox.schedule(child.spec.start_timeout, StartTimedOut(lifeline))
        try:
            lifeline.start()
        except RuntimeError as error:  # the system has no thread left
            self._notices.ended(lifeline, error)

    def _stop_one(self, child: Child) -> None:
        """Tell a child to stop, or to stop sooner."""
        lifeline = child.lifeline
        if lifeline is None:
            return
        now, seconds = self.mailbox.clock(), child.spec.stop_timeout
        if self._deadline is not None:
            # A child that requires others ends first, so that they need not be stopped under its feet.
            is_early = bool(child.spec.requires) and now < self._rush_at
            seconds = min(seconds, max(0.0, (self._rush_at if is_early else self._deadline) - now))
        child.cancel_timer()
        child.become(State.STOPPING)
        child.timer = self.mailbox.schedule(seconds, StopTimedOut(lifeline, seconds))
        # A little less than we wait: so that it can still tell us what did not end below it.
        lifeline.request_stop(now + seconds - min(0.25, seconds / 10))

    def _child_ready(self, lifeline: Lifeline) -> None:
        child = self._living(lifeline)
        if child is None or child.state is not State.STARTING:
            return
        child.cancel_timer()
        child.began = self.mailbox.clock()
        child.become(State.RUNNING)
        self._awaited.discard(child.id)
        self.emit(ChildStarted(self.lifeline.name, child.id, child.starts - 1))
        self._reconcile(self.siblings.after_up(child))

    def _child_ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        child = self._living(lifeline)
        if child is not None:
            if isinstance(lifeline.actor, Keeper):
                self._departures.note(child, lifeline.actor.unfinished)
            self._over(child, error)
        elif self._departures.ended(lifeline):
            self._check()

    def _start_timed_out(self, lifeline: Lifeline) -> None:
        child = self._living(lifeline)
        if child is None or child.state is not State.STARTING:
            return
        lifeline.request_stop(None)
        self._departures.abandon(child, lifeline)
        self._departures.awaited.add(lifeline)
        seconds = child.spec.stop_timeout
        self.mailbox.schedule(seconds, StopTimedOut(lifeline, seconds))
        self._over(child, ChildStartTimeout(child.id, child.spec.start_timeout))

    def _stop_timed_out(self, lifeline: Lifeline, seconds: float) -> None:
        child, stray = self._living(lifeline), self._departures.strays.get(lifeline)
        if child is not None and child.state is State.STOPPING:
            self._departures.abandon(child, lifeline)
            self._departures.note(child, _still_up(lifeline.actor))
            self.emit(ChildStopTimeout(self.lifeline.name, child.id, seconds, lifeline.name))
            self._over(child, ChildStuck(child.id, seconds, lifeline.name))
        elif stray is not None and lifeline in self._departures.awaited:
            self._departures.awaited.discard(lifeline)
            self.emit(ChildStopTimeout(self.lifeline.name, stray.id, seconds, lifeline.name))
            self._check()

    def _hurry(self, seconds: float) -> None:
        """There is less time for the stop than we thought."""
        self._rush_at = self.mailbox.clock() + max(0.0, seconds * RUSH_AT)
        self.mailbox.schedule(max(0.0, seconds * RUSH_AT), Rush())
        for child in self.siblings:
            if child.state is State.STOPPING:
                self._stop_one(child)

    def _rush(self) -> None:
        for child in reversed(tuple(self.siblings)):
            if child.state in {State.STARTING, State.RUNNING}:
                self._stop_one(child)

    def _sweep(self) -> None:
        if self._next_sweep is not None:
            self._next_sweep.cancel()
        self._next_sweep = self.mailbox.schedule(SWEEP_EVERY, Sweep())
        for child in self.siblings:
            if child.lifeline is not None:
                child.lifeline.look_after()
        for stray in tuple(self._departures.strays):
            stray.look_after()

    def _mend(self) -> None:
        """After a crash in the middle of anything: do not wait for a word that was lost with it."""
        for child in self.siblings:
            life = child.lifeline
            if child.up and (life is None or life.ended or not life.is_running()):
                if life is not None:
                    self._departures.leave(child, life)
                child.lifeline = None
                child.become(State.STOPPED, "lost in its supervisor's crash")
        self.siblings.up = {child.id for child in self.siblings if child.up}
        self._sweep()  # it may have been the sweep that crashed
        for child in self.siblings:
            if child.state is State.STOPPING:
                self._stop_one(child)

    def _unwant(self, child: Child) -> None:
        self.siblings.unwant(child)
        if child.resting:
            child.resting = False
            child.cancel_timer()
            child.become(State.STOPPED, f"not tried again after: {child.record.details}")

    @abc.abstractmethod
    def _over(self, child: Child, error: BaseException | None) -> None:
        """A child's life is over, for us at least: decide what follows."""

    @abc.abstractmethod
    def _backoff_over(self, name: str, attempts: int) -> None:
        """A failed child may be tried again."""

    def _living(self, lifeline: Lifeline) -> Child | None:
        """The child whose present life this is; None for notices from an earlier one."""
        child = self.siblings.find(lifeline.name)
        return child if child is not None and child.lifeline is lifeline else None


def _still_up(actor: object) -> list[str]:
    """What runs on below an abandoned supervisor."""
    lives = actor.lives() if isinstance(actor, Keeper) else []
    return [name for name, lifeline in lives if lifeline.is_running() and not lifeline.ended]


class Notices:
    """Listens to the children and tells their supervisor."""

    def __init__(self, keeper: Keeper) -> None:
        self._inbox = keeper.mailbox
        self.emit = keeper.emit

    def ready(self, lifeline: Lifeline) -> None:
        """Told upwards."""
        self._inbox.put(Envelope(ChildReady(lifeline)))

    def ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        """Told upwards."""
        self._inbox.put(Envelope(ChildEnded(lifeline, error)))
