"""What a driver promises.

Knows: the contract between noria and a backend. Must not know: any backend, codecs, policies, actors.

A driver moves encoded messages in and out of one backend. It is batch-first: every verb takes many. It is
thread-safe: publishers, workers and its own threads call it at once. It does not retry, log, count attempts'
limits or check policies; its queue does, once for all drivers. `noria.actors.testing` holds the promises as
tests; a driver that passes them fits.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

from attrs import frozen

from ..registry import Duration, Entry, Registry, between
from .delivery import Delivery, Message
from .lifecycle import Complaints, ServiceConfig, check_service


@frozen(kw_only=True)
class Features:
    """How drivers differ, as data: nobody asks which class a driver is. `docs/drivers.md` shows them side by side.

    Attributes:
        durable: messages outlive the process.
        shared: other programs use the same backend, and know its queues by name.
        ordered: a single consumer that acks everything sees messages in the order they were published.
        returns_to_head: what is released comes back before everything else, in its old order.
        exact_info: `info` is exact at every moment, not an estimate.
        exact_attempts: an attempt is a handler run; a delivery that was released, or whose process ended before
            its handler began, is not counted.
        counts_crashes: a handler run that ended with its process is counted.
        tells_crashes: `Delivery.is_suspect` says that a process died; where it cannot, what was only given back is
            taken for a suspect, too, which costs a trip to the backend and is harmless otherwise.
        bounded: `max_length` is kept to the message; where it is not, it is approximate.
    """

    durable: bool = False
    shared: bool = False
    ordered: bool = True
    returns_to_head: bool = True
    exact_info: bool = True
    exact_attempts: bool = True
    counts_crashes: bool = True
    tells_crashes: bool = True
    bounded: bool = True


@frozen(kw_only=True)
class QueueOptions:
    """What may stand under a queue's `options` for every driver; a driver adds its own in a subclass.

    Attributes:
        max_length: how many messages may wait, ready or delayed; 0: the driver's default.
        message_ttl: seconds from its publishing after which a message that no handler has begun is expired.
    """

    max_length: int = between(0, default=0)
    message_ttl: Duration | None = between(0.001, default=None)


@frozen(kw_only=True)
class ConsumerOptions:
    """What may stand under a consumer's `driver_options.<driver>`: nothing, unless a driver says otherwise."""


@frozen(kw_only=True)
class QueueDeclaration:
    """What a driver is told of a queue.

    Attributes:
        name: the backend's name of the queue, unique within the driver.
        options: an instance of the driver's `queue_options`.
        content_type: what its codec calls the bodies, such as `application/json`.
    """

    name: str
    options: Any = QueueOptions()
    content_type: str = ""


MessageState = Literal["ready", "delayed", "in_flight"]


@frozen(kw_only=True)
class StoredMessage:
    """A message as `Driver.peek` finds it.

    Attributes:
        message: what is stored.
        attempts: how many handler runs it has had.
        state: `ready`, `delayed` or `in_flight`.
    """

    message: Message
    attempts: int
    state: MessageState


@frozen(kw_only=True)
class QueueInfo:
    """Figures of a queue. `message_count` is everything not yet settled: ready, in flight and delayed."""

    ready: int
    in_flight: int
    delayed: int
    consumer_count: int

    @property
    def message_count(self) -> int:
        """All that is not settled."""
        return self.ready + self.in_flight + self.delayed

    def as_dict(self) -> dict[str, int]:
        """As plain data, `message_count` included."""
        return {
            "message_count": self.message_count,
            "ready": self.ready,
            "in_flight": self.in_flight,
            "delayed": self.delayed,
            "consumer_count": self.consumer_count,
        }


