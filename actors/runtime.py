"""A runtime: one application, loaded, started, used and stopped.

Knows: the order of those four, and the door through which a program publishes, calls and looks. Must not know: how
anything is supervised or handled.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self, TypeVar

from .. import registry as registry_package
from ..registry import (
    Bus,
    Change,
    EntryID,
    History,
    Kind,
    Kinds,
    Registry,
    Version,
)
from ..registry.wording import nearest
from ..security import KINDS as SECURITY_KINDS
from ..security import CallContext, Guard, Policies, TokenStore, current_context
from ..security.context import enter, leave
from . import entries
from .calling import call, context_for_call, new_context
from .change import Changing, Seat
from .drain_report import DrainReport
from .errors import (
    ConsumerNotFound,
    FunctionNotFound,
    NotIdle,
    NotRunning,
    QueueFull,
    QueueNotFound,
    QueueUnavailable,
    StopFromHandler,
)
from .function import Function
from .handle import HandlerContext
from .idleness import Look
from .life import Life
from .queue import Queue, QueueRetired
from .settings import Settings
from .stores import MemoryStore
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
        settings: `.noria.yaml`.
        bus: every event of this runtime; `bus.subscribe(sink)`.
        guard: every authorisation of this runtime; `guard.audit(hook)`.
        history: the versions of the registry.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings | None = None,
        *,
        consuming: bool = True,
        read: Callable[[], Registry] | None = None,
    ) -> None:
        """A runtime of a registry; `read` is where `reload` gets another one."""
        self.settings = settings or Settings()
        self.bus = Bus()
        self.guard = Guard(strict=self.settings.security.strict_mode, bus=self.bus)
        self.history = History(registry)
        self._seat = Seat(Topology(registry, self.guard, self.bus, consuming=consuming))
        self._changing = Changing(self, self._seat)
        self._read = read
        self._life = Life(self._seat)

    @property
    def registry(self) -> Registry:
        """What is declared, as of now."""
        return self._seat.topology.registry

    @property
    def policies(self) -> Policies:
        """Every policy that is declared, compiled."""
        return self._seat.topology.policies

    @property
    def stores(self) -> Mapping[str, MemoryStore]:
        """Every store that is declared, by its ID; what is in them lives as long as they are declared."""
        return self._seat.topology.stores

    @property
    def token_stores(self) -> Mapping[str, TokenStore]:
        """Every token store that is declared, by its ID."""
        return self._seat.topology.token_stores

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
        read = partial(
            registry_package.load,
            path,
            known_kinds(kinds),
            overrides=tuple(overrides),
            ignore_unknown_kinds=ignore_unknown_kinds,
            environ=environ,
        )
        registry = read()
        settings = registry_package.load_settings(path, Settings, environ)
        return cls(registry, settings, consuming=consuming, read=read)

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
        with self._changing.excluded():
            self._life.start(self, timeout)

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
        return self._life.stop(self, limit)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Started, and nobody has asked it to stop."""
        return self._life.is_running

    # ---- change --------------------------------------------------------------------------------------

    def apply(
        self, changes: Iterable[Change], timeout: float | None = None, *, since: int | None = None
    ) -> Version:
        """Change what is declared, and what runs with it, all of it or nothing; return the new version.

        Services that the changes touch stop, dependents first, and start again as they are to be; everything else runs
        on. No message is lost, not even in memory: see docs/changes.md. Called where a handler runs, it needs a policy
        that allows `registry.apply`, also in normal mode: who may declare functions may do everything.

        Args:
            changes: what is to be created, updated and deleted.
            timeout: seconds to wait for what starts; None: as long as its restart policies keep trying.
            since: the version that the changes were made for; None: whichever holds.

        Raises:
            ConfigurationError: with everything that is wrong with the changes; nothing has changed.
            FunctionBroken: a handler cannot be loaded; nothing has changed.
            AccessDenied: the principal may not; nothing has changed.
            ChangeWouldLose: messages that are only in memory would be gone; nothing has changed.
            ChangeFailed: something did not start; what ran before runs again, unless `.is_undone` is false.
            ChangeOutdated: another version than `since` holds; nothing has changed.
            ChangeFromHandler: the handler that asks for it would be stopped by it; nothing has changed.
            ChangeInProgress: somebody else is changing it; retryable.
            NotRunning: somebody stops the runtime meanwhile; nothing has changed.
        """
        self._require_allowed("registry.apply")
        return self._changing.apply(changes, timeout, since)

    def apply_version(self, number: int, timeout: float | None = None) -> Version:
        """Go back, or forward, to a version of `history`; the action is `registry.apply_version`.

        Raises:
            VersionNotFound: there is none of this number, or it was forgotten; and all that `apply` raises.
        """
        self._require_allowed("registry.apply_version")
        return self._changing.go_to(number, timeout)

    def reload(self, timeout: float | None = None) -> Version:
        """Read the application directory again, and change what runs accordingly, as `apply` does.

        What was changed by `apply` and is not in the directory goes. Files that handlers import, installed modules and
        `.noria.yaml` are not read again. Without a difference nothing happens, and the current version is returned.

        Raises:
            ConfigurationError: with everything that is wrong in the directory; nothing has changed.
            TypeError: this runtime was not made by `load`.
            FunctionBroken, AccessDenied, ChangeWouldLose, ChangeFailed, ChangeFromHandler, ChangeInProgress,
            NotRunning: as `apply`.
        """
        self._require_allowed("registry.apply")
        if self._read is None:
            raise TypeError("only a runtime that was made by Runtime.load has a directory to read again")
        return self._changing.reload(self._read, timeout)

    def _require_allowed(self, action: str) -> None:
        context = current_context()
        if context is not None:
            self.guard.require(context.principal, context.scope, action, "")

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
        batch: Any = bodies if isinstance(bodies, Sequence | Mapping) else list(bodies)
        return self._publish(queue, batch, headers, timeout)

    def _publish(
        self,
        queue: str | EntryID,
        bodies: Sequence[Any],
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
        sent: list[str] = []
        began, left, patience = time.monotonic(), bodies, timeout
        while True:
            try:
                return sent + self._queue(wanted).publish(
                    left, headers, timeout=patience, is_cancelled=is_cancelled
                )
            except QueueRetired as retired:
                # The application was changed, and has another one of this ID by now.
                sent += retired.sent
                left = list(left)[len(retired.sent) :]
                patience = None if timeout is None else max(0.0, began + timeout - time.monotonic())
            except (QueueFull, QueueUnavailable) as error:
                if not sent:
                    raise
                accepted = len(sent) + error.accepted
                raise type(error)(error.queue, accepted=accepted, timeout=error.timeout) from error

    def _require_running(self, caller: CallContext | None) -> None:
        """While it stops, only handlers that still run may go on."""
        if self._seat.supervision is None or (self._life.is_stopping and caller is None):
            raise NotRunning(is_stopping=self._life.is_stopping)

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
        context = context_for_call(self, caller)

        def run(*arguments: Any) -> Any:
            token = enter(context)
            try:
                return call(found, arguments)
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
        context, around = new_context(self, *self._seat.topology.identity(entry)), current_context()
        if isinstance(around, HandlerContext):
            context.binding = around.binding  # for it still runs in that handler
        token = enter(context)
        try:
            yield
        finally:
            leave(token)

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
        while not (look := Look(self._seat.topology)).is_idle():
            if not self.is_running:
                raise NotRunning(is_stopping=self._life.is_stopping)
            now = time.monotonic()
            if (deadline is not None and now >= deadline) or look.is_hopeless(self.failures):
                raise NotIdle(now - began, look.waiting(), self.failures)
            # A backend that takes long to answer is not kept busy with the question.
            pause.wait(max(IDLE_CHECK, 5 * (now - asked)))
            asked = time.monotonic()

    def tree(self) -> dict[str, Any]:
        """Every actor as plain data: id, kind, state, details, restarts, since, figures and children.

        Asks nobody, so it answers at once whatever the actors do. Empty when the runtime does not run.
        """
        supervision = self._seat.supervision
        return {} if supervision is None else dict(supervision.snapshot())

    @property
    def failures(self) -> dict[str, str]:
        """Services that gave up, each with its reason."""
        supervision = self._seat.supervision
        return {} if supervision is None else {id_: str(error) for id_, error in supervision.failures.items()}

    def _queue(self, wanted: str) -> Queue:
        return _lookup(self._seat.topology.queues, wanted, QueueNotFound)

    def _function(self, wanted: str) -> Function:
        return _lookup(self._seat.topology.functions, wanted, FunctionNotFound)


def _lookup(
    table: Mapping[str, Found], wanted: str, missing: Callable[[str, str | None], Exception]
) -> Found:
    found = table.get(wanted)
    if found is None:
        raise missing(wanted, nearest(wanted, table))
    return found
