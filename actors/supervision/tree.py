"""Supervision: a running tree, and the handle on it for whoever started it.

Knows: one root supervisor. Does not know: other trees, queues. Threads outside the tree use the handle,
and may wait here; inside the tree nobody does.
"""

from __future__ import annotations

import random as standard_random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import pykka

from ...registry import Bus, Event
from .asking import is_answered
from .bells import LOOK_EVERY, Bells
from .child import Child, ChildSpec, Node, Record, State
from .errors import (
    ChildStuck,
    StartFailed,
    StartTimeout,
    StopTimeout,
    SupervisorGaveUp,
    SupervisorStopping,
)
from .events import SupervisorFailed, log_event
from .last_out import (
    Root,
    await_orphans,
    hurry_orphans,
    is_gone,
    lives_of,
    look_after_orphans,
    orphans_of,
)
from .mailbox import Clock
from .messages import AddChild, RemoveChild, RestartChild, StartChild, StopChild
from .restart import Intensity, Random, RestartWindow, Strategy, needed_by
from .supervised import Lifeline
from .supervisor import Supervisor

ROOT_INTENSITY: Final = Intensity(restarts=100, seconds=10)
"""How often a root that was killed is replaced: there is nobody above it to do it."""

DECIDED: Final = (SupervisorGaveUp, StartFailed)
"""Ends that a supervisor chose: no successor would do better."""

DONE: Final = frozenset({State.RUNNING, State.EXITED})
"""What whoever waits for a start waits for."""


