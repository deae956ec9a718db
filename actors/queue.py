"""A queue: a name bound to a driver.

Knows: codec, headers, message IDs, growing delays, dead letters; it is the only caller of a driver. Must not
know: actors, workers, policies.

It is a plain thread-safe object that outlives the actors around it: the queue's actor opens and closes it,
publishers and workers call it directly, so that data never waits behind control, nor control behind data.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from ..registry import Bus, EntryID, NoriaError
from .codecs import Codec, CodecError
from .delivery import Delivery, Headers, Message, new_message_id
from .driver import Driver, QueueDeclaration, QueueInfo, Subscription
from .errors import BodyRefused, DriverRefused, DriverUnavailable, QueueFull, QueueNotFound, QueueUnavailable
from .events import MessageDeadLettered, MessageExpired, MessageFailed
from .outcome import EXPIRED, MAX_ERROR_LENGTH, Ack, Nack, Outcome, Rejection
from .supervision import Backoff

LONGEST_WAIT = 3600.0
# How long a publisher waits at a time where it has more than one thing to look out for.
LONGEST_STEP = 0.05
HEADER_TYPES = (str, int, float, bool, type(None))


class QueueRetired(Exception):
    """The application was changed, and this queue is not the one any more that its ID stands for.

    Attributes:
        accepted: how many messages of the batch, from the first, are safe.
        sent: their IDs.
    """

    def __init__(self, accepted: int) -> None:
        super().__init__(accepted)
        self.accepted = accepted
        self.sent: list[str] = []


@define
class Fate:
    """What queues share that stand for the same place one after the other.

    A publisher may be on its way through one that was replaced long ago, and store something when the last one goes.
    """

    is_condemned: bool = False


@frozen(kw_only=True)
class DeadLetter:
    """Where messages go that fail for good, and after how many attempts (0: only when rejected)."""

    queue: "Queue"
    max_attempts: int


@frozen(kw_only=True)
class QueueSettings:
    """What a queue is made of, resolved once."""

    name: str
    codec: Codec
    options: Any
    redelivery: Backoff
    publish_timeout: float = 30.0


class Queue:
    """One logical queue. Thread-safe.

    Args:
        queue_id: the registry ID.
        driver: stores the messages.
        settings: codec, names and times.
        bus: hears of failures and dead letters.
    """

    def __init__(self, queue_id: EntryID, driver: Driver, settings: QueueSettings, bus: Bus) -> None:
        self.id = queue_id
        self.name = settings.name
        self.driver = driver
        self.dead_letter: DeadLetter | None = None
        self._settings = settings
        self._bus = bus
        # Taken by `with self._lock` only, never through the condition: entering that is Python code, where the
        # exception of a signal could leave the lock taken for good.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._is_open = False
        self._is_retired = False
        self.fate = Fate()
        self.is_declared = False
        self._published = 0
        self._moved_in = 0

    def open(self) -> None:
        """Declare the queue to its driver and let publishers in.

        Raises:
            DriverUnavailable: the driver is closed, or the queue is condemned.
            DriverRefused: the driver does not take it.
        """
        if self.fate.is_condemned:
            raise DriverUnavailable(self.driver.name, f"{self.id} is about to be replaced")
        self.driver.declare(
            QueueDeclaration(
                name=self.name,
                options=self._settings.options,
                content_type=self._settings.codec.content_type,
            )
        )
        with self._lock:
            self._is_open = self.is_declared = True
            self._changed.notify_all()

    def close(self) -> None:
        """Make publishers wait until the queue is opened again."""
        with self._lock:
            self._is_open = False

    def condemn(self) -> None:
        """Whoever stores a message from now on is not told that it is accepted: soon nobody will look for it here.

        Only for a closed queue. Who counts the messages after this has counted all that were accepted.
        """
        self.fate.is_condemned = True

    def retire(self) -> None:
        """Another queue has taken its place, or none: publishers that wait here look for it."""
        with self._lock:
            self._is_retired = True
            self._changed.notify_all()

    def reinstate(self) -> None:
        """It was not to be replaced after all."""
        self.fate.is_condemned = self._is_retired = False

    def succeed(self, former: "Queue") -> None:
        """It takes the place of another one. What its driver keeps under this name is there before it is opened."""
        if former.driver is self.driver and former.name == self.name:
            self.is_declared = self.is_declared or former.is_declared
            self.fate = former.fate

    def expect_moved(self) -> None:
        """A message is about to come from another queue: whoever looks for idleness must see it somewhere."""
        with self._lock:
            self._moved_in += 1

    @property
    def arrivals(self) -> int:
        """Grows whenever a message comes in: published, or moved here from another queue."""
        return self._published + self._moved_in

    def info(self) -> QueueInfo:
        """The driver's figures."""
        return self.driver.info(self.name)

    def figures(self) -> dict[str, Any]:
        """What the tree shows of it: the driver's figures, as far as they can be had now, and our own."""
        try:
            info = self.info()
        except NoriaError:
            return {"published": self._published}
        return {**info.as_dict(), "published": self._published}

    def publish(
        self,
        bodies: Iterable[Any],
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> list[str]:
        """Store the bodies, in order, each with these headers; return their message IDs when they are safe.

        Waits for room, and for the queue to come back when its driver is being restarted, up to `timeout`
        seconds (None: the queue's `publish_timeout`), or until `is_cancelled` says that the caller has to end: a
        handler that waited on while its consumer is stopped would hold up the very restart it waits for.

        Raises:
            ValueError: the timeout is negative or not a number.
            BodyRefused: a body or header cannot be sent; nothing was published.
            QueueFull: no room in time; `.accepted` of the messages, from the first, were stored.
            QueueUnavailable: the queue did not come up in time; `.accepted` likewise.
            QueueRetired: the application was changed meanwhile; `.sent` are the IDs of what is safe.
        """
        limit = self._settings.publish_timeout if timeout is None else timeout
        if not limit >= 0:
            raise ValueError(f"timeout must be a number of seconds from 0, found {timeout!r}")
        messages = self._messages(bodies, self._checked(headers))
        try:
            self._store(messages, limit, is_cancelled)
        except (QueueFull, QueueUnavailable) as error:
            self._count_published(error.accepted)
            raise
        except QueueRetired as error:
            self._count_published(error.accepted)
            error.sent = [message.id for message in messages[: error.accepted]]
            raise
        self._count_published(len(messages))
        return [message.id for message in messages]

    def _count_published(self, count: int) -> None:
        with self._lock:  # `+=` alone would lose counts between two publishers
            self._published += count

    def _store(
        self, messages: Sequence[Message], timeout: float, is_cancelled: Callable[[], bool] | None
    ) -> None:
        deadline = time.monotonic() + timeout
        accepted = 0
        while True:
            remaining = max(0.0, deadline - time.monotonic())
            wait = remaining if is_cancelled is None else min(remaining, LONGEST_STEP)
            try:
                self._await_open(wait, accepted)
                self.driver.publish(self.name, messages[accepted:], wait)
            except (QueueFull, DriverUnavailable) as error:
                if not self.fate.is_condemned:  # otherwise it may have come too late to be counted
                    accepted += error.accepted
                is_over = time.monotonic() >= deadline or (is_cancelled is not None and is_cancelled())
                if is_over and isinstance(error, QueueFull):
                    raise QueueFull(str(self.id), accepted=accepted, timeout=timeout) from None
                if is_over:
                    raise QueueUnavailable(str(self.id), accepted=accepted, timeout=timeout) from error
                if isinstance(error, DriverUnavailable):
                    self._await_change(wait)
            else:
                if self.fate.is_condemned:
                    raise QueueRetired(accepted)
                return

    def _await_change(self, longest: float) -> None:
        """The driver may be gone a moment before its actor has closed this queue: do not ask it again and again."""
        with self._lock:
            self._changed.wait(min(longest, LONGEST_STEP))

    def _await_open(self, timeout: float, accepted: int) -> None:
        if not self._is_open:
            with self._lock:
                self._changed.wait_for(lambda: self._is_open or self._is_retired, min(timeout, LONGEST_WAIT))
                if self._is_retired:
                    raise QueueRetired(accepted)
                if not self._is_open:
                    raise DriverUnavailable(self.driver.name)

    def _messages(self, bodies: Iterable[Any], headers: Headers) -> list[Message]:
        if isinstance(bodies, str | bytes | Mapping):
            raise BodyRefused(str(self.id), f"a batch is a list of bodies, found one {type(bodies).__name__}")
        encode = self._settings.codec.encode
        try:
            return [Message(new_message_id(), encode(body), headers) for body in bodies]
        except CodecError as error:
            raise BodyRefused(str(self.id), str(error)) from error

    def _checked(self, headers: Mapping[str, Any] | None) -> Headers:
        made: Headers = {"timestamp": int(time.time())}
        if headers is not None and not isinstance(headers, Mapping):
            raise BodyRefused(str(self.id), f"headers are a mapping, found {type(headers).__name__}")
        for name, value in (headers or {}).items():
            if not isinstance(name, str) or not name:
                raise BodyRefused(str(self.id), f"a header's name must be a text, found {name!r}")
            if not isinstance(value, HEADER_TYPES):
                raise BodyRefused(
                    str(self.id),
                    f"header {name} must be a text, a number, true, false or null,"
                    f" found {type(value).__name__}",
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise BodyRefused(str(self.id), f"header {name} must be a finite number, found {value}")
            made[name] = value
        return made

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """From a message's bytes to its body, a fresh copy at each call; raises CodecError."""
        return self._settings.codec.decode

    def subscribe(
        self,
        consumer: EntryID,
        *,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,
    ) -> Subscription:
        """Deliver to this consumer; what an earlier life of it left unsettled goes back to the queue first.

        Raises:
            DriverUnavailable: the driver is closed.
        """
        return self.driver.subscribe(
            self.name, consumer=str(consumer), credit=credit, deliver=deliver, options=options
        )

    def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Carry out an ending. The caller has claimed the delivery."""
        match outcome:
            case Ack():
                delivery.subscription.ack((delivery,))
            case Nack():
                self._nack(delivery, outcome)
            case Rejection():
                self._reject(delivery, outcome)

    @property
    def max_attempts(self) -> int:
        """After how many handler runs a message is dead-lettered; 0: never."""
        return 0 if self.dead_letter is None else self.dead_letter.max_attempts

    def _nack(self, delivery: Delivery, outcome: Nack) -> None:
        if 0 < self.max_attempts <= delivery.attempt:
            self._reject(delivery, Rejection("max_attempts", outcome.error))
        else:
            self._redeliver(delivery, outcome)

    def _redeliver(self, delivery: Delivery, outcome: Nack) -> None:
        delay = outcome.delay
        if delay is None:
            delay = self._settings.redelivery.delay(delivery.attempt, random.random)
        delivery.subscription.nack(delivery, delay)
        self._bus.emit(
            MessageFailed(
                queue=str(self.id),
                message=delivery.message.id,
                attempt=delivery.attempt,
                error=outcome.error,
                delay=delay,
            )
        )

    def _reject(self, delivery: Delivery, outcome: Rejection) -> None:
        if self.dead_letter is None:
            self._give_up_without_dead_letter(delivery, outcome)
            return
        target = self.dead_letter.queue
        if self._move(delivery, self._as_dead_letter(delivery, outcome), target):
            self._bus.emit(
                MessageDeadLettered(
                    queue=str(self.id),
                    dead_letter_queue=str(target.id),
                    message=delivery.message.id,
                    attempts=self._runs(delivery),
                    reason=outcome.reason,
                    error=outcome.error,
                )
            )
        else:
            problem = f"{outcome.reason}: {outcome.error} (kept: {target.id} is full or not running)"
            self._redeliver(delivery, Nack(problem))

    def _give_up_without_dead_letter(self, delivery: Delivery, outcome: Rejection) -> None:
        """What expired is dropped, as `message_ttl` asks; everything else is kept and retried, ever slower."""
        if outcome.reason == EXPIRED:
            delivery.subscription.ack((delivery,))
            self._bus.emit(MessageExpired(queue=str(self.id), message=delivery.message.id))
        else:
            self._redeliver(delivery, Nack(f"{outcome.reason}: {outcome.error}"))

    def _as_dead_letter(self, delivery: Delivery, outcome: Rejection) -> Message:
        headers = {
            **delivery.message.headers,
            "attempts": self._runs(delivery),
            # Where it first came from, also when a dead letter is given up in its turn.
            "x_original_queue": delivery.message.headers.get("x_original_queue", str(self.id)),
            "x_dead_letter_reason": outcome.reason,
            "x_dead_letter_time": int(time.time()),
            # A driver's headers have limits, and what an exception says of itself has none.
            "x_dead_letter_error": outcome.error[:MAX_ERROR_LENGTH],
        }
        return Message(delivery.message.id, delivery.message.body, headers)

    def _runs(self, delivery: Delivery) -> int:
        """How often a handler had it: this delivery does not count if it came after the last permitted run."""
        return min(delivery.attempt, self.max_attempts or delivery.attempt)

    def _move(self, delivery: Delivery, message: Message, target: "Queue") -> bool:
        """One step on one driver; across drivers it is stored there before it is removed here."""
        target.expect_moved()
        if target.driver is self.driver:
            return delivery.subscription.move(delivery, target.name, message)
        try:
            target.driver.publish(target.name, [message], 0)
        except (BodyRefused, DriverRefused, DriverUnavailable, QueueFull, QueueNotFound):
            return False
        delivery.subscription.ack((delivery,))
        return True
