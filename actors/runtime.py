"""A runtime: one application, loaded, started, used and stopped.

Knows: the order of those four, and the door through which a program publishes, calls and looks. Must not know: how
anything is supervised or handled.
"""

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from .. import registry as registry_package
from ..registry import Bus, EntryID, Kind, Kinds, Registry
from ..registry.wording import nearest
from ..security import KINDS as SECURITY_KINDS
from ..security import CallContext, Guard, Principal, Scope, current_context
from ..security.context import enter, leave
from . import entries
from .drain_report import DrainReport
from .errors import (
    ConsumerNotFound,
    DriverUnavailable,
    FunctionNotFound,
    NotIdle,
    NotRunning,
    QueueNotFound,
    StopFromHandler,
    StopIncomplete,
)
from .events import ConsumerDrained
from .function import Function
from .handle import HandlerContext
from .queue import Queue
from .settings import Settings
from .supervision import Supervision, supervise
from .supervision.errors import StopTimeout, SupervisorStopping
from .topology import Topology

Found = TypeVar("Found")

IDLE_CHECK = 0.01


def known_kinds(extra: Iterable[Kind] = ()) -> Kinds:
    """Every kind that an application may use: ours, those of installed plugins, and `extra`."""
    return Kinds([*SECURITY_KINDS, *entries.KINDS, *extra]).with_plugins()


