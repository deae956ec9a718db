"""A consumer: the supervisor of a queue's workers.

Knows: credit, the shared buffer, deadlines, the seed's four steps of stopping. Must not know: how a delivery is
handled (handle.py), how a driver stores it.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pykka
from attrs import define, frozen

from .delivery import Delivery
from .driver import Subscription
from .errors import HandlerTimeout, WorkersUnfinished
from .events import ConsumerDrained, WorkerStuck
from .handle import Binding, HandlerContext
from .outcome import Nack
from .pool import Buffer
from .supervision import Backoff, ChildSpec, Control, Restart, Supervisor
from .supervision.errors import ChildStuck
from .worker import Retire, Worker

WORKER_BACKOFF = Backoff(initial_delay=0.01, max_delay=1.0)
# A handler that has seen its cancellation gets this long to end before another worker takes its place.
GRACE = 1.0
# The part of a stop's time after which handlers are ended that can be; until then they may end by themselves.
CANCEL_TASKS_AT = 0.8
# How long a delivery may be in nobody's hands before it counts as lost with its worker.
ORPHAN_CHECK = 0.1


@frozen
class CheckDeadlines(Control):
    """To the consumer itself: some handler may have run out of time."""


@frozen
class CheckOrphans(Control):
    """To the consumer itself, after a worker failed: does each delivery still have somebody who settles it?"""

    suspects: frozenset[Delivery] = frozenset()


@frozen
class CancelTasks(Control):
    """To the consumer itself: async handlers that have not ended by now are made to."""


@frozen
class Forget(Control):
    """To the consumer itself: a retired worker has ended; another one has long taken its place."""

    child: str


@define
class Totals:
    """Figures of workers that are gone."""

    acked: int = 0
    failed: int = 0
    rejected: int = 0
    denied: int = 0

    def add(self, worker: Worker) -> None:
        """Take over what a worker counted."""
        self.acked += worker.handling.acked
        self.failed += worker.handling.failed
        self.rejected += worker.handling.rejected
        self.denied += worker.handling.denied

    @property
    def runs(self) -> int:
        """All endings."""
        return self.acked + self.failed + self.rejected + self.denied


@define
class Drain:
    """A stop that is under way."""

    since: float
    runs_before: int
    held: int
    returned: int


class Consumer(Supervisor):
    """Delivers a queue's messages to `concurrency` workers, holding no more than its credit at a time.

    The credit is `prefetch`, and at least one delivery for each worker.

    Args:
        binding: what every call has in common.
        concurrency: how many workers.
        prefetch: how many deliveries are held at once, buffered or being handled.
        stop_timeout: seconds for running handlers to end when it stops without a deadline from above.
    """

    def __init__(
        self, binding: Binding, *, concurrency: int, prefetch: int, stop_timeout: float = 10.0
    ) -> None:
        self._buffer = Buffer()
        self._binding = binding
        self._concurrency = concurrency
        self._credit = max(prefetch, concurrency)
        self._workers: dict[str, Worker] = {}
        self._worker_count = concurrency
        self._stop_timeout = stop_timeout
        self._gone = Totals()
        self._stuck: list[Worker] = []
        self._subscription: Subscription | None = None
        self._drain: Drain | None = None
        super().__init__([self._worker_spec(number) for number in range(1, concurrency + 1)], bus=binding.bus)

    def _worker_spec(self, number: int) -> ChildSpec:
        name = f"worker-{number}"
        return ChildSpec(
            id=name,
            actor=Worker,
            args=(name, self._buffer, self._binding, self._join),
            kind="worker",
            restart=Restart.TRANSIENT,
            backoff=WORKER_BACKOFF,
            stable_threshold=WORKER_BACKOFF.max_delay,
            stop_timeout=self._stop_timeout,
        )

    def _join(self, worker: Worker) -> None:
        self._workers[worker.name] = worker
        self._binding.handlings[worker.name] = worker.handling

    # ---- starting ------------------------------------------------------------------------------------

    def on_children_started(self) -> None:
        """Begin to take deliveries, if the principal may.

        Raises:
            AccessDenied: a policy names `queue.consume` for this queue, and none allows it (docs/security.md).
        """
        binding = self._binding
        self._authorise()
        self._subscription = binding.queue.subscribe(
            binding.consumer, credit=self._credit, deliver=self._buffer.put, options=binding.driver_options
        )
        if binding.timeout is not None:
            self.mailbox.schedule(binding.timeout, CheckDeadlines())

    def _authorise(self) -> None:
        binding, queue = self._binding, str(self._binding.queue.id)
        if binding.scope is not None and binding.scope.names("queue.consume", queue):
            binding.guard.require(binding.principal, binding.scope, "queue.consume", queue)

    # ---- running -------------------------------------------------------------------------------------

    def on_receive(self, message: Any) -> Any:
        """Watch deadlines and lost deliveries; the rest is a supervisor's work."""
        match message:
            case CheckDeadlines():
                self._check_deadlines()
            case CheckOrphans():
                self._check_orphans(message.suspects)
            case CancelTasks():
                for worker in tuple(self._workers.values()):
                    worker.handling.cancel_task()
            case Forget():
                self.remove_child(message.child)
            case _:
                return super().on_receive(message)
        return None

    def on_child_ended(self, child_id: str, actor: pykka.Actor | None, error: BaseException | None) -> None:
        """Keep the figures of a worker that is gone, and look for a delivery it took along."""
        del actor  # the worker joined under its ID
        worker = self._workers.pop(child_id, None)
        if worker is None:
            return
        if (
            self._binding.handlings.get(child_id) is worker.handling
        ):  # a successor of ours may have another one
            del self._binding.handlings[child_id]
        self._gone.add(worker)
        if isinstance(error, ChildStuck):
            self._stuck.append(worker)  # and it still has its delivery
            worker.handling.kill()
        elif error is not None:
            worker.give_back(error)
            self.mailbox.schedule(ORPHAN_CHECK, CheckOrphans())
        if worker.is_retired:
            self.mailbox.schedule(0, Forget(child_id))
        # A wake-up that was meant for it must not die with it.
        self._buffer.rouse()

    def _check_orphans(self, suspects: frozenset[Delivery]) -> None:
        """Return deliveries that twice in a row were neither buffered nor in a worker's hands.

        Also those that the lost worker had claimed: it did not live to settle them.
        """
        if self._subscription is None or self._drain is not None:
            return
        held = {*self._buffer.snapshot(), *(context.delivery for context in self._running())}
        lost = [delivery for delivery in self._subscription.unsettled() if delivery not in held]
        for delivery in lost:
            if delivery in suspects:
                delivery.claim()
                self._binding.queue.settle(delivery, Nack("its worker was lost"))
        if not suspects and lost:
            self.mailbox.schedule(ORPHAN_CHECK, CheckOrphans(frozenset(lost)))

    def _running(self) -> Iterator[HandlerContext]:
        for worker in tuple(self._workers.values()):
            context = worker.handling.current
            if context is not None:
                yield context

    def _check_deadlines(self) -> None:
        timeout = self._binding.timeout
        if timeout is None or self._drain is not None:
            return
        now = time.monotonic()
        next_check = timeout
        for worker in tuple(self._workers.values()):
            context = worker.handling.current
            if context is None or context.delivery is None or worker.is_retired:
                continue
            left = context.since + timeout - now
            if left > 0:
                next_check = min(next_check, left)
            else:
                next_check = min(next_check, GRACE)
                self._end_of_time(worker, context, -left)
        self.mailbox.schedule(next_check, CheckDeadlines())

    def _end_of_time(self, worker: Worker, context: HandlerContext, overdue: float) -> None:
        """Cancel and nack what is overdue; replace a worker whose handler does not care."""
        delivery, timeout = context.delivery, self._binding.timeout
        if delivery is None or timeout is None:
            return
        context.cancel()
        if delivery.claim():
            context.is_overdue = True
            self._binding.queue.settle(delivery, Nack(str(HandlerTimeout(timeout))))
        if overdue >= GRACE:
            self._replace(worker, delivery, timeout + overdue)

    def _replace(self, worker: Worker, delivery: Delivery, seconds: float) -> None:
        stuck = sum(each.is_retired for each in self._workers.values())
        if stuck >= self._concurrency:
            return  # As many again as were asked for: more threads would not help a handler that never ends.
        worker.is_retired = True
        self._binding.handlings.pop(worker.name, None)
        worker.actor_ref.tell(Retire())
        self._binding.bus.emit(
            WorkerStuck(
                consumer=str(self._binding.consumer),
                worker=worker.name,
                function=str(self._binding.function.id),
                message=delivery.message.id,
                seconds=round(seconds, 3),
            )
        )
        self._worker_count += 1
        self.add_child(self._worker_spec(self._worker_count))

    # ---- stopping: the seed's four steps ---------------------------------------------------------------

    def on_stop_requested(self, deadline: float | None) -> None:
        """Stop taking deliveries, let handlers see it, wait for those that run, report the rest."""
        if self._drain is None:
            self._drain = Drain(since=time.monotonic(), runs_before=self._totals().runs, held=0, returned=0)
            self._take_no_more(self._drain)
            if deadline is None or not self._binding.function.ends_when_cancelled:
                for context in self._running():
                    context.cancel()
            if deadline is not None:
                left = max(0.0, deadline - self.mailbox.clock())
                self.mailbox.schedule(left * CANCEL_TASKS_AT, CancelTasks())
        super().on_stop_requested(deadline)

    def _take_no_more(self, drain: Drain) -> None:
        if self._subscription is None:
            return
        self._subscription.pause()
        unseen = [delivery for delivery in self._buffer.drain() if delivery.claim()]
        self._subscription.release(unseen)
        drain.returned = len(unseen)
        drain.held = len(self._subscription.unsettled())

    def on_children_stopped(self, unfinished: Sequence[str]) -> None:
        """Give back what nobody finished, and say what became of everything.

        Raises:
            WorkersUnfinished: some handlers did not end in time.
        """
        hanging = [
            context.delivery
            for context in [worker.handling.current for worker in self._stuck]
            if context is not None and context.delivery is not None
        ]
        # Two workers may hang on one message: its time was up, so it was delivered again.
        abandoned = tuple(dict.fromkeys(delivery.message.id for delivery in hanging))
        self._report(abandoned, tuple(unfinished), left=self._give_back(hanging))
        if unfinished:
            raise WorkersUnfinished(str(self._binding.consumer), unfinished, abandoned)

    def _give_back(self, hanging: Sequence[Delivery]) -> int:
        """Return everything to the queue; how many of those that handlers still work on nobody had settled."""
        if self._subscription is None:
            return 0
        self._subscription.flush(1.0)
        unsettled = self._subscription.unsettled()
        self._subscription.close()
        return sum(delivery in unsettled for delivery in hanging)

    def _report(self, abandoned: tuple[str, ...], unfinished: tuple[str, ...], left: int) -> None:
        drain = self._drain
        if drain is None:
            return
        self._binding.bus.emit(
            ConsumerDrained(
                consumer=str(self._binding.consumer),
                finished=self._totals().runs - drain.runs_before,
                settled=drain.held - left,
                returned=drain.returned,
                abandoned=abandoned,
                unfinished=unfinished,
                seconds=time.monotonic() - drain.since,
            )
        )

    def teardown(self, error: BaseException | None) -> None:
        """Whatever ended it: nothing stays behind in its hands."""
        if self._subscription is not None:
            self._subscription.close()
        super().teardown(error)

    # ---- figures -------------------------------------------------------------------------------------

    def _totals(self) -> Totals:
        totals = Totals(self._gone.acked, self._gone.failed, self._gone.rejected, self._gone.denied)
        for worker in tuple(self._workers.values()):
            totals.add(worker)
        return totals

    def figures(self) -> dict[str, Any]:
        """What the tree shows of it. Thread-safe."""
        totals = self._totals()
        workers = tuple(self._workers.values())
        return {
            "queue": str(self._binding.queue.id),
            "function": str(self._binding.function.id),
            "buffered": len(self._buffer),
            "busy": sum(worker.handling.current is not None for worker in workers),
            "stuck": sum(worker.is_retired for worker in workers),
            "acked": totals.acked,
            "failed": totals.failed,
            "rejected": totals.rejected,
            "denied": totals.denied,
        }
