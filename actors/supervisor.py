"""Supervisor: starts, watches, restarts and stops its children, and gives up when that does not help.

Knows: time, lifelines and messages. Does not know: the rule who restarts with whom (siblings.py,
restart.py), nor what its children do. It never waits for a child: whatever a child does is a message,
whatever takes too long is a timer, so that a stop or a question is answered at once.
"""

from __future__ import annotations

import random as standard_random
import time
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final

import pykka
from pykka._envelope import Envelope

from ..registry import Bus, Event
from .adoption import use_inbox
from .child import Child, ChildSpec, Node, State
from .mailbox import Clock, Mailbox
from .restart import NEVER_RAN, Intensity, Random, Restart, RestartWindow, Strategy, attempts_after
from .siblings import Siblings
from .supervised import Lifeline, Supervised
from .supervision_errors import (
    ChildDuplicate,
    ChildNeeded,
    ChildStartTimeout,
    ChildStuck,
    ChildUnknown,
    DependencyUnknown,
    EndedUnexpectedly,
    StartFailed,
    SupervisorGaveUp,
    SupervisorStopping,
    describe,
    is_terminal,
)
from .supervision_events import (
    ChildFailed,
    ChildGaveUp,
    ChildStarted,
    ChildStopped,
    ChildStopTimeout,
    SupervisorFailed,
)
from .supervisor_messages import (
    NOTICES,
    REQUESTS,
    AddChild,
    BackoffOver,
    Begin,
    ChildEnded,
    ChildReady,
    RemoveChild,
    RestartChild,
    Rush,
    StartChild,
    StartTimedOut,
    StopChild,
    StopTimedOut,
    Sweep,
)

SWEEP_EVERY: Final = 1.0
"""Seconds between two looks for threads that died without a word."""

RUSH_AT: Final = 0.8
"""The part of a stop's time after which nobody waits any more for dependents to stop first."""

CRASHES_BORNE: Final = 10
"""How often a crashing supervisor tries to stop its children in order before it lets go of them."""

REFUSALS: Final = (ChildUnknown, ChildDuplicate, ChildNeeded, DependencyUnknown, SupervisorStopping)


class Phase(Enum):
    """Where a supervisor stands itself."""

    NEW = auto()
    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    DONE = auto()