class Subscription(ABC):
    """One consumer's stream of deliveries from one queue, bounded by its credit.

    At most `credit` deliveries are unsettled at any time. Settling frees credit, and the driver delivers again.

    `ack`, `nack` and `release` do not wait for the backend: a driver with a network hands them to a thread of its
    own and reports what fails through `Driver.open`'s `failed`; `flush` waits for them. Each delivery is claimed
    (`Delivery.claim`) by the caller before it is settled, so the driver sees one settlement for each.

    Attributes:
        is_closed: what it delivered and nobody has begun to handle is to be forgotten: it has gone back.
    """

    is_closed = False

    @abstractmethod
    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Done: remove them. After `close` this does nothing, for they have gone back to the queue.

        A driver may collect acks and use the credit they free later, all at once, until `hurry`.
        """

    def hurry(self) -> None:  # noqa: B027  (a driver that collects nothing has nothing to hurry)
        """The consumer has nothing left to do: use all free credit now."""

    @abstractmethod
    def nack(self, delivery: Delivery, delay: float) -> None:
        """Deliver it again, `delay` seconds from now, behind what is ready then; the attempt is counted.

        There is always room: what was accepted stays accepted.
        """

    @abstractmethod
    def release(self, deliveries: Sequence[Delivery]) -> None:
        """No handler saw them: back to the head of the queue in their old order, no attempt counted."""

    @abstractmethod
    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Take it out of this queue and put `message` into another one of the same driver, in one step.

        A backend that has no such step puts it there before it takes it away here. May wait for the backend.

        Returns:
            False if the other queue has no room or does not exist, or the backend did not answer in time; the
            delivery is then still unsettled.
        """

    def move_all(
        self, deliveries: Sequence[Delivery], queue: str, messages: Sequence[Message]
    ) -> Sequence[bool]:
        """As `move`, for many: what came of each. A backend may move them all in one trip, or stop at a False."""
        moved: list[bool] = []
        for delivery, message in zip(deliveries, messages, strict=True):
            moved.append(all(moved) and self.move(delivery, queue, message))
        return moved

    def note_start(self, delivery: Delivery) -> None:  # noqa: B027  (a backend that dies with us has no suspects)
        """A handler is about to run for a delivery with `is_suspect`; return when the backend has that on record.

        Should the process die now, the attempt counts. Only for suspects: nobody pays for it on a first delivery.

        Raises:
            DriverUnavailable: the backend is lost. The handler must not run; the delivery has gone back.
        """

    @abstractmethod
    def unsettled(self) -> Sequence[Delivery]:
        """What was delivered and not settled yet."""

    @abstractmethod
    def pause(self) -> None:
        """Deliver nothing more. When it returns, no call of `deliver` is running or will come."""

    @abstractmethod
    def close(self) -> None:
        """Pause, set `is_closed`, and give everything unsettled back to the queue.

        Attempts count where a handler had started. Safe to call twice.
        """

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  (a driver without a network has nothing to wait for)
        """Wait until the backend has confirmed every settlement made so far.

        False if `timeout` seconds pass, or if the backend was lost before.
        """
        return True


