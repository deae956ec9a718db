"""From one topology to the next while everything runs (spec, registry 5; docs/changes.md).

Knows: what is stopped and started, in which order, what would be lost on the way, and the way back. Must not know:
what a change says, how a service is started.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import takewhile

from .errors import ChangeFailed, ChangeWouldLose, DriverUnavailable
from .queue import Queue
from .supervision import ChildSpec, Supervision
from .supervision.errors import StopTimeout, SupervisionError, SupervisorStopping
from .supervision.restart import start_order
from .topology import Topology

# Beyond what the services may take, so that their supervisor is always the one who gives up on them.
MARGIN = 5.0
# How long a refused change waits for what ran before.
WAY_BACK = 10.0

Specs = Sequence[ChildSpec]


class Transition:
    """One change of a running application: all of it, or nothing.

    What is affected stops, dependents first, and starts again as it is to be. Everything else runs on.

    Args:
        supervision: the tree.
        old: what runs.
        new: what is to run, its functions loaded.
        children: the specifications of what is to start.
        install: makes a topology the one that everybody uses.
    """

    def __init__(
        self,
        supervision: Supervision,
        old: Topology,
        new: Topology,
        *,
        children: Iterable[ChildSpec],
        install: Callable[[Topology], None],
    ) -> None:
        self._supervision = supervision
        self._old = old
        self._new = new
        self._install = install
        self._coming = in_order(children)
        touched = {str(id_) for id_ in new.affected}
        self._leaving = tuple(spec for id_, spec in supervision.specs.items() if id_ in touched)
        self._replaced = tuple(queue for id_, queue in old.queues.items() if new.queues.get(id_) is not queue)

    def run(self, timeout: float | None) -> None:
        """Carry it out; return when what is required runs.

        Args:
            timeout: seconds to wait for what starts; None: as long as its restart policies keep trying.

        Raises:
            ChangeWouldLose: messages that exist nowhere else would be gone. What ran before runs again.
            ChangeFailed: something did not start. What ran before runs again, unless `.is_undone` is false.
            SupervisorStopping: the application is being stopped.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        # Nobody publishes to a queue before it is installed, and only consumers need what is installed.
        early = tuple(takewhile(lambda spec: not _is_consumer(spec), self._coming))
        try:
            self._stop()
            self._remove(self._leaving)
            self._add(early, deadline)
            self._enter()
            self._add(self._coming[len(early) :], deadline)
        except SupervisionError as error:
            raise self._undone(error) from error
        except BaseException:  # ChangeWouldLose, or a Ctrl-C while something is waited for
            self._come_back()
            raise

    def _stop(self) -> None:
        """Drivers last: they have to say what is still there."""
        drivers = {str(id_) for id_ in self._old.drivers}
        self._stop_all([spec for spec in self._leaving if spec.id not in drivers])
        losses = losses_of(self._old, self._new)
        if losses:
            raise ChangeWouldLose(losses)
        self._stop_all([spec for spec in self._leaving if spec.id in drivers])

    def _stop_all(self, specs: Specs) -> None:
        patience = sum(spec.stop_timeout for spec in specs) + MARGIN
        # Consumers are told first: a queue stays open for the handlers of those that have been told and still run.
        specs = sorted(specs, key=_is_consumer, reverse=True)
        # What does not stop is let go of by its supervisor, which tells so; its messages are back in their queue.
        with suppress(StopTimeout):
            self._supervision.stop_children([spec.id for spec in specs], patience)

    def _remove(self, specs: Specs) -> None:
        for spec in reversed(specs):
            self._supervision.remove_child(spec.id)

    def _add(self, specs: Specs, deadline: float | None) -> None:
        for spec in specs:
            self._supervision.add_child(spec)
        awaited = [spec.id for spec in specs if spec.auto_start and spec.required]
        self._supervision.wait_running(
            awaited, None if deadline is None else max(0.0, deadline - time.monotonic())
        )

    def _enter(self) -> None:
        self._new.take_over()
        self._install(self._new)
        for queue in self._replaced:
            queue.retire()

    def _undone(self, error: SupervisionError) -> Exception:
        """Go back, and say how it ended. Where that would lose what was published meanwhile, stay."""
        if isinstance(error, SupervisorStopping):
            self._come_back()
            return error
        with suppress(SupervisorStopping):
            self._stop_all(self._of(self._coming))
        if losses_of(self._new, self._old):
            for queue in self._new.queues.values():
                queue.reinstate()
            self._restart(self._coming)
            return ChangeFailed(error, is_undone=False)
        self._come_back()
        return ChangeFailed(error)

    def _come_back(self) -> None:
        """What ran before runs again, as far as it can: what it lacks now is its supervisor's matter."""
        self._old.take_over()
        self._install(self._old)
        for queue in self._new.queues.values():
            if self._old.queues.get(str(queue.id)) is not queue:
                queue.retire()
        for queue in self._replaced:
            queue.reinstate()
        self._restart(self._leaving)

    def _restart(self, specs: Specs) -> None:
        with suppress(SupervisionError):
            there = self._of((*self._leaving, *self._coming))
            self._stop_all(there)
            self._remove(there)
            self._add(specs, time.monotonic() + WAY_BACK)

    def _of(self, specs: Specs) -> Specs:
        """Those of them that the supervisor has now."""
        there = self._supervision.specs
        return [spec for spec in specs if there.get(spec.id) is spec]


def in_order(specs: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """In start order, consumers as late as can be."""
    by_id = {spec.id: spec for spec in sorted(specs, key=_is_consumer)}
    requires = {
        id_: tuple(needed for needed in spec.requires if needed in by_id) for id_, spec in by_id.items()
    }
    return tuple(by_id[id_] for id_ in start_order(requires))


def _is_consumer(spec: ChildSpec) -> bool:
    return spec.kind == "queue.consumer"


def losses_of(before: Topology, after: Topology) -> dict[str, int | None]:
    """How many messages are in this process only, in queues that one topology has and another one has not.

    None: nobody can tell. The queues have to be closed; whoever stores something there from now on is told that it is
    not accepted.
    """
    held = {str(queue.id): _count(queue) for queue in before.queues.values() if _is_dropped(queue, after)}
    return {id_: count for id_, count in held.items() if count != 0}


def _is_dropped(queue: Queue, after: Topology) -> bool:
    successor = after.queues.get(str(queue.id))
    if queue.driver.features.durable or not queue.is_declared:
        return False
    return successor is None or successor.driver is not queue.driver or successor.name != queue.name


def _count(queue: Queue) -> int | None:
    queue.condemn()
    try:
        return queue.info().message_count
    except DriverUnavailable:
        return None
