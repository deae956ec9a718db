"""Supervisor: an actor that starts, watches, restarts and stops its children.

Knows: what may be asked of a supervisor, and what follows from a child's end. Does not know: how children
are started and stopped (keeper.py) or who shares whose fate (siblings.py, restart.py). A stop or a
question is answered at once, whatever a child does.
"""

from __future__ import annotations

from typing import Any, Final

import pykka

from .child import Child, ChildSpec, Node, State
from .errors import (
    ChildDuplicate,
    ChildNeeded,
    ChildStuck,
    ChildUnknown,
    DependencyUnknown,
    EndedUnexpectedly,
    SupervisorGaveUp,
    SupervisorStopping,
    describe,
    is_terminal,
)
from .events import ChildFailed, ChildGaveUp, ChildStopped, SupervisorFailed
from .keeper import Keeper, Phase
from .messages import (
    NOTICES,
    REQUESTS,
    AddChild,
    BackoffOver,
    RemoveChild,
    RestartChild,
    StartChild,
    StopChild,
)
from .restart import NEVER_RAN, Restart, attempts_after

REFUSALS: Final = (ChildUnknown, ChildDuplicate, ChildNeeded, DependencyUnknown, SupervisorStopping)

CRASHES_BORNE: Final = 10
"""How often a crashing supervisor tries to stop its children in order before it lets go of them."""


class Supervisor(Keeper):
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

    def on_child_ended(self, child_id: str, actor: pykka.Actor, error: BaseException | None) -> None:
        """A child is over, for whatever reason (None: a normal end); its restart is not yet decided.

        `error` is a `ChildStuck` or a `ChildStartTimeout` where the thread was abandoned and may still run.
        """

    def snapshot(self) -> list[Node]:
        """The children and what is below them, as plain data. Thread-safe; asks nobody, so never blocks."""
        return [child.node() for child in self.siblings]

    def ref(self, child_id: str) -> pykka.ActorRef[Any] | None:
        """The reference of the child's present life, None when it is down. Thread-safe."""
        child = self.siblings[child_id]
        lifeline = child.record.lifeline
        return lifeline.actor.actor_ref if lifeline is not None and lifeline.actor is not None else None

    def add_child(self, spec: ChildSpec) -> None:
        """Take in a child. Raises `ChildDuplicate`, `DependencyUnknown`, `SupervisorStopping`."""
        self._refuse_when_stopping()
        child = self.siblings.add(spec)
        if child.wish and self._phase is not Phase.NEW:
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
            child.wish = False
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

    def survives(self, error: BaseException) -> bool:
        """A supervisor that crashes stops its children before it ends with the error."""
        begun = self.lifeline.current
        if isinstance(error, REFUSALS) and type(begun) in REQUESTS:
            return True  # a request that was told, not asked: nobody waits for the refusal
        self._crashes += 1
        if self._phase is Phase.DONE or self._crashes > CRASHES_BORNE:
            return False
        self.lifeline.fail(error)
        self._mend()
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

    def _over(self, child: Child, error: BaseException | None) -> None:
        """A child's life is over, for us at least."""
        child.cancel_timer()
        lifeline, child.lifeline = child.lifeline, None
        if lifeline is not None:
            self._departures.leave(child, lifeline)
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
        if not child.wanted:
            touched += self.siblings.release(child)
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

    def _want(self, child: Child) -> None:
        needed = [self.siblings[name] for name in self.siblings.needed_by([child.id])]
        for other in needed:
            if not other.up and not other.serves:
                other.attempts = 0
                other.resting = False
                other.cancel_timer()
                other.become(State.STOPPED, "about to start")
            other.wish = True
            if not other.finished or other is child:
                other.wanted = True
            self._lost.pop(other.id, None)
        self._reconcile(needed)

    def _fellows(self, name: str) -> list[Child]:
        self.siblings[name]  # raises ChildUnknown
        return [self.siblings[fellow] for fellow in self.siblings.fellows(name)]

    def _refuse_when_stopping(self) -> None:
        if self._phase in {Phase.STOPPING, Phase.DONE}:
            raise SupervisorStopping(self.lifeline.name)
