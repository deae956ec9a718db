"""Two drivers on one backend, as two processes have them.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from collections import Counter
from functools import partial

import pytest

from ..driver import Driver
from ..errors import QueueFull
from .case import DriverCase
from .harness import (
    PATIENCE,
    Receiver,
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
    subscribe,
)


class Sharing(DriverCase):
    """For drivers that several processes may use at once."""

    @pytest.fixture
    def common(self, another: Driver, queue: str) -> str:
        """A queue that both know."""
        declare_again(another, queue)
        return queue

    def test_a_publisher_in_one_process_wakes_a_consumer_in_the_other(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        _, receiver = subscribe(another, common)

        for body in numbered(5):
            publish(driver, common, body)
            delivery = receiver.take_one()
            assert delivery.message.body == body
            ack(delivery)

    def test_nothing_is_handled_twice_while_its_owner_lives(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        """And both take part."""
        seen, guard, total = Counter[str](), threading.Lock(), 300
        by_process: Counter[Driver] = Counter()
        is_done = threading.Event()

        def consume(process: Driver) -> None:
            receiver = Receiver()
            process.subscribe(common, consumer="same name", credit=5, deliver=receiver)
            while not is_done.is_set():
                if not receiver.waiting:
                    is_done.wait(0.001)
                    continue
                delivery = receiver.take_one()
                with guard:
                    seen[delivery.message.id] += 1
                    by_process[process] += 1
                    if len(seen) == total and min(by_process.values()) > 0:
                        is_done.set()
                ack(delivery)

        def produce() -> None:
            for _ in range(total // 10):
                publish(driver, common, *numbered(10))
            if not is_done.wait(PATIENCE):
                is_done.set()

        in_threads(partial(consume, driver), partial(consume, another), produce)

        assert len(seen) == total
        assert set(seen.values()) == {1}
        assert len(by_process) == 2

    def test_a_process_that_has_credit_is_not_starved_by_one_that_has_none(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        _, stuck = subscribe(driver, common, credit=3)
        publish(driver, common, *numbered(3))
        assert len(stuck.take(3)) == 3

        _, lively = subscribe(another, common, credit=3)
        publish(driver, common, *numbered(17))

        for _ in range(17):
            ack(lively.take_one())

    def test_one_consumer_name_in_two_processes_is_two_consumers(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        """The second one does not take away what the first one holds."""
        publish(driver, common, b"held")
        first, receiver = subscribe(driver, common, consumer="c")
        held = receiver.take_one()

        _, second = subscribe(another, common, consumer="c")
        publish(driver, common, *numbered(4))

        assert not first.is_closed
        assert held in first.unsettled()
        assert eventually(lambda: receiver.waiting + second.waiting == 4)
        assert held.message.id not in {delivery.message.id for delivery in second.take(second.waiting)}

    def test_a_long_handler_keeps_its_delivery(
        self, driver: Driver, another: Driver, common: str, lease: float
    ) -> None:
        """However short the lease is: its owner lives, and says so."""
        publish(driver, common, b"long")
        subscription, receiver = subscribe(driver, common)
        held = receiver.take_one()
        _, second = subscribe(another, common)

        threading.Event().wait(3 * lease)  # long means longer than the lease

        # The marker goes to either of them; what was held, to nobody.
        publish(driver, common, b"marker")
        assert eventually(lambda: receiver.waiting + second.waiting == 1)
        ack(held)
        assert subscription.flush(PATIENCE)
        assert eventually(lambda: driver.info(common).message_count == 1)

    def test_what_one_process_gives_back_the_other_gets_at_once(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        publish(driver, common, b"nacked", b"seen", b"unseen")
        subscription, receiver = subscribe(driver, common)
        taken = {delivery.message.body: delivery for delivery in receiver.take(3)}
        _, second = subscribe(another, common)
        taken[b"seen"].started = True

        subscription.pause()
        nack(taken[b"nacked"], delay=0.2)
        subscription.close()

        found = {delivery.message.body: delivery for delivery in second.take(3)}
        check_attempt(another, found[b"nacked"], 2)
        check_attempt(another, found[b"seen"], 2)
        check_attempt(another, found[b"unseen"], 1)
        for delivery in found.values():
            check_unsuspected(another, delivery)

    def test_closing_one_driver_leaves_the_other_at_work(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        publish(driver, common, b"held")
        _, receiver = subscribe(driver, common)
        receiver.take(1)
        _, second = subscribe(another, common)

        driver.close()

        assert bodies(second.take(1)) == [b"held"]
        publish(another, common, b"more")
        assert bodies(second.take(1)) == [b"more"]

    def test_a_message_moves_where_the_other_process_consumes(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        dead = declare(driver)
        declare_again(another, dead)
        _, undertaker = subscribe(another, dead)
        publish(driver, common, b"bad")
        subscription, receiver = subscribe(driver, common)
        delivery = receiver.take_one()

        assert delivery.claim()
        assert subscription.move(delivery, dead, delivery.message)

        assert bodies(undertaker.take(1)) == [b"bad"]

    @needs("exact_info")
    def test_both_processes_tell_the_same_figures(self, driver: Driver, another: Driver, common: str) -> None:
        publish(driver, common, *numbered(5))
        subscription, receiver = subscribe(another, common, credit=2)
        ack(receiver.take_one())
        receiver.take(2)
        assert subscription.flush(PATIENCE)

        assert eventually(lambda: driver.info(common) == another.info(common))
        info = driver.info(common)
        assert (info.ready, info.in_flight, info.consumer_count) == (2, 2, 1)

    def test_each_process_peeks_and_purges_what_the_other_published(
        self, driver: Driver, another: Driver, common: str
    ) -> None:
        publish(driver, common, *numbered(3))

        found = another.peek(common, 10)
        assert in_order(another, [each.message.body for each in found]) == numbered(3)
        assert another.purge(common) == 3
        assert eventually(lambda: driver.info(common).message_count == 0)

    @needs("bounded")
    def test_a_queue_full_for_one_process_is_full_for_the_other(
        self, driver: Driver, another: Driver
    ) -> None:
        """And room that one makes lets the other's publisher go on."""
        queue = declare(driver, max_length=2)
        declare_again(another, queue, max_length=2)
        publish(driver, queue, b"1", b"2")

        with pytest.raises(QueueFull):
            publish(another, queue, b"3", timeout=0)

        def consume() -> None:
            _, receiver = subscribe(driver, queue, credit=1)
            for _ in range(3):
                ack(receiver.take_one())

        in_threads(partial(publish, another, queue, b"3"), consume)
