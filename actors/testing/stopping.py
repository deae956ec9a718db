"""Pausing, closing, subscribing again, opening again.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading

import pytest

from ..driver import Driver
from ..errors import DriverUnavailable
from .case import DriverCase
from .harness import PATIENCE, Receiver, bodies, declare, declare_again, nack, publish, subscribe


class Stopping(DriverCase):
    """Pausing, closing, subscribing again, opening again."""

    def test_after_pause_nothing_more_is_delivered(self, driver: Driver, queue: str) -> None:
        """Seed: 'Stop accepting new deliveries'."""
        subscription, receiver = subscribe(driver, queue)

        subscription.pause()
        publish(driver, queue, b"1")

        _, second = subscribe(driver, queue)
        assert bodies(second.take(1)) == [b"1"]
        assert receiver.waiting == 0

    def test_closing_returns_what_is_unsettled(self, driver: Driver, queue: str) -> None:
        """[CancelAttach] [ReattachAfterCancel] An attempt counts where a handler had started."""
        publish(driver, queue, b"seen", b"unseen")
        subscription, receiver = subscribe(driver, queue)
        seen, _ = receiver.take(2)
        seen.started = True

        assert not subscription.is_closed
        subscription.close()
        subscription.close()

        assert subscription.is_closed
        _, second = subscribe(driver, queue)
        again = {delivery.message.body: delivery.attempt for delivery in second.take(2)}
        assert again == {b"seen": 2, b"unseen": 1}

    def test_a_consumer_that_subscribes_again_gets_back_what_its_earlier_life_held(
        self, driver: Driver, queue: str
    ) -> None:
        publish(driver, queue, b"1", b"2")
        first, second = Receiver(), Receiver()
        driver.subscribe(queue, consumer="c", credit=2, deliver=first)
        first.take(2)[0].started = True

        driver.subscribe(queue, consumer="c", credit=2, deliver=second)

        assert {d.message.body: d.attempt for d in second.take(2)} == {b"1": 2, b"2": 1}
        assert driver.info(queue).consumer_count == 1

    def test_subscribing_and_closing_quickly_loses_nothing(self, driver: Driver, queue: str) -> None:
        """[RapidAttachDetach]"""
        publish(driver, queue, b"1", b"2", b"3")
        for _ in range(10):
            subscribe(driver, queue, credit=2)[0].close()

        _, receiver = subscribe(driver, queue)

        assert sorted(bodies(receiver.take(3))) == [b"1", b"2", b"3"]

    def test_a_closed_driver_refuses_and_keeps_everything_until_it_opens_again(
        self, driver: Driver, queue: str
    ) -> None:
        """Decisions: 'declared queues and messages survive a restart by the supervisor'."""
        publish(driver, queue, b"ready", b"flying", b"delayed")
        _, receiver = subscribe(driver, queue)
        taken = {delivery.message.body: delivery for delivery in receiver.take(3)}
        nack(taken[b"delayed"], delay=0.2)

        driver.close()
        driver.close()
        with pytest.raises(DriverUnavailable) as caught:
            publish(driver, queue, b"refused")
        assert caught.value.retryable
        with pytest.raises(DriverUnavailable):
            subscribe(driver, queue)

        driver.open(lambda _error: None)
        driver.open(lambda _error: None)
        declare_again(driver, queue)
        _, second = subscribe(driver, queue)
        assert sorted(bodies(second.take(3))) == [b"delayed", b"flying", b"ready"]

    def test_closing_the_driver_wakes_a_waiting_publisher(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        publish(driver, queue, b"1")
        result: list[BaseException] = []
        entered = threading.Event()

        def publish_more() -> None:
            entered.set()
            try:
                publish(driver, queue, b"2")
            except DriverUnavailable as error:
                result.append(error)

        publisher = threading.Thread(target=publish_more)
        publisher.start()
        assert entered.wait(PATIENCE)
        driver.close()
        publisher.join(PATIENCE)

        assert not publisher.is_alive()
        assert len(result) == 1
