"""What a driver promises.

Knows: the contract between noria and a backend. Must not know: any backend, codecs, policies, actors.

A driver moves encoded messages in and out of one backend. It is batch-first: every verb takes many. It is
thread-safe: publishers, workers and its own threads call it at once. It does not retry, log, count attempts'
limits or check policies; its queue does, once for all drivers. `tests/actors/drivers/test_driver_conformance.py`
holds the promises as tests; a driver that passes them fits.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from attrs import field, frozen

from .delivery import Delivery, Message


@frozen(kw_only=True)
class Features:
    """How drivers differ, as data: nobody asks which class a driver is.

    Attributes:
        durable: messages outlive the process.
        shared: other programs use the same backend, and know its queues by name.
        ordered: a single consumer that acks everything sees messages in the order they were published.
        exact_info: `info` is exact at every moment, not an estimate.
    """

    durable: bool = False
    shared: bool = False
    ordered: bool = True
    exact_info: bool = True


@frozen(kw_only=True)
class QueueDeclaration:
    """What a driver is told of a queue.

    Attributes:
        name: the backend's name of the queue, unique within the driver.
        options: the driver's own options; the driver refuses those it does not have (`Driver.check_options`).
    """

    name: str
    options: Mapping[str, Any] = field(factory=dict)


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

    The settling verbs do not wait for the backend: a driver with a network hands them to a thread of its own and
    reports what fails through `Driver.open`'s `failed`; `flush` waits for them. Each delivery is claimed
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

        Returns:
            False if the other queue has no room or does not exist; the delivery is then still unsettled.
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
        """Wait until the backend has confirmed every settlement made so far; False if `timeout` seconds pass."""
        return True


class Driver(ABC):
    """The backend of some queues.

    Made once for a runtime, opened and closed as often as its supervisor restarts it.

    Args:
        name: its registry ID, for errors.
        config: what its entry says, an instance of its kind's config class.
    """

    features: ClassVar[Features] = Features()

    def __init__(self, name: str, config: Any = None) -> None:
        self.name = name
        self.config = config

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Problems of a queue's options for this driver: option name to what is wrong. No options by default."""
        return dict.fromkeys(options, "the driver has no such option")

    @classmethod
    def check_consumer_options(cls, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The same for a consumer's options. No options by default."""
        return dict.fromkeys(options, "the driver has no such option for a consumer")

    @abstractmethod
    def open(self, failed: Callable[[BaseException], None]) -> None:
        """Connect. `failed` is called, from any thread, when the backend is lost later. Safe to call twice."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; close every subscription; wake waiting publishers. Safe to call twice.

        A driver may be opened again; declared queues, and messages as far as the backend keeps them, are still
        there.
        """

    @abstractmethod
    def declare(self, queue: QueueDeclaration) -> None:
        """Create the queue, or take over its new options. Idempotent; keeps what is queued."""

    @abstractmethod
    def publish(self, queue: str, messages: Sequence[Message], timeout: float) -> None:
        """Store the messages; return when they are safe.

        Waits for room up to `timeout` seconds (0: not at all).

        Raises:
            QueueNotFound: never declared.
            QueueFull: the time was up; `.accepted` says how many of the messages, from the first, were stored.
            DriverUnavailable: closed, or the backend is lost.
        """

    @abstractmethod
    def subscribe(
        self, queue: str, *, consumer: str, credit: int, deliver: Callable[[Sequence[Delivery]], None]
    ) -> Subscription:
        """Start to deliver: `deliver` is called, from any thread, with one or more deliveries.

        `deliver` returns at once and never raises. The consumers of a queue share fairly. A consumer has one
        subscription: an earlier one, of a life that was cut off before it could close it, is closed first.

        Raises:
            QueueNotFound: never declared.
            DriverUnavailable: closed, or the backend is lost.
        """

    @abstractmethod
    def info(self, queue: str) -> QueueInfo:
        """Figures of a queue.

        Raises:
            QueueNotFound: never declared.
        """

    def __enter__(self) -> Self:
        self.open(lambda _error: None)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
