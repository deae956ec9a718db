"""The life of one delivery: attempt, authorisation, decoding, the handler, its ending. Read this first.

Knows: the order of things. Must not know: pykka, threads, drivers.
"""

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..registry import Bus, EntryID
from ..security import CallContext, Check, Guard, Principal, Scope
from ..security.context import enter, leave
from .codecs import CodecError
from .delivery import Delivery
from .errors import REJECTED, AlreadySettled, DriverUnavailable, HandlerTimeout, Reject, check_delay
from .events import MessageAcked
from .function import Function
from .outcome import ACK, EXPIRED, Nack, Outcome, Rejection, outcome_of
from .queue import Queue

if TYPE_CHECKING:
    from .runtime import Runtime


@define(kw_only=True, eq=False)
class Binding:
    """What is the same for every call of one consumer, resolved once and not changed after."""

    consumer: EntryID
    queue: Queue
    function: Function
    guard: Guard
    check: Check
    bus: Bus
    runtime: "Runtime | None" = None
    principal: Principal | None = None
    scope: Scope | None = None
    timeout: float | None = None
    auto_ack: bool = False
    driver_options: Any = None
    # The handling of each of its workers, by name: who looks for idleness counts what is being handled there.
    handlings: "dict[str, Handling]" = field(factory=dict, init=False)
    # The answers that every message asks for.
    decode: Callable[[bytes], Any] = field(init=False)
    run: Callable[[Any], object] = field(init=False)
    max_attempts: int = field(init=False)
    is_always_allowed: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.decode = self.queue.decode
        isolation = self.function.isolation
        plain = self.function.consume or self.function.call
        self.run = plain if isolation is None else isolation.handle
        self.max_attempts = self.queue.max_attempts
        self.is_always_allowed = self.check.static is not None and self.check.static.allowed


class CurrentMessage:
    """The message that is being handled, as its handler sees it.

    Thread-safe. `ack`, `nack` and `reject` settle at once; whoever settles first wins.
    """

    __slots__ = ("_delivery", "_queue")

    def __init__(self, delivery: Delivery, queue: Queue) -> None:
        self._delivery = delivery
        self._queue = queue

    @property
    def id(self) -> str:
        """The message ID, kept from publish to dead letter."""
        return self._delivery.message.id

    @property
    def queue(self) -> str:
        """The registry ID of the queue it came from."""
        return str(self._queue.id)

    @property
    def attempt(self) -> int:
        """1 for the first handler run."""
        return self._delivery.attempt

    @property
    def headers(self) -> dict[str, Any]:
        """A copy of the headers."""
        return dict(self._delivery.message.headers)

    def header(self, name: str) -> Any:
        """One header, or None."""
        return self._delivery.message.headers.get(name)

    def ack(self) -> None:
        """Settle now: done. What the handler returns or raises later no longer matters.

        Raises:
            AlreadySettled: it was settled before.
        """
        self._settle(ACK)

    def nack(self, *, delay: float | None = None) -> None:
        """Settle now: deliver it again, after `delay` seconds or the queue's growing delay.

        Raises:
            AlreadySettled: it was settled before.
            ValueError: the delay is not a finite number of seconds from 0.
        """
        check_delay(delay)
        self._settle(Nack("nack by the handler", delay))

    def reject(self, reason: str = REJECTED) -> None:
        """Settle now: this message can never succeed, dead-letter it; see `Reject`.

        Raises:
            AlreadySettled: it was settled before.
        """
        self._settle(outcome_of(Reject(reason)))

    def _settle(self, outcome: Outcome) -> None:
        if not self._delivery.claim():
            raise AlreadySettled(self.id)
        self._queue.settle(self._delivery, outcome)


class HandlerContext(CallContext):
    """The call context of a handler run.

    Attributes:
        runtime: what the handler's `publish` and `call` go through.
        delivery: what is being handled; None in a function that was called directly.
        binding: the consumer's for whom it runs; None likewise.
        since: monotonic seconds; infinity while it waits for a worker process, for its time has not begun.
        is_overdue: its time was up, and its message nacked, before it ended.
    """

    __slots__ = ("binding", "delivery", "is_overdue", "runtime", "since")

    runtime: "Runtime | None"
    delivery: Delivery | None
    binding: Binding | None
    since: float
    is_overdue: bool

    def current_message(self) -> CurrentMessage | None:
        """The message as its handler sees it: made when it is asked for, which most handlers never do."""
        if self.message is None and self.delivery is not None and self.binding is not None:
            self.message = CurrentMessage(self.delivery, self.binding.queue)
        return self.message if isinstance(self.message, CurrentMessage) else None


