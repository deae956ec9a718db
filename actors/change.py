"""Changing an application that is loaded, and may be running.

Knows: who may change it at a time, and what a version is made of. Must not know: how services are exchanged
(transition.py).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from attrs import define

from ..registry import Change, Create, Delete, Registry, Update, Version, changed, differences
from ..security import current_context
from .errors import (
    ChangeFailed,
    ChangeFromHandler,
    ChangeInProgress,
    ChangeOutdated,
    ChangeWouldLose,
    NotRunning,
)
from .events import ApplicationChanged
from .handle import HandlerContext
from .lifecycle import ServiceConfig
from .supervision import Supervision
from .supervision.errors import SupervisorStopping
from .topology import Topology
from .transition import Transition, losses_of

if TYPE_CHECKING:
    from .runtime import Runtime


@define
class Seat:
    """What a runtime stands for at this moment. Whoever reads it sees the old application or the new one, never a mix.

    Attributes:
        topology: the application.
        supervision: its tree; None while it does not run.
    """

    topology: Topology
    supervision: Supervision | None = None


class Changing:
    """Changes the application of one runtime. Thread-safe: one change at a time.

    Args:
        runtime: its `guard`, `bus` and `history` are used.
        seat: where what it runs is exchanged.
    """

    def __init__(self, runtime: "Runtime", seat: Seat) -> None:
        self._runtime = runtime
        self._seat = seat
        self._lock = threading.Lock()

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """Let no change begin meanwhile; one that goes on is waited for."""
        with self._lock:
            yield

    def apply(self, changes: Iterable[Change], timeout: float | None, since: int | None) -> Version:
        """Make the next version. See `Runtime.apply`."""
        wanted = tuple(changes)
        with self._alone():
            current = self._runtime.history.current.number
            if since is not None and since != current:
                raise ChangeOutdated(since, current)
            registry = self._seat.topology.registry.apply(wanted)
            return self._change_to(registry, timeout, lambda: self._runtime.history.add(registry, wanted))

    def go_to(self, number: int, timeout: float | None) -> Version:
        """Make a version that there was the current one. See `Runtime.apply_version`."""
        with self._alone():
            registry = self._runtime.history[number].registry
            return self._change_to(registry, timeout, lambda: self._runtime.history.go_to(number))

    def reload(self, read: Callable[[], Registry], timeout: float | None) -> Version:
        """Make what is declared elsewhere the next version, if it is another one. See `Runtime.reload`."""
        with self._alone():
            before, registry = self._seat.topology.registry, read()
            changes = differences(before, registry)
            if not changes and not changed(before, registry):
                return self._runtime.history.current
            return self._change_to(registry, timeout, lambda: self._runtime.history.add(registry, changes))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Nobody waits: what goes on may be waiting for the very handler that asks.
        if not self._lock.acquire(blocking=False):
            raise ChangeInProgress
        try:
            yield
        finally:
            self._lock.release()

    def _change_to(self, registry: Registry, timeout: float | None, record: Callable[[], Version]) -> Version:
        old = self._seat.topology
        new = old.changed(registry)
        self._refuse_own_restart(new)
        failure: ChangeFailed | None = None
        try:
            self._carry_out(old, new, timeout)
        except ChangeFailed as error:
            failure = error
            if error.is_undone:
                new.close(old)
                raise
        except BaseException:
            new.close(old)
            raise
        version = record()
        old.close(new)
        self._runtime.bus.emit(_told(version, old, new))
        if failure is not None:
            raise failure
        return version

    def _refuse_own_restart(self, new: Topology) -> None:
        context = current_context()
        if not isinstance(context, HandlerContext) or context.runtime is not self._runtime:
            return
        if context.binding is not None and context.binding.consumer in new.affected:
            raise ChangeFromHandler(str(context.binding.consumer))

    def _carry_out(self, old: Topology, new: Topology, timeout: float | None) -> None:
        supervision, install = self._seat.supervision, partial(setattr, self._seat, "topology")
        if supervision is None:
            losses = losses_of(old, new)
            if losses:
                for queue in old.queues.values():
                    queue.reinstate()
                raise ChangeWouldLose(losses)
            new.take_over()
            install(new)
            return
        new.load_functions()
        children = new.affected_children(self._runtime)
        try:
            Transition(supervision, old, new, children=children, install=install).run(timeout)
        except SupervisorStopping as error:
            if self._seat.supervision is None:
                old.close()  # who stopped it has closed the one that was installed then
            raise NotRunning(is_stopping=True) from error


def _told(version: Version, old: Topology, new: Topology) -> ApplicationChanged:
    changes = differences(old.registry, new.registry)
    named = {change.id for change in changes}
    # What a file says is part of an entry, too, although the entry itself may say the same.
    updated = {change.id for change in changes if isinstance(change, Update)}
    updated |= changed(old.registry, new.registry) - named
    running = {id_ for id_ in new.affected if id_ in old.registry and id_ in new.registry}
    return ApplicationChanged(
        version=version.number,
        created=tuple(str(change.id) for change in changes if isinstance(change, Create)),
        updated=tuple(map(str, sorted(updated))),
        deleted=tuple(str(change.id) for change in changes if isinstance(change, Delete)),
        restarted=tuple(
            str(id_) for id_ in sorted(running) if isinstance(new.registry[id_].config, ServiceConfig)
        ),
    )