class Supervisor(Supervised):
    """An actor that keeps its children running. It may be a child itself.

    Ready when all children with `auto_start` and `required` run. Its start fails with `StartFailed` when
    one of these never will (after it has stopped what it had started), its life with `SupervisorGaveUp`
    when there are more restarts than `intensity` allows (None: no limit). Events go to `bus`, or where its
    own supervisor's go. `clock` and `random` are for tests.

    Subclasses may override `setup`, `on_children_started`, `on_child_ended`, `on_stop_requested`,
    `on_children_stopped`, `teardown` and `on_receive`; all run in the supervisor's thread. `snapshot`,
    `ref` and `unfinished` may be read from any thread. Children are added to a running supervisor from its
    own thread by `add_child` and so on, from others by the messages `AddChild` and so on.
    """

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
        self._strays: dict[Lifeline, Child] = {}
        self._awaited_strays: set[Lifeline] = set()
        self._leaving: deque[tuple[str, Lifeline]] = deque()
        self._unfinished_below: list[str] = []
        self._crashes = 0

    # What a subclass may override.

    def on_children_started(self) -> None:
        """Once, when the children that must run do, before this is reported. Raise: the start fails."""

    def on_child_ended(self, child_id: str, actor: pykka.Actor, error: BaseException | None) -> None:
        """A child is over, for whatever reason (None: a normal end); its restart is not yet decided.

        `error` is a `ChildStuck` or a `ChildStartTimeout` where the thread was abandoned and may still run.
        """

    def on_stop_requested(self, deadline: float | None) -> None:
        """Stop by `deadline`. Here: `stop_children(deadline)`, which ends in `finish`."""
        self.stop_children(deadline)

    def on_children_stopped(self, unfinished: tuple[str, ...]) -> None:
        """All children are down, but for the abandoned ones named. The supervisor ends after this."""

    # What anybody may read.

    def snapshot(self) -> list[Node]:
        """The children and what is below them, as plain data. Thread-safe; asks nobody, so never blocks."""
        return [child.node() for child in self.siblings]

    def ref(self, child_id: str) -> pykka.ActorRef[Any] | None:
        """The reference of the child's present life, None when it is down. Thread-safe."""
        child = self.siblings[child_id]
        lifeline = child.record.lifeline
        return lifeline.actor.actor_ref if lifeline is not None and lifeline.actor is not None else None

    def lives(self, prefix: str = "") -> list[tuple[str, Lifeline]]:
        """Every life at or below the children whose thread may still run, with its path. Thread-safe."""
        strays = [(child.id, stray) for stray, child in tuple(self._strays.items())]
        present = [(child.id, child.record.lifeline) for child in self.siblings]
        found: list[tuple[str, Lifeline]] = []
        for name, lifeline in (*tuple(self._leaving), *strays, *present):
            if lifeline is not None:
                found.append((f"{prefix}{name}", lifeline))
                if isinstance(lifeline.actor, Supervisor):
                    found += lifeline.actor.lives(f"{prefix}{name}/")
        return found

    def emit(self, event: Event) -> None:
        """Give an event to the bus. Thread-safe."""
        (self.lifeline.listener if self._bus is None else self._bus).emit(event)

    # What the supervisor's own thread may call.

    def add_child(self, spec: ChildSpec) -> None:
        """Take in a child. Raises `ChildDuplicate`, `DependencyUnknown`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        child = self.siblings.add(spec)
        if spec.auto_start and self._phase is not Phase.NEW:
            self._want(child)

    def remove_child(self, child_id: str) -> None:
        """Stop and forget a child. Raises `ChildUnknown`, `ChildNeeded`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        child = self.siblings.check_removable(child_id)
        self.stop_child(child_id)
        if child.up:
            child.forgotten = True
        else:
            self.siblings.forget(child)

    def start_child(self, child_id: str) -> None:
        """Start a child and what it requires. Raises `ChildUnknown`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        self._want(self.siblings[child_id])

    def stop_child(self, child_id: str) -> None:
        """Stop a child and what requires it. Raises `ChildUnknown`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        touched: list[Child] = []
        for child in self._fellows(child_id):
            touched += [child, *self.siblings.release(child)]
            self._unwant(child)
        self._reconcile(touched)

    def restart_child(self, child_id: str) -> None:
        """Stop a child and what requires it, start all again. Raises `ChildUnknown`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        target = self.siblings[child_id]
        fellows = self._fellows(child_id)
        for child in fellows:
            child.must_stop = child.up
            if child is not target and child.spec.restart is Restart.TEMPORARY:
                child.wanted = False
        self._want(target)
        self._reconcile(fellows)

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

    # What it does. Not for subclasses.

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

    def survives(self, error: BaseException) -> bool:
        """A supervisor that crashes stops its children before it ends with the error."""
        begun = self.lifeline.current
        if isinstance(error, REFUSALS) and type(begun) in REQUESTS:
            return True  # a request that was told, not asked: nobody waits for the refusal
        self._crashes += 1
        if self._phase is Phase.DONE or self._crashes > CRASHES_BORNE:
            return False
        self.lifeline.fail(error)
        for child in self.siblings:
            self._mend(child)
        self.stop_children(self._deadline)
        return True

    def _handle_receive(self, message: Any) -> Any:
        if type(message) in NOTICES:
            return self._notice(message)
        if type(message) in REQUESTS:
            return self._request(message)
        return super()._handle_receive(message)

    def _request(self, message: Any) -> None:
        match message:
            case AddChild(spec):
                self.add_child(spec)
            case RemoveChild(child):
                self.remove_child(child)
            case StartChild(child):
                self.start_child(child)
            case StopChild(child):
                self.stop_child(child)
            case RestartChild(child):
                self.restart_child(child)

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
        starting = [child for child in self.siblings if child.spec.auto_start]
        for name in self.siblings.needed_by(child.id for child in starting):
            self.siblings[name].wanted = True
        self._required = self.siblings.needed_by(child.id for child in starting if child.spec.required)
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
        elif self._phase is Phase.STOPPING and not self.siblings.up and not self._awaited_strays:
            self._phase = Phase.DONE
            strays = [child.id for stray, child in self._strays.items() if not stray.ended]
            self.unfinished = (*strays, *self._unfinished_below)
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
            seconds = min(seconds, max(0.0, self._deadline - now))
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
        stray = self._strays.pop(lifeline, None)
        if child is not None:
            below: tuple[str, ...] = getattr(lifeline.actor, "unfinished", ())
            self._unfinished_below += [f"{child.id}/{name}" for name in below]
            self._over(child, error)
        elif stray is not None:
            stray.strays = tuple(other for other in stray.strays if other is not lifeline)
            self._awaited_strays.discard(lifeline)
            self._check()

    def _over(self, child: Child, error: BaseException | None) -> None:
        """A child's life is over, for us at least."""
        child.cancel_timer()
        lifeline, child.lifeline = child.lifeline, None
        self._remember(child, lifeline)
        running = child.state is State.RUNNING
        if lifeline is not None and lifeline.actor is not None:
            self.on_child_ended(child.id, lifeline.actor, error)
        if self._phase is Phase.STARTING and child.id in self._required:
            self._awaited.add(child.id)
        if child.must_stop or self._phase is Phase.STOPPING:
            self._stopped(child, error)
        elif error is None and child.spec.restart is not Restart.PERMANENT:
            self._finished(child)
        else:
            ran = self.mailbox.clock() - child.began if running else NEVER_RAN
            self._failed(child, error or EndedUnexpectedly(child.id), ran)

    def _stopped(self, child: Child, error: BaseException | None) -> None:
        stuck = isinstance(error, ChildStuck)
        details = describe(error) if error is not None else ""
        child.become(State.FAILED if stuck else State.STOPPED, details, error=error)
        if not stuck:
            self.emit(ChildStopped(self.lifeline.name, child.id, error))
        touched = self.siblings.after_down(child)
        if child.forgotten:
            self.siblings.forget(child)
            touched.remove(child)
        self._reconcile(touched)

    def _finished(self, child: Child) -> None:
        child.wanted = False
        child.become(State.EXITED, "finished")
        self._awaited.discard(child.id)
        self.emit(ChildStopped(self.lifeline.name, child.id))
        self._reconcile([*self.siblings.after_down(child), *self.siblings.after_up(child)])

    def _failed(self, child: Child, error: BaseException, ran: float) -> None:
        """The heart of it: is the child tried again, when, and who goes down with it?"""
        spec = child.spec
        child.attempts = attempts_after(child.attempts, ran, spec.stable_threshold)
        temporary = spec.restart is Restart.TEMPORARY
        if is_terminal(error) or temporary or spec.backoff.exhausted(child.attempts):
            self._lose(child, error)
        elif self._too_many_restarts():
            self._give_up(child, error)
        else:
            delay = spec.backoff.delay(child.attempts, self._random)
            child.resting = True
            child.timer = self.mailbox.schedule(delay, BackoffOver(child.id, child.attempts))
            details = f"{describe(error)}; attempt {child.attempts + 1} in {delay:.3g} s"
            child.become(State.FAILED, details, error=error)
            self.emit(ChildFailed(self.lifeline.name, child.id, error, child.attempts, delay))
            others = self.siblings.share_fate(child)
            self._reconcile([*others, *self.siblings.after_down(child)])

    def _lose(self, child: Child, error: BaseException) -> None:
        """The child is not tried again; what requires it stays down."""
        child.wanted = False
        temporary = child.spec.restart is Restart.TEMPORARY
        terminal = is_terminal(error)
        reason = "" if terminal or temporary else f"; gave up after {child.attempts} attempts"
        state = State.EXITED if terminal or temporary else State.FAILED
        child.become(state, f"{describe(error)}{reason}", error=error, gave_up=not temporary)
        self.emit(ChildFailed(self.lifeline.name, child.id, error, child.attempts, None))
        if not temporary:
            self.emit(ChildGaveUp(self.lifeline.name, child.id, error))
        if child.id in self._required:
            self._lost[child.id] = error
        released = self.siblings.release(child) if temporary else []
        others = self.siblings.share_fate(child)
        self._reconcile([*others, *released, *self.siblings.after_down(child)])

    def _too_many_restarts(self) -> bool:
        if self._window is None:
            return False
        self._window = self._window.record(self.mailbox.clock())
        return self._window.exhausted

    def _give_up(self, child: Child, error: BaseException) -> None:
        """More restarts than are borne: stop all children and fail."""
        child.wanted = False
        child.become(State.FAILED, describe(error), error=error)
        failure = SupervisorGaveUp(self.lifeline.name, child.id, error)
        self.emit(ChildFailed(self.lifeline.name, child.id, error, child.attempts, None))
        self.emit(SupervisorFailed(self.lifeline.name, failure))
        self.lifeline.fail(failure)
        self.siblings.after_down(child)
        self.stop_children()

    def _backoff_over(self, name: str, attempts: int) -> None:
        child = self.siblings.find(name)
        if child is not None and child.resting and child.attempts == attempts:
            child.resting = False
            child.timer = None
            self._reconcile([child])

    def _start_timed_out(self, lifeline: Lifeline) -> None:
        child = self._living(lifeline)
        if child is None or child.state is not State.STARTING:
            return
        lifeline.request_stop(None)
        self._abandon(child, lifeline)
        self._awaited_strays.add(lifeline)
        seconds = child.spec.stop_timeout
        self.mailbox.schedule(seconds, StopTimedOut(lifeline, seconds))
        self._over(child, ChildStartTimeout(child.id, child.spec.start_timeout))

    def _stop_timed_out(self, lifeline: Lifeline, seconds: float) -> None:
        child, stray = self._living(lifeline), self._strays.get(lifeline)
        if child is not None and child.state is State.STOPPING:
            self._abandon(child, lifeline)
            self._unfinished_below += [f"{child.id}/{name}" for name in _still_up(lifeline.actor)]
            self.emit(ChildStopTimeout(self.lifeline.name, child.id, seconds, lifeline.name))
            self._over(child, ChildStuck(child.id, seconds, lifeline.name))
        elif stray is not None and lifeline in self._awaited_strays:
            self._awaited_strays.discard(lifeline)
            self.emit(ChildStopTimeout(self.lifeline.name, stray.id, seconds, lifeline.name))
            self._check()

    def _remember(self, child: Child, lifeline: Lifeline | None) -> None:
        """A thread lives a moment longer than its last word: whoever stops the tree waits for that moment."""
        while self._leaving and not self._leaving[0][1].is_running():
            self._leaving.popleft()
        if lifeline is not None and lifeline not in self._strays:
            self._leaving.append((child.id, lifeline))

    def _abandon(self, child: Child, lifeline: Lifeline) -> None:
        self._strays[lifeline] = child
        child.strays = (*child.strays, lifeline)

    def _hurry(self, seconds: float) -> None:
        """There is less time for the stop than we thought."""
        self.mailbox.schedule(max(0.0, seconds * RUSH_AT), Rush())
        for child in self.siblings:
            if child.state is State.STOPPING:
                self._stop_one(child)

    def _rush(self) -> None:
        for child in reversed(tuple(self.siblings)):
            if child.state in {State.STARTING, State.RUNNING}:
                self._stop_one(child)

    def _sweep(self) -> None:
        for child in self.siblings:
            if child.lifeline is not None:
                child.lifeline.bury()
        for stray in tuple(self._strays):
            stray.bury()
        self.mailbox.schedule(SWEEP_EVERY, Sweep())

    def _mend(self, child: Child) -> None:
        """After a crash in the middle of anything: do not wait for a word that was lost with it."""
        if child.up and (child.lifeline is None or child.lifeline.thread is None or child.lifeline.ended):
            child.lifeline = None
            child.become(State.STOPPED, "lost in its supervisor's crash")
            self.siblings.after_down(child)

    def _want(self, child: Child) -> None:
        needed = [self.siblings[name] for name in self.siblings.needed_by([child.id])]
        for other in needed:
            if not other.up and not other.serves:
                other.attempts = 0
                other.resting = False
                other.cancel_timer()
                other.become(State.STOPPED, "about to start")
            if not other.finished or other is child:
                other.wanted = True
            self._lost.pop(other.id, None)
        self._reconcile(needed)

    def _unwant(self, child: Child) -> None:
        self.siblings.unwant(child)
        if child.resting:
            child.resting = False
            child.cancel_timer()
            child.become(State.STOPPED, f"not tried again after: {child.record.details}")

    def _fellows(self, name: str) -> list[Child]:
        self.siblings[name]  # raises ChildUnknown
        return [self.siblings[fellow] for fellow in self.siblings.fellows(name)]

    def _living(self, lifeline: Lifeline) -> Child | None:
        """The child whose present life this is; None for notices from an earlier one."""
        child = self.siblings.find(lifeline.name)
        return child if child is not None and child.lifeline is lifeline else None

    def _refuse_when_stopping(self) -> None:
        if self._phase in {Phase.STOPPING, Phase.DONE}:
            raise SupervisorStopping(self.lifeline.name)


def _still_up(actor: object) -> list[str]:
    """What runs on below an abandoned supervisor."""
    lives = actor.lives() if isinstance(actor, Supervisor) else []
    return [name for name, lifeline in lives if lifeline.is_running() and not lifeline.ended]


class Notices:
    """Listens to the children and tells their supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._inbox = supervisor.mailbox
        self.emit = supervisor.emit

    def ready(self, lifeline: Lifeline) -> None:
        """Told upwards."""
        self._inbox.put(Envelope(ChildReady(lifeline)))

    def ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        """Told upwards."""
        self._inbox.put(Envelope(ChildEnded(lifeline, error)))