class Handling:
    """Handles deliveries one at a time.

    One thread calls `handle`; everything else may be read from any thread.

    Attributes:
        current: the context of the run that is going on, set before anything can go wrong with its delivery.
        acked: how many runs ended well.
        failed: how many ended badly, their messages delivered again.
        rejected: how many gave their message up.
        denied: how many deliveries were not authorised.
    """

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[Any] | None = None
        self.current: HandlerContext | None = None
        self.acked = 0
        self.failed = 0
        self.rejected = 0
        self.denied = 0

    def handle(self, delivery: Delivery) -> None:
        """Do everything that happens to one delivery. Raises nothing that a handler raises."""
        binding = self._binding
        context = self.current = self._context(delivery)
        if binding.auto_ack and delivery.claim():
            delivery.subscription.ack((delivery,))
        outcome = self._outcome(delivery, context)
        if outcome is not ACK or context.is_overdue:
            self._end_badly(delivery, outcome)
        else:
            if delivery.claim():
                delivery.subscription.ack((delivery,))
            self.acked += 1
            if binding.bus.wants(MessageAcked):
                self._tell_acked(delivery, context)
        self.current = None

    def cancel_task(self) -> None:
        """End an async handler that is running, or one in Lua; a plain one can only be asked. Thread-safe."""
        task = self._task
        if task is not None:
            # The loop may close at any moment, and has nothing to cancel then.
            with contextlib.suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)
        context, isolation = self.current, self._binding.function.isolation
        if context is not None and self._binding.function.ends_when_cancelled:
            context.cancel()
        if context is not None and isolation is not None:
            isolation.cancel_task(context)

    def kill(self) -> None:
        """End a handler that runs in a process of its own; nobody waits for it any more. Thread-safe."""
        context, isolation = self.current, self._binding.function.isolation
        if context is not None and isolation is not None:
            isolation.kill(context)

    def close(self) -> None:
        """Release the event loop of async handlers, if one was needed."""
        if self._runner is not None:
            self._runner.close()

    def _context(self, delivery: Delivery) -> HandlerContext:
        binding = self._binding
        now = time.monotonic()
        context = HandlerContext(binding.principal, binding.scope, binding.guard)
        if binding.timeout is not None:
            context.deadline = now + binding.timeout
        context.runtime = binding.runtime
        context.delivery = delivery
        context.binding = binding
        context.since = now
        context.is_overdue = False
        return context

    def _outcome(self, delivery: Delivery, context: HandlerContext) -> Outcome:
        binding = self._binding
        refusal = self._refusal(delivery)
        if refusal is not None:
            return refusal
        try:
            body = binding.decode(delivery.message.body)
        except CodecError as error:
            return Rejection("undecodable", str(error))
        if delivery.is_suspect:
            try:
                delivery.subscription.note_start(delivery)
            except DriverUnavailable as error:
                return Nack(str(error))
        delivery.started = True
        token = enter(context)
        try:
            if binding.function.is_async:
                self._run_async(body)
            else:
                binding.run(body)
        except BaseException as error:  # a stray sys.exit() fails its own message, never the pool
            return outcome_of(error)
        finally:
            leave(token)
        return ACK

    def _refusal(self, delivery: Delivery) -> Rejection | None:
        """Why no handler may have this delivery."""
        binding = self._binding
        if delivery.is_expired:
            return Rejection(EXPIRED, "it waited longer than its queue's message_ttl")
        if 0 < binding.max_attempts < delivery.attempt:
            return Rejection("max_attempts", "its last attempt never ended: the worker was lost")
        if not binding.is_always_allowed or binding.guard.audited:
            return self._denial(delivery)
        return None

    def _denial(self, delivery: Delivery) -> Rejection | None:
        decision = self._binding.check.decide(lambda: self._metadata(delivery))
        return None if decision.allowed else Rejection("denied", decision.reason)

    def _metadata(self, delivery: Delivery) -> dict[str, Any]:
        binding = self._binding
        return {
            "queue": str(binding.queue.id),
            "consumer": str(binding.consumer),
            "message": {
                "id": delivery.message.id,
                "headers": dict(delivery.message.headers),
                "attempt": delivery.attempt,
            },
        }

    def _run_async(self, body: Any) -> None:
        if self._runner is None:
            self._runner = asyncio.Runner()
        # The runner would use the context of its own making, in which no message is being handled.
        self._runner.run(self._within_deadline(body), context=contextvars.copy_context())

    async def _within_deadline(self, body: Any) -> None:
        timeout = self._binding.timeout
        self._task = asyncio.current_task()
        try:
            async with asyncio.timeout(timeout) as limit:
                await self._binding.function.call(body)
        except TimeoutError as error:
            if limit.expired() and timeout is not None:
                raise HandlerTimeout(timeout) from error
            raise
        finally:
            self._task = None

    def _end_badly(self, delivery: Delivery, outcome: Outcome) -> None:
        if delivery.claim():
            self._binding.queue.settle(delivery, outcome)
        match outcome:
            case Rejection(reason="denied"):
                self.denied += 1
            case Rejection():
                self.rejected += 1
            case _:
                self.failed += 1

    def _tell_acked(self, delivery: Delivery, context: HandlerContext) -> None:
        binding = self._binding
        binding.bus.emit(
            MessageAcked(
                queue=str(binding.queue.id),
                consumer=str(binding.consumer),
                message=delivery.message.id,
                attempt=delivery.attempt,
                seconds=time.monotonic() - context.since,
            )
        )
