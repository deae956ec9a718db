"""The backend is lost while the driver is open, and comes back.

Knows: the contract of a driver. Must not know: any driver, how it loses its backend.
"""

import threading
from collections.abc import Iterator

import pytest

from ..driver import Driver
from ..errors import DriverUnavailable
from .case import DoTo, DriverCase, MakeDriver
from .harness import (
    FOR_EVER,
    PATIENCE,
    ack,
    bodies,
    declare,
    declare_again,
    eventually,
    nack,
    need,
    numbered,
    publish,
    release,
    subscribe,
)


class Watched:
    """An open driver, and what it has said of its end."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.failures: list[BaseException] = []
        self._has_failed = threading.Event()
        driver.open(self.failed)

    def failed(self, error: BaseException) -> None:
        """As a supervisor hears it."""
        self.failures.append(error)
        self._has_failed.set()

    def wait_until_failed(self) -> None:
        """It has to notice by itself."""
        assert self._has_failed.wait(PATIENCE), "the driver did not notice that its backend is lost"

    def open_again(self) -> None:
        """As a supervisor does it."""
        self.driver.close()
        self._has_failed.clear()
        self.driver.open(self.failed)


class Losses(DriverCase):
    """For drivers whose tests say how one loses its backend (`cut`)."""

    @pytest.fixture
    def watched(self, make_driver: MakeDriver, cut: DoTo) -> Iterator[Watched]:
        """A driver of its own, for the other one's failures are nobody's."""
        del cut  # without it there is nothing to watch
        driver = make_driver()
        try:
            yield Watched(driver)
        finally:
            driver.close()

    def test_a_lost_backend_is_told_once_and_ends_every_subscription(
        self, watched: Watched, cut: DoTo
    ) -> None:
        driver = watched.driver
        queue, other = declare(driver), declare(driver)
        publish(driver, queue, *numbered(3))
        first, receiver = subscribe(driver, queue)
        second, _ = subscribe(driver, other)
        receiver.take(3)

        cut(driver)
        watched.wait_until_failed()

        assert eventually(lambda: first.is_closed and second.is_closed)
        assert list(first.unsettled()) == []
        with pytest.raises(DriverUnavailable) as caught:
            publish(driver, queue, b"x", timeout=0)
        assert caught.value.retryable
        assert caught.value.accepted == 0
        with pytest.raises(DriverUnavailable):
            subscribe(driver, queue)
        driver.close()
        assert len(watched.failures) == 1

    def test_everything_is_there_when_it_opens_again(self, watched: Watched, cut: DoTo) -> None:
        driver = watched.driver
        queue = declare(driver)
        publish(driver, queue, *numbered(4))
        subscription, receiver = subscribe(driver, queue, credit=2)
        acked, held = receiver.take(2)
        subscription.pause()
        ack(acked)
        assert subscription.flush(PATIENCE)

        cut(driver)
        watched.wait_until_failed()
        watched.open_again()
        declare_again(driver, queue)

        _, second = subscribe(driver, queue)
        found = bodies(second.take(3))
        assert held.message.body in found
        assert sorted(found) == sorted(set(numbered(4)) - {acked.message.body})
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]
        assert len(watched.failures) == 1

    def test_settling_after_the_loss_is_harmless(self, watched: Watched, cut: DoTo) -> None:
        driver = watched.driver
        queue = declare(driver)
        publish(driver, queue, *numbered(4))
        subscription, receiver = subscribe(driver, queue)
        acked, nacked, released, moved = receiver.take(4)

        cut(driver)
        watched.wait_until_failed()
        ack(acked)
        nack(nacked)
        release(released)
        assert moved.claim()
        subscription.move(moved, queue, moved.message)
        subscription.flush(PATIENCE)
        subscription.pause()
        subscription.close()

        watched.open_again()
        declare_again(driver, queue)
        _, second = subscribe(driver, queue)
        assert sorted(bodies(second.take(4))) == numbered(4)

    def test_a_publisher_that_waits_for_room_is_answered(self, watched: Watched, cut: DoTo) -> None:
        need(watched.driver, "bounded")
        queue = declare(watched.driver, max_length=1)
        refusals: list[DriverUnavailable] = []

        def produce() -> None:
            try:
                publish(watched.driver, queue, b"1", b"2", timeout=FOR_EVER)
            except DriverUnavailable as refusal:
                refusals.append(refusal)

        publisher = threading.Thread(target=produce, daemon=True)
        publisher.start()
        assert eventually(lambda: watched.driver.info(queue).ready == 1)
        subscribe(watched.driver, declare(watched.driver))
        cut(watched.driver)
        publisher.join(PATIENCE)

        assert not publisher.is_alive()
        assert [refusal.accepted for refusal in refusals] == [1]

    def test_it_can_be_lost_again_and_again(self, watched: Watched, cut: DoTo) -> None:
        driver = watched.driver
        queue = declare(driver)
        for count in (1, 2, 3):
            subscribe(driver, queue)
            cut(driver)
            watched.wait_until_failed()
            assert len(watched.failures) == count
            watched.open_again()
            declare_again(driver, queue)

        publish(driver, queue, b"still here")
        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(1)) == [b"still here"]
