"""A child of a supervisor: what is asked for, and what has become of it.

Knows: the specification, the state, the record that anybody may read. Does not know: siblings or rules.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypedDict

import attrs
import pykka

from .errors import describe
from .mailbox import Timer
from .restart import Backoff, Restart
from .supervised import Lifeline


class State(StrEnum):
    """Where a child stands (spec, supervisor, section 3)."""

    UNKNOWN = "unknown"
    """Never started yet."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"

    STOPPED = "stopped"
    """It ended because it was asked to."""

    FAILED = "failed"
    """It failed; the details say when it is tried again, or that nothing more is tried."""

    EXITED = "exited"
    """It ended by itself and is not restarted: its work is done, or its error is terminal."""


UP: Final = frozenset({State.STARTING, State.RUNNING, State.STOPPING})


def _as_tuple(items: Iterable[Any]) -> tuple[Any, ...]:
    # Not `tuple` itself: as a converter it hides from type checkers what it takes.
    return tuple(items)


@attrs.frozen(kw_only=True)
class ChildSpec:
    """What a supervisor starts and how it keeps it running. Times in seconds.

    `actor` is a pykka actor class, or a function that returns an actor which has not been started; it is
    called with `args` and `kwargs` anew for every start, in the child's own thread.
    """

    id: str = attrs.field(kw_only=False, validator=attrs.validators.min_len(1))
    actor: Callable[..., pykka.Actor] = attrs.field(kw_only=False, validator=attrs.validators.is_callable())
    args: tuple[Any, ...] = attrs.field(default=(), converter=_as_tuple, repr=False)
    kwargs: Mapping[str, Any] = attrs.field(factory=dict, converter=dict, repr=False)
    kind: str = ""
    """Shown, and what `outlives` names."""
    restart: Restart = attrs.field(default=Restart.PERMANENT, converter=Restart)
    backoff: Backoff = attrs.field(factory=Backoff)
    stable_threshold: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    """After a run this long, a failure counts as the first one again."""
    start_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    stop_timeout: float = attrs.field(default=10.0, validator=attrs.validators.ge(0))
    requires: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple)
    """Siblings that must run before this one starts, and that stop after it has stopped."""
    outlives: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple)
    """Kinds of siblings that stop before this one where both are to stop; for starting and failing it means nothing."""
    required: bool = True
    """Whether the supervisor's own start fails when this child cannot start."""
    auto_start: bool = True
    """Whether it starts with the supervisor; otherwise on request, or when a sibling requires it."""

    def create(self) -> pykka.ThreadingActor:
        """A new, unstarted actor (what it really is, is checked at adoption)."""
        return self.actor(*self.args, **self.kwargs)  # type: ignore[return-value]


class Node(TypedDict):
    """One child in a snapshot: plain data."""

    id: str
    kind: str
    state: str
    details: str
    restarts: int
    since: float
    """When the state began, in Unix seconds."""
    stuck: list[str]
    """Threads of earlier lives that were abandoned and still run."""
    figures: dict[str, Any]
    children: list[Node]


@attrs.frozen
class Record:
    """What is known about a child at one moment. Replaced, never changed: any thread may read it."""

    state: State = State.UNKNOWN
    details: str = ""
    since: float = attrs.field(factory=time.time)
    restarts: int = 0
    error: BaseException | None = None
    gave_up: bool = False
    lifeline: Lifeline | None = None


@attrs.define(eq=False)
class Child:
    """A supervisor's bookkeeping for one child. Only `record`, `strays` and `watchers` are for other threads."""

    spec: ChildSpec
    record: Record = attrs.field(factory=Record)
    wish: bool = attrs.field(default=attrs.Factory(lambda child: child.spec.auto_start, takes_self=True))
    """Whether it starts with its supervisor: as its spec says, until somebody asks for something else."""
    wanted: bool = False
    """It shall run as soon as it may."""
    must_stop: bool = False
    """The present life has to end, on request or because a sibling failed."""
    resting: bool = False
    """It waits for its backoff to be over."""
    forgotten: bool = False
    """It shall be removed when it is down."""
    waits_for: set[str] = attrs.field(factory=set)
    """Siblings whose restart comes first."""
    clears: set[str] = attrs.field(factory=set)
    """Siblings that must be down before it is restarted."""
    attempts: int = 0
    """Failures in a row."""
    starts: int = 0
    began: float = math.nan
    lifeline: Lifeline | None = None
    timer: Timer | None = None
    """For the start, the stop or the backoff: there is never more than one to wait for."""
    strays: tuple[Lifeline, ...] = ()
    watchers: tuple[queue.SimpleQueue[None], ...] = ()

    @property
    def id(self) -> str:
        """The spec's."""
        return self.spec.id

    @property
    def state(self) -> State:
        """The record's."""
        return self.record.state

    @property
    def up(self) -> bool:
        """Whether there is a life to wait for."""
        return self.record.state in UP

    @property
    def serves(self) -> bool:
        """Whether those that require it may start: it runs and will, or its work is done."""
        if self.record.state is State.RUNNING:
            return not self.must_stop
        return self.finished and not self.wanted

    @property
    def finished(self) -> bool:
        """Whether it ended normally and for good."""
        return self.record.state is State.EXITED and self.record.error is None

    @property
    def lost(self) -> bool:
        """Whether it failed and is not tried again."""
        return not self.wanted and not self.up and self.record.error is not None

    def become(
        self, state: State, details: str = "", *, error: BaseException | None = None, gave_up: bool = False
    ) -> None:
        """Enter a state and let everybody see it."""
        restarts = max(0, self.starts - 1)
        self.record = Record(state, details, time.time(), restarts, error, gave_up, self.lifeline)
        for watcher in self.watchers:
            watcher.put(None)

    def cancel_timer(self) -> None:
        """Whatever was waited for, it is no longer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def node(self) -> Node:
        """The child and what is below it, as of now. From any thread, without asking anybody."""
        record = self.record
        actor = record.lifeline.actor if record.lifeline is not None else None
        below = getattr(actor, "snapshot", None)
        return Node(
            id=self.id,
            kind=self.spec.kind,
            state=record.state.value,
            details=record.details,
            restarts=record.restarts,
            since=record.since,
            stuck=[stray.name for stray in self.strays if stray.is_running()],
            figures=_figures(actor),
            children=below() if callable(below) else [],
        )


def _figures(actor: pykka.Actor | None) -> dict[str, Any]:
    """What the actor tells about itself, if it has the optional thread-safe method `figures`."""
    figures = getattr(actor, "figures", None)
    if not callable(figures):
        return {}
    try:
        return dict(figures())
    except Exception as error:
        return {"error": describe(error)}  # a snapshot shows what it can