class Supervision:
    """A tree that runs, seen from outside. All methods are thread-safe; times in seconds.

    A context manager: entering waits until the tree is up, leaving stops it. Should the root supervisor
    itself be killed, its children stop and a new root starts them again, as they are by then: with what was added,
    without what was removed or stopped. It also carries out a request that the former one left undone. `create` returns a new root for such children.
    """

    def __init__(
        self,
        create: Callable[[Iterable[ChildSpec]], Supervisor],
        children: Iterable[ChildSpec] = (),
        *,
        name: str = "supervisor",
        bus: Bus | None = None,
    ) -> None:
        self.name = name
        self.emit: Callable[[Event], None] = bus.emit if bus is not None else log_event
        self.error: BaseException | None = None
        """Why the tree ended; None while it runs and after a clean stop."""
        self._create = create
        self._lock = threading.RLock()
        self._bells = Bells(lambda: self._root.siblings, self._look)
        self._started = False
        self._stopping = False
        self._ended = False
        self._crashes = RestartWindow(ROOT_INTENSITY)
        self._former: tuple[Root, ...] = ()
        self._since = time.time()
        root = create(children)
        self._root, self._life = root, Lifeline(name, lambda: root, self)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"watcher of {name}", daemon=True)
        self._life.start()
        self._watcher.start()

    def _watch(self) -> None:
        """See whether somebody has died without a word whom no supervisor looks after: the root, an orphan."""
        while not self._over.wait(LOOK_EVERY):
            self._look()
            look_after_orphans(self._roots())

    def _look(self) -> None:
        """Nobody above the root sees whether it died without a word."""
        self._life.bury()

    def __enter__(self) -> Self:
        try:
            self.wait_started()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def root(self) -> Supervisor:
        """The present root supervisor."""
        self._look()
        return self._root

    @property
    def started(self) -> bool:
        """Whether the tree has been up; it may have ended since."""
        return self._started

    @property
    def specs(self) -> dict[str, ChildSpec]:
        """What the children of the root are made by, in an order in which they could be added."""
        return {child.id: child.spec for child in self._root.siblings if not child.forgotten}

    @property
    def failures(self) -> dict[str, BaseException]:
        """The children that gave up, by path (`child` or `child/grandchild`), and each one's last error."""
        return {
            path: child.record.error
            for path, child in _walk(self._root)
            if child.record.gave_up and child.record.error is not None
        }

    def snapshot(self) -> Node:
        """The whole tree as plain data. Asks nobody, so it never waits, whatever is stuck."""
        return Node(
            id=self.name,
            kind="supervisor",
            state=self._state().value,
            details="" if self.error is None else str(self.error),
            restarts=len(self._former),
            since=self._since,
            stuck=[],
            figures={},
            children=self.root.snapshot(),
        )

    def ref(self, *path: str) -> pykka.ActorRef[Any] | None:
        """The present life of a child (`ref("child")`) or of one below it (`ref("child", "grandchild")`).

        None while it is down. It is another one after each restart. Raises `ChildUnknown`.
        """
        supervisor = self.root
        for name in path[:-1]:
            lifeline = supervisor.siblings[name].record.lifeline
            if lifeline is None or not isinstance(lifeline.actor, Supervisor):
                return None
            supervisor = lifeline.actor
        return supervisor.ref(path[-1])

    def wait_started(self, timeout: float | None = 30.0) -> None:
        """Wait until every child that is required and has `auto_start` runs; None: as long as it takes.

        Raises `StartFailed`, which names all that could not be started and why; `StartTimeout` when the
        time is up (the tree goes on trying).
        """
        if not self._bells.wait(lambda: self._started or self._ended, timeout):
            raise StartTimeout(timeout or 0.0, self._not_running())
        if self._started:
            return
        if self.error is None:
            raise SupervisorStopping(self.name)
        if isinstance(self.error, StartFailed):
            raise self.error
        raise StartFailed(self.name, {self.name: self.error}) from self.error

    def start_child(self, child_id: str, timeout: float = 10.0) -> None:
        """Start a child of the root and what it requires; wait until it runs.

        Raises `StartFailed`, `StartTimeout`, `ChildUnknown`, `SupervisorStopping`.
        """
        self._ask(StartChild(child_id), timeout)
        self._wait_running(child_id, lambda _: True, timeout)

    def restart_child(self, child_id: str, timeout: float = 10.0) -> None:
        """Stop a child of the root and what requires it; wait until a new life of it runs. As `start_child`."""
        before = self._root.siblings[child_id].record
        self._ask(RestartChild(child_id), timeout)
        self._wait_running(child_id, lambda record: _is_another_life(record, before), timeout)

    def stop_child(self, child_id: str, timeout: float = 10.0) -> None:
        """Stop a child of the root and what requires it; wait until it is down.

        Raises `StopTimeout`, `ChildUnknown`, `SupervisorStopping`.
        """
        self.stop_children([child_id], timeout)

    def stop_children(self, child_ids: Iterable[str], timeout: float = 10.0) -> None:
        """Stop some children of the root and what requires them, dependents first; wait until they are down.

        Raises `StopTimeout`, which names those that did not stop; `ChildUnknown`, `SupervisorStopping`.
        """
        names = [self._root.siblings[child_id].id for child_id in child_ids]
        for name in names:
            self._ask(StopChild(name), timeout)
        self._bells.wait(lambda: not any(map(self._lives_on, names)), timeout, names)
        left = [name for name in names if self._lives_on(name) or self._is_stuck(name)]
        if left:
            raise StopTimeout(timeout, left)

    def _lives_on(self, name: str) -> bool:
        """Whether a child of the root is up, or one of a root that was killed still runs."""
        child = self._root.siblings.find(name)
        orphans = orphans_of(self._roots())
        return (child is not None and child.up) or any(
            orphan.name == name and orphan.is_running() for orphan in orphans
        )

    def _is_stuck(self, name: str) -> bool:
        child = self._root.siblings.find(name)
        return child is not None and isinstance(child.record.error, ChildStuck)

    def add_child(self, spec: ChildSpec, timeout: float = 10.0) -> None:
        """Let the root take in a child. Raises `ChildDuplicate`, `DependencyUnknown`, `SupervisorStopping`."""
        self._ask(AddChild(spec), timeout, lambda: self.specs.get(spec.id) is spec)

    def wait_running(self, child_ids: Iterable[str], timeout: float | None = 10.0) -> None:
        """Wait until these children of the root, and what they require, run or have ended well; None: for ever.

        Raises `StartFailed`, which names all that gave up and why; `StartTimeout`, `ChildUnknown`.
        """
        requires = {name: spec.requires for name, spec in self.specs.items()}
        names = needed_by(child_ids, requires)
        records: dict[str, Record] = {}

        def settled() -> bool:
            records.update((name, self._root.siblings[name].record) for name in names)
            if any(record.gave_up for record in records.values()):
                # So that all that is wrong is told at once; what requires it will never start.
                return not any(record.state is State.STARTING for record in records.values())
            return self._ended or all(record.state in DONE for record in records.values())

        if not self._bells.wait(settled, timeout, names):
            raise StartTimeout(timeout or 0.0, self._not_running())
        lost = {name: record.error for name, record in records.items() if record.error is not None}
        if lost:
            raise StartFailed(self.name, lost)
        if self._ended:
            raise SupervisorStopping(self.name)

    def remove_child(self, child_id: str, timeout: float = 10.0) -> None:
        """Let the root stop and forget a child. Raises `ChildUnknown`, `ChildNeeded`, `SupervisorStopping`."""
        self._ask(RemoveChild(child_id), timeout, lambda: child_id not in self.specs)

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the tree, dependents first. Afterwards no thread of it is left.

        Raises `StopTimeout`, which names what did not stop; everything else has stopped. Called again, it
        waits for what was left; called while another stop waits, the shorter time counts for both.
        """
        end = time.monotonic() + timeout
        with self._lock:
            self._stopping = True
            root, life, again = self._root, self._life, self._ended
        # A little less than we wait, so that the root can still tell what did not stop.
        deadline = root.mailbox.clock() + timeout - min(0.25, timeout / 10)
        life.request_stop(deadline)
        hurry_orphans(self._roots(), deadline)
        self._bells.wait(lambda: self._ended, timeout)
        if self._ended:
            self._watcher.join()
        await_orphans(self._roots(), end)
        lives = lives_of(self._roots(), self.name)
        left = [name for name, lifeline in lives if not is_gone(lifeline, end, wait=again)]
        if left:
            raise StopTimeout(timeout, left)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the tree has ended, by `stop` or by itself; whether it has. See `error`."""
        return self._bells.wait(lambda: self._ended, timeout)

    def ready(self, lifeline: Lifeline) -> None:
        """Called by the root: the tree is up."""
        del lifeline
        self._started = True
        self._since = time.time()
        self._bells.ring()

    def ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        """Called by the root: the tree is down, or the root was killed and gets a successor.

        Each step can be done again: who kills roots may also kill one that is saying this.
        """
        with self._lock:
            if lifeline is self._life and not self._ended:
                if error is not None and self._was_killed(error):
                    self.emit(SupervisorFailed(self.name, error))
                    self._succeed()
                else:
                    self._end(error)
            if lifeline is not self._life and self._life.thread is None:
                self._life.start()
        self._bells.ring()

    def _succeed(self) -> None:
        """Put a new root in the place of one that was killed."""
        try:
            root = self._create(self.specs.values())
            root.succeed(self._root)
        except Exception as another:
            self._end(another)
            return
        self._former = (*self._former, (self._root, self._life))
        self._root, self._life = root, Lifeline(self.name, lambda: root, self)

    def _end(self, error: BaseException | None) -> None:
        self.error = error
        self._since = time.time()
        self._ended = True
        self._over.set()

    def _was_killed(self, error: BaseException) -> bool:
        """Whether the root ended by something that no supervisor ever decides."""
        if self._stopping or not self._started or isinstance(error, DECIDED):
            return False
        self._crashes = self._crashes.record(time.monotonic())
        return not self._crashes.exhausted

    def _state(self) -> State:
        if self._ended:
            return State.STOPPED if self.error is None else State.FAILED
        if self._stopping:
            return State.STOPPING
        return State.RUNNING if self._started else State.STARTING

    def _ask(self, request: Any, timeout: float, is_done: Callable[[], bool] = bool) -> None:
        """Ask the root; where it is killed meanwhile, ask its successor, unless it `is_done` by then."""
        end = time.monotonic() + timeout
        root, life = self._present()
        try:
            while not is_answered(root.actor_ref, life, request, end):
                if not self._bells.wait(partial(self._is_over, life), end - time.monotonic()):
                    raise StartTimeout(timeout, {})
                if self._ended or self._stopping:
                    raise SupervisorStopping(self.name)
                if is_done():
                    return
                root, life = self._present()
        except pykka.Timeout as error:
            raise StartTimeout(timeout, {}) from error

    def _present(self) -> Root:
        with self._lock:
            return self._root, self._life

    def _is_over(self, life: Lifeline) -> bool:
        """Whether a root's time is over: it has a successor, or there will be none."""
        return self._life is not life or self._ended or self._stopping

    def _wait_running(self, child_id: str, holds: Callable[[Record], bool], timeout: float) -> None:
        record = Record()

        def settled() -> bool:
            nonlocal record
            record = self._root.siblings[child_id].record
            return self._ended or record.gave_up or (holds(record) and record.state in DONE)

        if not self._bells.wait(settled, timeout, [child_id]):
            raise StartTimeout(timeout, {child_id: f"{record.state} ({record.details})"})
        if record.error is not None:
            raise StartFailed(self.name, {child_id: record.error}) from record.error
        if self._ended:
            raise SupervisorStopping(self.name)

    def _not_running(self) -> dict[str, str]:
        return {
            path: f"{child.state} ({child.record.details})" if child.record.details else child.state.value
            for path, child in _walk(self._root)
            if child.wanted and child.state is not State.RUNNING
        }

    def _roots(self) -> tuple[Root, ...]:
        """Every root there was, the present one last."""
        return (*self._former, (self._root, self._life))


