"""Pausing and closing: of a subscription, and of the driver.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from collections.abc import Sequence
from functools import partial

import pytest

from ..delivery import Delivery
from ..driver import Driver
from ..errors import DriverUnavailable
from .case import DriverCase, MakeDriver
from .harness import (
    FOR_EVER,
    PATIENCE,
    ack,
    bodies,
    check_attempt,
    check_unsuspected,
    declare,
    declare_again,
    eventually,
    in_order,
    in_threads,
    nack,
    needs,
    numbered,
    publish,
    release,
    subscribe,
)


class Stopping(DriverCase):
    """What is unsettled goes back; what is stored stays."""

    # ---- subscriptions -------------------------------------------------------------------------------

    def test_after_pause_nothing_more_is_delivered(self, driver: Driver, queue: str) -> None:
        """Seed: 'Stop accepting new deliveries'."""
        subscription, receiver = subscribe(driver, queue)

        subscription.pause()
        publish(driver, queue, b"1")

        _, second = subscribe(driver, queue)
        assert bodies(second.take(1)) == [b"1"]
        assert receiver.waiting == 0

    def test_pause_returns_when_deliver_has(self, driver: Driver, queue: str) -> None:
        happened: list[str] = []
        is_delivering, gate = threading.Event(), threading.Event()

        def deliver(_deliveries: Sequence[Delivery]) -> None:
            is_delivering.set()
            gate.wait(PATIENCE)
            happened.append("delivered")

        subscription = driver.subscribe(queue, consumer="slow", credit=1, deliver=deliver)
        publisher = threading.Thread(target=publish, args=(driver, queue, b"x"), daemon=True)
        publisher.start()
        assert is_delivering.wait(PATIENCE)

        def pause() -> None:
            subscription.pause()
            happened.append("paused")

        in_threads(pause, gate.set)
        publisher.join(PATIENCE)

        assert happened == ["delivered", "paused"]

    def test_what_a_paused_consumer_holds_can_be_settled(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, *numbered(3))
        subscription, receiver = subscribe(driver, queue)
        first, second, _ = receiver.take(3)
        subscription.pause()

        ack(first)
        nack(second, delay=FOR_EVER)
        assert subscription.flush(PATIENCE)

        assert len(subscription.unsettled()) == 1
        assert not driver.features.exact_info or driver.info(queue).message_count == 2

    def test_closing_returns_what_is_unsettled(self, driver: Driver, queue: str) -> None:
        """[CancelAttach] [ReattachAfterCancel] An attempt counts where a handler had started."""
        publish(driver, queue, b"seen", b"unseen")
        subscription, receiver = subscribe(driver, queue)
        taken = {delivery.message.body: delivery for delivery in receiver.take(2)}
        taken[b"seen"].started = True

        assert not subscription.is_closed
        subscription.close()
        subscription.close()

        assert subscription.is_closed
        assert list(subscription.unsettled()) == []
        _, second = subscribe(driver, queue)
        again = {delivery.message.body: delivery for delivery in second.take(2)}
        check_attempt(driver, again[b"seen"], 2)
        check_attempt(driver, again[b"unseen"], 1)

    def test_a_consumer_that_subscribes_again_gets_back_what_its_earlier_life_held(
        self, driver: Driver, queue: str
    ) -> None:
        publish(driver, queue, b"1", b"2")
        earlier, first = subscribe(driver, queue, consumer="c", credit=2)
        taken = first.take(2)
        taken[0].started = True

        _, second = subscribe(driver, queue, consumer="c", credit=2)

        assert earlier.is_closed
        again = {delivery.message.id: delivery for delivery in second.take(2)}
        check_attempt(driver, again[taken[0].message.id], 2)
        check_attempt(driver, again[taken[1].message.id], 1)
        assert eventually(lambda: driver.info(queue).consumer_count == 1)

    def test_one_consumer_name_on_two_queues_is_two_consumers(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        first, first_receiver = subscribe(driver, queue, consumer="c")
        second, second_receiver = subscribe(driver, other, consumer="c")

        publish(driver, queue, b"1")
        publish(driver, other, b"2")

        assert not first.is_closed
        assert not second.is_closed
        assert bodies(first_receiver.take(1)) == [b"1"]
        assert bodies(second_receiver.take(1)) == [b"2"]

    def test_subscribing_and_closing_quickly_loses_nothing(self, driver: Driver, queue: str) -> None:
        """[RapidAttachDetach] While somebody publishes."""

        def come_and_go() -> None:
            for _ in range(10):
                subscribe(driver, queue, credit=2)[0].close()

        def produce() -> None:
            for body in numbered(20)[10:]:
                publish(driver, queue, body)

        publish(driver, queue, *numbered(10))
        in_threads(come_and_go, produce, come_and_go)

        _, receiver = subscribe(driver, queue)
        again = receiver.take(20)
        assert sorted(bodies(again), key=int) == numbered(20)
        assert receiver.waiting == 0
        for delivery in again:
            check_attempt(driver, delivery, 1)

    # ---- the driver ----------------------------------------------------------------------------------

    def test_a_closed_driver_refuses_and_keeps_everything_until_it_opens_again(
        self, driver: Driver, queue: str
    ) -> None:
        """Decisions: 'declared queues and messages survive a restart by the supervisor'."""
        publish(driver, queue, b"ready", b"flying", b"delayed")
        subscription, receiver = subscribe(driver, queue)
        taken = {delivery.message.body: delivery for delivery in receiver.take(3)}
        nack(taken[b"delayed"], delay=0.2)

        driver.close()
        driver.close()
        assert subscription.is_closed
        for verb in (
            partial(declare_again, driver, queue),
            partial(declare_again, driver, f"{queue}-new"),
            partial(publish, driver, queue, b"refused"),
            partial(subscribe, driver, queue),
            partial(driver.purge, queue),
            partial(driver.peek, queue, 1),
        ):
            with pytest.raises(DriverUnavailable) as caught:
                verb()
            assert caught.value.retryable
            assert caught.value.accepted == 0

        driver.open(lambda _error: None)
        driver.open(lambda _error: None)
        declare_again(driver, queue)
        _, second = subscribe(driver, queue)
        assert sorted(bodies(second.take(3))) == [b"delayed", b"flying", b"ready"]

    def test_settling_after_the_driver_was_closed_is_harmless(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, *numbered(4))
        subscription, receiver = subscribe(driver, queue)
        acked, nacked, released, moved = receiver.take(4)

        driver.close()
        ack(acked)
        nack(nacked)
        release(released)
        assert moved.claim()
        subscription.move(moved, queue, moved.message)
        subscription.flush(0)
        subscription.pause()
        subscription.close()

        assert list(subscription.unsettled()) == []
        driver.open(lambda _error: None)
        declare_again(driver, queue)
        _, second = subscribe(driver, queue)
        assert in_order(driver, bodies(second.take(4))) == numbered(4)
        assert second.waiting == 0

    @needs("bounded")
    def test_closing_the_driver_wakes_a_waiting_publisher(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        refusals: list[DriverUnavailable] = []

        def produce() -> None:
            try:
                publish(driver, queue, b"1", b"2", b"3", timeout=FOR_EVER)
            except DriverUnavailable as refusal:
                refusals.append(refusal)

        publisher = threading.Thread(target=produce, daemon=True)
        publisher.start()
        assert eventually(lambda: driver.info(queue).ready == 1)
        driver.close()
        publisher.join(PATIENCE)

        assert not publisher.is_alive()
        assert [refusal.accepted for refusal in refusals] == [1]

    def test_a_driver_that_was_never_opened_can_be_closed(self, make_driver: MakeDriver) -> None:
        driver = make_driver()

        driver.close()
        driver.close()

    def test_its_threads_end_when_it_is_closed(self, make_driver: MakeDriver) -> None:
        """Its tests may have threads of their own, for a network to cut, say: they begin when it opens first."""
        driver = make_driver()
        with driver:
            declare(driver)
        before = set(threading.enumerate())

        with driver:
            queue = declare(driver)
            subscription, receiver = subscribe(driver, queue)
            publish(driver, queue, b"1", b"2")
            first, _ = receiver.take(2)
            nack(first, delay=FOR_EVER)
            subscription.flush(PATIENCE)
            assert all(thread.daemon for thread in set(threading.enumerate()) - before)

        assert eventually(lambda: not set(threading.enumerate()) - before)

    @needs("durable")
    def test_a_new_process_finds_everything(
        self, driver: Driver, queue: str, make_driver: MakeDriver
    ) -> None:
        publish(driver, queue, b"ready", b"flying", b"delayed", b"acked")
        subscription, receiver = subscribe(driver, queue)
        taken = {delivery.message.body: delivery for delivery in receiver.take(4)}
        nack(taken[b"delayed"], delay=0.2)
        ack(taken[b"acked"])
        assert subscription.flush(PATIENCE)
        driver.close()

        with make_driver() as successor:
            declare_again(successor, queue)
            _, second = subscribe(successor, queue)
            found = {delivery.message.body: delivery for delivery in second.take(3)}
            assert sorted(found) == [b"delayed", b"flying", b"ready"]
            check_attempt(successor, found[b"delayed"], 2)
            check_attempt(successor, found[b"flying"], 1)
            check_unsuspected(successor, found[b"flying"])
            publish(successor, queue, b"marker")
            assert bodies(second.take(1)) == [b"marker"]