class Driver(ABC):
    """The backend of some queues.

    Made once for a runtime, opened and closed as often as its supervisor restarts it.

    Args:
        name: its registry ID, for errors.
        config: what its entry says, an instance of its kind's config class.

    Attributes:
        features: how it differs from others.
        queue_options: the attrs class of a queue's `options`.
        consumer_options: the attrs class of a consumer's `driver_options.<driver>`.
        requires: the library it imports when it opens, and what to install for it: `("redis", "noria[redis]")`.
    """

    features: ClassVar[Features] = Features()
    queue_options: ClassVar[type[QueueOptions]] = QueueOptions
    consumer_options: ClassVar[type[ConsumerOptions]] = ConsumerOptions
    requires: ClassVar[tuple[str, str] | None] = None

    def __init__(self, name: str, config: Any = None) -> None:
        self.name = name
        self.config = config

    @classmethod
    def from_entry(cls, entry: Entry, registry: Registry) -> Self:  # noqa: ARG003  (for those who refer to others)
        """The driver that an entry declares. Connects to nothing."""
        return cls(str(entry.id), entry.config)

    @abstractmethod
    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Connect. `failed` is called once, from any thread, when the backend is lost later. Safe to call twice.

        It does not reconnect by itself: whoever hears of the failure closes it and opens it again.

        Raises:
            DriverUnavailable: the backend cannot be reached now; trying again makes sense.
            DriverRefused: it can never work like this: wrong password, corrupt file, unknown virtual host.
        """

    def open_to_look(self, failed: Callable[[BaseException], None]) -> None:
        """As `open`, for somebody who asks only for `info` and `peek` of queues that are there.

        A backend that takes no changes now, for its disk is full, may still answer. Then `declare` makes and changes
        nothing, and everything else raises DriverUnavailable.
        """
        self.open(failed)

    @abstractmethod
    def close(self) -> None:
        """Release everything; close every subscription; wake waiting publishers. Safe to call twice.

        A driver may be opened again; declared queues, and messages as far as the backend keeps them, are still
        there.
        """

    @abstractmethod
    def declare(self, queue: QueueDeclaration) -> None:
        """Create the queue, or take over its new options. Idempotent; keeps what is queued.

        Raises:
            DriverUnavailable: closed, or the backend is lost.
            DriverRefused: the backend has it with options that cannot be changed; both sides are named.
        """

    @abstractmethod
    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Store the messages; return when they are safe.

        Waits up to `timeout` seconds for room (0: not at all), and no longer than that, or the driver's own limit for
        one answer if that is more, for the backend.

        Raises:
            QueueNotFound: never declared.
            BodyRefused: a message is larger than the backend takes; nothing was published.
            QueueFull: the time was up; `.accepted` says how many of the messages, from the first, were stored.
            DriverUnavailable: closed, lost, or no answer in time; `.accepted` as far as it was confirmed. What was
                not confirmed may have been stored all the same: published again, it is there twice.
        """

    @abstractmethod
    def subscribe(
        self,
        queue: str,
        *,
        consumer: str,
        credit: int,
        deliver: Callable[[Sequence[Delivery]], None],
        options: Any = None,
    ) -> Subscription:
        """Start to deliver: `deliver` is called, from any thread, with one or more deliveries.

        `deliver` returns at once and never raises. The consumers of a queue share fairly. A consumer has one
        subscription: an earlier one, of a life that was cut off before it could close it, is closed first.

        `options` is an instance of the driver's `consumer_options`; None: their defaults.

        Raises:
            QueueNotFound: never declared.
            DriverUnavailable: closed, or the backend is lost.
        """

    @abstractmethod
    def info(self, queue: str) -> QueueInfo:
        """Figures of a queue.

        Raises:
            QueueNotFound: never declared.
            DriverUnavailable: the backend is lost.
        """

    @abstractmethod
    def purge(self, queue: str) -> int:
        """Remove what is ready or delayed, not what is in flight; return how many messages that were.

        Raises:
            QueueNotFound: never declared.
            DriverUnavailable: closed, or the backend is lost.
        """

    @abstractmethod
    def peek(self, queue: str, limit: int) -> Sequence[StoredMessage]:
        """The first `limit` messages, ready ones first in their order; none is taken and no attempt counts.

        Where a backend can only be read by taking, they are taken and given back, and consumers may find them a
        moment later or in another order; then delayed and in-flight ones are left out.

        Raises:
            QueueNotFound: never declared.
            DriverUnavailable: closed, or the backend is lost.
        """

    def __enter__(self) -> Self:
        self.open(lambda _error: None)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@frozen(kw_only=True)
class DriverConfig(ServiceConfig):
    """What every driver's entry has. A subclass names the driver that it configures.

    @frozen(kw_only=True)
    class ShelfConfig(DriverConfig):
        driver = ShelfDriver
        address: str

    SHELF = Kind("queue.driver.shelf", ShelfConfig, check_driver)
    """

    driver: ClassVar[type[Driver]]


def check_driver(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with a driver's entry as far as every driver goes: its lifecycle, its missing library."""
    yield from check_service(entry, registry)
    requires = entry.config.driver.requires
    if requires is not None and importlib.util.find_spec(requires[0]) is None:
        yield "kind", f"{entry.kind} needs the library {requires[0]}: pip install '{requires[1]}'"


def short_name(driver_kind: str) -> str:
    """`memory` for `queue.driver.memory`."""
    return driver_kind.rpartition(".")[2]
