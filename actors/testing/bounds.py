"""Queues that are full, and messages that have waited too long.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from functools import partial

import pytest

from ..driver import Driver
from ..errors import DriverRefused, QueueFull
from .case import DriverCase
from .harness import (
    FOR_EVER,
    PATIENCE,
    ack,
    bodies,
    declare,
    declare_again,
    eventually,
    in_order,
    in_threads,
    nack,
    needs,
    numbered,
    publish,
    subscribe,
)


class Bounds(DriverCase):
    """`max_length` and `message_ttl`."""

    # ---- max_length ----------------------------------------------------------------------------------

    @needs("bounded")
    def test_a_full_queue_refuses_after_the_timeout_and_says_how_many_it_took(self, driver: Driver) -> None:
        queue = declare(driver, max_length=3)

        with pytest.raises(QueueFull) as caught:
            publish(driver, queue, *numbered(5), timeout=0)
        with pytest.raises(QueueFull) as again:
            publish(driver, queue, b"x", timeout=0.05)

        assert (caught.value.accepted, again.value.accepted) == (3, 0)
        assert caught.value.retryable
        _, receiver = subscribe(driver, queue)
        assert in_order(driver, bodies(receiver.take(3))) == [b"0", b"1", b"2"]

    def test_a_queue_is_full_some_time_and_nothing_it_accepted_is_lost(self, driver: Driver) -> None:
        """Also where the bound is only approximate."""
        queue = declare(driver, max_length=10)
        accepted: list[str] = []

        def fill() -> None:
            for _ in range(200):
                accepted.extend(publish(driver, queue, *numbered(10), timeout=0))

        with pytest.raises(QueueFull) as caught:
            fill()

        count = len(accepted) + caught.value.accepted
        _, receiver = subscribe(driver, queue, credit=3000)
        arrived = [delivery.message.id for delivery in receiver.take(count)]
        assert len(set(arrived)) == count
        assert set(accepted) <= set(arrived)
        assert receiver.waiting == 0

    def test_a_publisher_waits_for_room(self, driver: Driver) -> None:
        queue = declare(driver, max_length=2)
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue, credit=1)
        found = []

        def consume() -> None:
            for _ in range(5):
                delivery = receiver.take_one()
                found.append(delivery.message.body)
                ack(delivery)

        in_threads(partial(publish, driver, queue, b"3", b"4", b"5"), consume)

        assert in_order(driver, found) == [b"1", b"2", b"3", b"4", b"5"]

    def test_every_waiting_publisher_gets_its_turn(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        _, receiver = subscribe(driver, queue, credit=1)

        def consume() -> None:
            for _ in range(20):
                ack(receiver.take_one())

        def produce() -> None:
            for _ in range(4):
                publish(driver, queue, b"x")

        in_threads(consume, *[produce] * 5)

        assert receiver.waiting == 0

    @needs("bounded")
    def test_publishers_together_keep_to_the_bound(self, driver: Driver) -> None:
        queue = declare(driver, max_length=10)
        accepted: list[int] = []

        def produce() -> None:
            try:
                publish(driver, queue, *numbered(7), timeout=0)
                accepted.append(7)
            except QueueFull as full:
                accepted.append(full.accepted)

        in_threads(*[produce] * 4)

        assert sum(accepted) == 10
        _, receiver = subscribe(driver, queue)
        receiver.take(10)
        assert receiver.waiting == 0

    @needs("bounded")
    def test_what_is_in_flight_does_not_wait_and_does_not_count(self, driver: Driver) -> None:
        queue = declare(driver, max_length=2)
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue, credit=2)
        receiver.take(2)

        publish(driver, queue, b"3", b"4")

        with pytest.raises(QueueFull):
            publish(driver, queue, b"5", timeout=0)

    @needs("bounded")
    def test_a_nack_has_room_in_a_full_queue(self, driver: Driver) -> None:
        """Decisions: 'nack on a full queue: always room for what was already accepted'."""
        queue = declare(driver, max_length=2)
        publish(driver, queue, b"1", b"2")
        subscription, receiver = subscribe(driver, queue, credit=2)
        taken = receiver.take(2)
        publish(driver, queue, b"3", b"4")
        subscription.pause()

        nack(taken[0], delay=0.05)
        nack(taken[1])
        assert subscription.flush(PATIENCE)
        subscription.close()

        with pytest.raises(QueueFull):
            publish(driver, queue, b"5", timeout=0)
        _, second = subscribe(driver, queue)
        assert sorted(bodies(second.take(4))) == [b"1", b"2", b"3", b"4"]

    @needs("bounded")
    def test_what_is_delayed_waits_and_counts(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        publish(driver, queue, b"1")
        subscription, receiver = subscribe(driver, queue)
        nack(receiver.take_one(), delay=FOR_EVER)
        assert subscription.flush(PATIENCE)

        with pytest.raises(QueueFull):
            publish(driver, queue, b"2", timeout=0)

    @needs("bounded")
    def test_a_larger_max_length_applies_at_once(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        publish(driver, queue, b"1")

        try:
            declare_again(driver, queue, max_length=2)
        except DriverRefused:
            pytest.skip("the backend keeps the options that a queue was made with, and says so")

        publish(driver, queue, b"2", timeout=0)
        assert eventually(lambda: driver.info(queue).ready == 2)

    @needs("durable")
    def test_without_a_max_length_there_is_no_bound(self, driver: Driver, queue: str) -> None:
        """More than the thousand that a queue in memory takes by itself."""
        for _ in range(4):
            publish(driver, queue, *numbered(260), timeout=PATIENCE)

        _, receiver = subscribe(driver, queue, credit=2000)
        receiver.take(1040)

    # ---- message_ttl ---------------------------------------------------------------------------------

    def test_what_waited_too_long_is_marked_as_expired(self, driver: Driver) -> None:
        queue = declare(driver, message_ttl=0.2)
        [sent] = publish(driver, queue, b"old")
        threading.Event().wait(0.5)  # only time makes it old

        _, receiver = subscribe(driver, queue)

        delivery = receiver.take_one()
        assert delivery.message.id == sent
        assert delivery.is_expired

    def test_what_is_younger_than_the_limit_is_not_expired(self, driver: Driver) -> None:
        queue = declare(driver, message_ttl=FOR_EVER)
        publish(driver, queue, b"young")
        _, receiver = subscribe(driver, queue)

        for _ in range(2):
            delivery = receiver.take_one()
            assert not delivery.is_expired
            nack(delivery)
