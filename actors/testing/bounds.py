"""Queues that are full, and messages that waited too long.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading

import pytest

from ..driver import Driver, QueueDeclaration
from ..errors import QueueFull
from .case import DriverCase
from .harness import FOR_EVER, PATIENCE, ack, bodies, declare, nack, publish, subscribe


class Bounds(DriverCase):
    """Queues that are full, and messages that waited too long."""

    def test_a_full_queue_refuses_after_the_timeout_and_says_how_many_it_took(self, driver: Driver) -> None:
        queue = declare(driver, max_length=3)

        with pytest.raises(QueueFull) as caught:
            publish(driver, queue, *(str(n).encode() for n in range(5)), timeout=0)

        assert caught.value.accepted == 3
        assert caught.value.retryable
        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(3)) == [b"0", b"1", b"2"]

    def test_a_publisher_waits_for_room(self, driver: Driver) -> None:
        queue = declare(driver, max_length=2)
        publish(driver, queue, b"1", b"2")
        finished = threading.Event()

        def publish_more() -> None:
            publish(driver, queue, b"3", b"4", b"5")
            finished.set()

        publisher = threading.Thread(target=publish_more)
        publisher.start()
        _, receiver = subscribe(driver, queue, credit=1)
        order = []
        for _ in range(5):
            [delivery] = receiver.take(1)
            order.append(delivery.message.body)
            ack(delivery)

        assert finished.wait(PATIENCE)
        publisher.join()
        assert order == [b"1", b"2", b"3", b"4", b"5"]

    def test_a_nack_has_room_in_a_full_queue(self, driver: Driver) -> None:
        """Decisions: 'memory driver, nack on a full queue: always room for what was already accepted'."""
        queue = declare(driver, max_length=2)
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue, credit=2)
        first, second = receiver.take(2)
        blocked, _ = subscribe(driver, queue, credit=1)
        blocked.pause()
        nack(first, delay=FOR_EVER)
        nack(second, delay=FOR_EVER)

        with pytest.raises(QueueFull):
            publish(driver, queue, b"3", timeout=0)

        assert driver.info(queue).delayed == 2

    def test_a_larger_max_length_applies_at_once(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        publish(driver, queue, b"1")

        driver.declare(QueueDeclaration(name=queue, options=driver.queue_options(max_length=2)))

        publish(driver, queue, b"2", timeout=0)
        assert driver.info(queue).ready == 2