class Runtime:
    """Runs one application. Thread-safe; several runtimes may live in one process.

    Use it as a context manager, or call `start` and `stop`:

        with Runtime.load("examples/tasks") as runtime:
            runtime.publish("app.queue:tasks", {"id": "task-123"})
            runtime.wait_idle(timeout=10)

    Attributes:
        registry: what is declared.
        settings: `.noria.yaml`.
        bus: every event of this runtime; `bus.subscribe(sink)`.
        guard: every authorisation of this runtime; `guard.audit(hook)`.
        policies: every policy that is declared, compiled.
        stores: every store that is declared, by its ID; what is in them lives as long as the runtime.
        token_stores: every token store that is declared, by its ID.
    """

    def __init__(
        self, registry: Registry, settings: Settings | None = None, *, consuming: bool = True
    ) -> None:
        self.registry = registry
        self.settings = settings or Settings()
        self.bus = Bus()
        self.guard = Guard(strict=self.settings.security.strict_mode, bus=self.bus)
        self._topology = Topology(registry, self.guard, self.bus, consuming=consuming)
        self.policies = self._topology.policies
        self.stores = self._topology.stores
        self.token_stores = self._topology.token_stores
        self._supervision: Supervision | None = None
        self._is_stopping = False
        self._changing = threading.RLock()

    @classmethod
    def load(  # noqa: PLR0913  (every one of them is optional)
        cls,
        path: str | os.PathLike[str],
        ignore_unknown_kinds: bool = False,  # noqa: FBT001, FBT002  (the documented signature)
        *,
        overrides: Iterable[str] = (),
        kinds: Iterable[Kind] = (),
        environ: Mapping[str, str] = os.environ,
        consuming: bool = True,
    ) -> Self:
        """Read an application directory; nothing starts.

        Args:
            path: the directory of definition files.
            ignore_unknown_kinds: skip entries of kinds that noria does not have (`registry.skipped` lists them).
            overrides: `namespace:entry:field=value` texts.
            kinds: more kinds than the built-in and installed ones.
            environ: what `${env:NAME}` is resolved from.
            consuming: False for a program that only publishes: no consumer starts, unless another service needs it.

        Raises:
            ConfigurationError: with everything that is wrong in the directory.
        """
        registry = registry_package.load(
            path,
            known_kinds(kinds),
            overrides=overrides,
            ignore_unknown_kinds=ignore_unknown_kinds,
            environ=environ,
        )
        settings = registry_package.load_settings(path, Settings, environ)
        return cls(registry, settings, consuming=consuming)

    # ---- life ----------------------------------------------------------------------------------------

    def start(self, timeout: float | None = None) -> None:
        """Start every service in dependency order; return when they run.

        Args:
            timeout: seconds to wait; None: as long as their restart policies keep trying.

        Raises:
            FunctionBroken: a handler cannot be loaded; nothing was started.
            StartFailed: a required service failed for good; what had started was stopped again.
            StartTimeout: the time was up; what had started was stopped again.
            NotRunning: somebody stops the runtime meanwhile.
        """
        with self._changing:
            if self._is_stopping:
                raise NotRunning(is_stopping=True)
            if self._supervision is not None:
                return
            try:
                self._topology.load_functions()
            except BaseException:
                self._topology.close()
                raise
            supervision = self._supervision = supervise(
                self._topology.children(self), bus=self.bus, name="runtime"
            )
        try:
            supervision.wait_started(timeout)
        except SupervisorStopping as error:
            raise NotRunning(is_stopping=True) from error
        except BaseException:
            self._stop_quietly()
            raise

    def _stop_quietly(self) -> None:
        try:
            self.stop()
        except StopIncomplete:
            return  # The failed start is what the caller has to hear about.

    def stop(self, timeout: float | None = None) -> DrainReport:
        """Stop everything in reverse order: the seed's four steps for each consumer.

        Stop taking deliveries, let handlers see their context cancelled, wait for those that run, and say which did
        not finish. Unhandled deliveries go back to their queues. Stopping twice is harmless.

        Args:
            timeout: seconds for the whole stop; None: `shutdown.timeout` of `.noria.yaml`, 30 by default.

        Raises:
            StopFromHandler: it was called by one of the handlers it would wait for; nothing was stopped.
            StopIncomplete: some handlers did not finish in time; their messages are back in their queues.
        """
        context = current_context()
        if isinstance(context, HandlerContext) and context.runtime is self:
            raise StopFromHandler
        limit = self.settings.shutdown.timeout if timeout is None else timeout
        with self._changing:
            supervision = self._supervision
            self._is_stopping = supervision is not None
        if supervision is None:
            return DrainReport.of((), 0.0)
        began = time.monotonic()
        drains: list[ConsumerDrained] = []
        unsubscribe = self.bus.subscribe(drains.append, ConsumerDrained)
        left: tuple[str, ...] = ()
        try:
            supervision.stop(limit)
        except StopTimeout as error:
            left = error.unfinished
        finally:
            unsubscribe()
            with self._changing:
                if self._supervision is supervision:
                    self._supervision, self._is_stopping = None, False
                    self._topology.close()
        report = DrainReport.of(drains, time.monotonic() - began)
        unfinished = tuple(dict.fromkeys((*report.unfinished, *left)))
        if unfinished or report.abandoned:
            raise StopIncomplete(report, unfinished)
        return report

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Started, and nobody has asked it to stop."""
        return self._supervision is not None and not self._is_stopping

    # ---- use -----------------------------------------------------------------------------------------

    def publish(
        self,
        queue: str | EntryID,
        body: Any,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """Publish one message; return its ID when the driver has it safely.

        Called where a handler runs, it is authorised for that handler's principal: `queue.publish`, and
        `queue.publish.queue` on the queue.

        Args:
            queue: its registry ID.
            body: plain data that the queue's codec can write.
            headers: names to texts, numbers, booleans or None.
            timeout: seconds to wait for room or for the driver to come back; None: the queue's `publish_timeout`.

        Raises:
            NotRunning, QueueNotFound, AccessDenied, BodyRefused: nothing was published.
            QueueFull, QueueUnavailable: not within the timeout; retryable.
        """
        return self._publish(queue, (body,), headers, timeout)[0]

    def publish_many(
        self,
        queue: str | EntryID,
        bodies: Iterable[Any],
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> list[str]:
        """Publish a batch, each message with these headers; return their IDs in order. See `publish`.

        A QueueFull error says in `.accepted` how many of them, from the first, were taken.
        """
        return self._publish(queue, bodies, headers, timeout)

    def _publish(
        self,
        queue: str | EntryID,
        bodies: Iterable[Any],
        headers: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> list[str]:
        wanted = str(queue)
        context = current_context()
        if context is not None:
            self.guard.require(context.principal, context.scope, "queue.publish", "")
            self.guard.require(context.principal, context.scope, "queue.publish.queue", wanted)
        self._require_running(context)
        is_cancelled = context.cancelled.is_set if context is not None else None
        return self._queue(wanted).publish(bodies, headers, timeout=timeout, is_cancelled=is_cancelled)

    def _require_running(self, caller: CallContext | None) -> None:
        """While it stops, only handlers that still run may go on."""
        if self._supervision is None or (self._is_stopping and caller is None):
            raise NotRunning(is_stopping=self._is_stopping)

    def call(self, function: str | EntryID, *arguments: Any) -> Any:
        """Call a function of the application in this thread and return its result.

        Called where a handler runs, it is authorised as `funcs.call` for that handler's principal, and inherits its
        context. What the function raises comes out as it is.

        Raises:
            NotRunning: the runtime was not started.
            FunctionNotFound: no such function.
            AccessDenied: the principal may not call it.
        """
        return self.authorised(function)(*arguments)

    def authorised(self, function: str | EntryID) -> Callable[..., Any]:
        """The first half of `call`: everything up to the permission.

        Returns:
            The other half, for the arguments; it may be called later, and in another thread.

        Raises:
            NotRunning, FunctionNotFound, AccessDenied: as for `call`.
        """
        caller = current_context()
        self._require_running(caller)
        found = self._function(str(function))
        if caller is not None:
            self.guard.require(caller.principal, caller.scope, "funcs.call", str(found.id))
        context = self._context_for_call(caller)

        def run(*arguments: Any) -> Any:
            token = enter(context)
            try:
                return _call(found, arguments)
            finally:
                leave(token)

        return run

    @contextmanager
    def acting_as(self, consumer: str | EntryID) -> Iterator[None]:
        """What is called and published in this block is authorised as if a handler of this consumer did it.

        Raises:
            ConsumerNotFound: no such consumer.
        """
        entry = self.registry.get(consumer)
        if entry is None or entry.kind != "queue.consumer":
            consumers = [str(each.id) for each in self.registry if each.kind == "queue.consumer"]
            raise ConsumerNotFound(str(consumer), nearest(str(consumer), consumers))
        token = enter(self._new_context(*self._topology.identity(entry)))
        try:
            yield
        finally:
            leave(token)

    def _context_for_call(self, caller: CallContext | None) -> HandlerContext:
        if not isinstance(caller, HandlerContext):
            return self._new_context(None, None)
        context = caller.derive()
        context.since, context.is_overdue = time.monotonic(), False
        context.runtime = self
        return context

    def _new_context(self, principal: Principal | None, scope: Scope | None) -> HandlerContext:
        context = HandlerContext(principal, scope, self.guard)
        context.delivery = context.queue = None
        context.since, context.is_overdue = time.monotonic(), False
        context.runtime = self
        return context

    # ---- looking -------------------------------------------------------------------------------------

    def info(self, queue: str | EntryID) -> dict[str, int]:
        """`message_count`, `ready`, `in_flight`, `delayed` and `consumer_count` of a queue.

        Raises:
            NotRunning: the runtime was never started.
            QueueNotFound: no such queue.
        """
        found = self._queue(str(queue))
        if not found.is_declared:
            raise NotRunning
        return found.info().as_dict()

    def wait_idle(self, timeout: float | None = None) -> None:
        """Return when nothing is ready, delayed or in flight in any queue that has a consumer, and no handler runs.

        A dead-letter queue that nobody consumes does not keep it waiting.

        Args:
            timeout: seconds; None: without limit.

        Raises:
            NotIdle: the time was up, or what waits can only wait for consumers that gave up; `.waiting` says how
                many messages are where.
            NotRunning: the runtime was stopped meanwhile.
        """
        self._require_running(None)
        began = asked = time.monotonic()
        deadline = None if timeout is None else began + timeout
        pause = threading.Event()
        while not self._is_idle():
            if not self.is_running:
                raise NotRunning(is_stopping=self._is_stopping)
            now = time.monotonic()
            if (deadline is not None and now >= deadline) or self._is_hopeless():
                raise NotIdle(now - began, self._waiting(), self.failures)
            # A backend that takes long to answer is not kept busy with the question.
            pause.wait(max(IDLE_CHECK, 5 * (now - asked)))
            asked = time.monotonic()

    def _is_idle(self) -> bool:
        # Queues are looked at one after the other; a message could slip from one that was not looked at yet to one
        # that was. Then it arrived there in between, and that shows. Handlers come last: a message that is settled
        # early leaves its queue while its handler goes on.
        before = self._arrivals()
        return not self._waiting() and not self._topology.is_handling() and self._arrivals() == before

    def _arrivals(self) -> int:
        return sum(queue.arrivals for queue in self._topology.queues.values())

    def _waiting(self) -> dict[str, int | None]:
        counts = {id_: self._message_count(id_) for id_ in sorted(self._topology.consumers)}
        return {id_: count for id_, count in counts.items() if count != 0}

    def _message_count(self, queue: str) -> int | None:
        """None while the queue's driver is being restarted: whatever it holds, nobody can know now."""
        try:
            return self._topology.queues[queue].info().message_count
        except DriverUnavailable:
            return None

    def _is_hopeless(self) -> bool:
        """Whether everything that waits, waits for consumers that gave up."""
        consumers, gave_up = self._topology.consumers, self.failures.keys()
        waiting = self._waiting()
        return bool(waiting) and all(gave_up >= set(consumers[queue]) for queue in waiting)

    def tree(self) -> dict[str, Any]:
        """Every actor as plain data: id, kind, state, details, restarts, since, figures and children.

        Asks nobody, so it answers at once whatever the actors do. Empty when the runtime does not run.
        """
        supervision = self._supervision
        return {} if supervision is None else dict(supervision.snapshot())

    @property
    def failures(self) -> dict[str, str]:
        """Services that gave up, each with its reason."""
        supervision = self._supervision
        return {} if supervision is None else {id_: str(error) for id_, error in supervision.failures.items()}

    def _queue(self, wanted: str) -> Queue:
        return _lookup(self._topology.queues, wanted, QueueNotFound)

    def _function(self, wanted: str) -> Function:
        return _lookup(self._topology.functions, wanted, FunctionNotFound)


def _lookup(
    table: Mapping[str, Found], wanted: str, missing: Callable[[str, str | None], Exception]
) -> Found:
    found = table.get(wanted)
    if found is None:
        raise missing(wanted, nearest(wanted, table))
    return found


def _call(function: Function, arguments: tuple[Any, ...]) -> Any:
    if not function.is_async:
        return function.call(*arguments)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function.call(*arguments))
    return _call_beside_running_loop(function, arguments)


def _call_beside_running_loop(function: Function, arguments: tuple[Any, ...]) -> Any:
    """An async function called from an async handler, which cannot await here: it gets a loop of its own."""
    inherited = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(inherited.run, asyncio.run, function.call(*arguments)).result()
