"""What the cases have at hand: messages, a receiver that a case can wait for, settlements as workers make them.

Knows: the contract of a driver. Must not know: any driver.
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import pytest

from ..delivery import Delivery, Message, new_message_id
from ..driver import Driver, QueueDeclaration, Subscription

PATIENCE = 20.0
# Longer than any test: what waits for so long is not seen again.
FOR_EVER = 3600.0

_numbers = itertools.count(1)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Receiver:
    """Takes deliveries from a subscription and lets a case wait for them."""

    def __init__(self) -> None:
        self._arrived: list[Delivery] = []
        self._changed = threading.Condition()

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        """Be handed deliveries."""
        with self._changed:
            self._arrived.extend(deliveries)
            self._changed.notify_all()

    def take(self, count: int) -> list[Delivery]:
        """The next `count` deliveries, in order of arrival."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._arrived) >= count, PATIENCE), (
                f"waited for {count} deliveries, got {len(self._arrived)}"
            )
            taken, self._arrived = self._arrived[:count], self._arrived[count:]
            return taken

    def take_one(self) -> Delivery:
        """The next delivery."""
        return self.take(1)[0]

    @property
    def waiting(self) -> int:
        """How many have arrived and were not taken."""
        with self._changed:
            return len(self._arrived)


def need(driver: Driver, *features: str) -> None:
    """Skips the rest of a case, and says why, on a driver whose features lack one of these."""
    for feature in features:
        if not getattr(driver.features, feature):
            pytest.skip(f"{type(driver).__name__} does not promise `{feature}`")


def needs(*features: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Skips a whole case on a driver, its fixture `driver`, whose features lack one of these."""

    def wrap(case: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(case)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            driver = kwargs["driver"]
            assert isinstance(driver, Driver)
            need(driver, *features)
            return case(*args, **kwargs)

        return run

    return wrap


def declare(driver: Driver, *, label: str = "conformance", **options: Any) -> str:
    """A new queue with a name that no other test has, in this run or another."""
    name = f"{label}-{next(_numbers)}-{new_message_id()[:8]}"
    declare_again(driver, name, **options)
    return name


def declare_again(driver: Driver, name: str, **options: Any) -> None:
    """Tell the driver of a queue that may be there."""
    driver.declare(QueueDeclaration(name=name, options=driver.queue_options(**options)))


def numbered(count: int) -> list[bytes]:
    """That many bodies, all different."""
    return [str(number).encode() for number in range(count)]


def messages(*bodies: bytes, **headers: object) -> list[Message]:
    """New messages."""
    return [Message(new_message_id(), body, headers) for body in bodies]


def publish(driver: Driver, queue: str, *bodies: bytes, timeout: float = PATIENCE) -> list[str]:
    """Publish these bodies in one batch; their message IDs."""
    made = messages(*bodies)
    driver.publish(queue, made, timeout)
    return [message.id for message in made]


def subscribe(
    driver: Driver, queue: str, *, credit: int = 100, consumer: str | None = None
) -> tuple[Subscription, Receiver]:
    """A consumer of its own name, unless told one."""
    receiver = Receiver()
    name = consumer or f"consumer-{next(_numbers)}"
    return driver.subscribe(queue, consumer=name, credit=credit, deliver=receiver), receiver


def ack(*deliveries: Delivery) -> None:
    """As a worker does it whose buffer is empty then: a driver may have collected acks until now."""
    for delivery in deliveries:
        assert delivery.claim()
        delivery.subscription.ack([delivery])
    for subscription in {delivery.subscription for delivery in deliveries}:
        subscription.hurry()


def nack(delivery: Delivery, delay: float = 0.0) -> None:
    """As after a handler that failed."""
    assert delivery.claim()
    delivery.started = True
    delivery.subscription.nack(delivery, delay)


def release(*deliveries: Delivery) -> None:
    """As a consumer does with what no handler saw. All of one subscription."""
    for delivery in deliveries:
        assert delivery.claim()
    deliveries[0].subscription.release(deliveries)


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    """What they carry."""
    return [delivery.message.body for delivery in deliveries]


def check_attempt(driver: Driver, delivery: Delivery, expected: int) -> None:
    """Exactly this number, or at least this where a driver counts more than handler runs."""
    if driver.features.exact_attempts:
        assert delivery.attempt == expected
    else:
        assert delivery.attempt >= expected


def check_unsuspected(driver: Driver, delivery: Delivery) -> None:
    """No process has died with it, so it is not taken for a suspect, unless the driver cannot tell."""
    assert not delivery.is_suspect or not driver.features.tells_crashes


def in_order(driver: Driver, found: Iterable[bytes]) -> list[bytes]:
    """What arrived, as it arrived where the driver promises an order, sorted where it does not."""
    return list(found) if driver.features.ordered else sorted(found)


def eventually(condition: Callable[[], bool]) -> bool:
    """For figures of backends that settle in the background; True as soon as it holds."""
    pause = threading.Event()
    return any(condition() or pause.wait(0.02) for _ in range(int(PATIENCE / 0.02)))


def in_threads(*calls: Callable[[], object]) -> None:
    """Make these calls at once and wait until all have returned; raises what one of them raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE)
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a call did not return"
    if raised:
        raise raised[0]