def supervise(  # noqa: PLR0913 - the last two are for tests
    children: Iterable[ChildSpec],
    *,
    strategy: Strategy | str = Strategy.ONE_FOR_ONE,
    intensity: Intensity | None = None,
    bus: Bus | None = None,
    name: str = "supervisor",
    clock: Clock = time.monotonic,
    random: Random = standard_random.random,
) -> Supervision:
    """Start children under a root supervisor; returns at once, see `Supervision.wait_started`.

        with supervise([ChildSpec("sensor", Sensor), ChildSpec("filter", Filter, requires=["sensor"])]) as tree:
            tree.ref("filter").tell("hello")

    Events go to `bus`, or to the logger `noria.supervision`. Raises `ChildDuplicate`, `DependencyUnknown`,
    `DependencyCycle`.
    """

    def create(specs: Iterable[ChildSpec]) -> Supervisor:
        return Supervisor(specs, strategy=strategy, intensity=intensity, bus=bus, clock=clock, random=random)

    return Supervision(create, children, name=name, bus=bus)


def _is_another_life(record: Record, before: Record) -> bool:
    return (record.lifeline, record.restarts) != (before.lifeline, before.restarts)


def _walk(supervisor: Supervisor, prefix: str = "") -> Iterator[tuple[str, Child]]:
    for child in supervisor.siblings:
        yield f"{prefix}{child.id}", child
        lifeline = child.record.lifeline
        if lifeline is not None and isinstance(lifeline.actor, Supervisor):
            yield from _walk(lifeline.actor, f"{prefix}{child.id}/")
