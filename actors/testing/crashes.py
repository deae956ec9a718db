"""A process dies, and another one takes over what it held.

Knows: the contract of a driver. Must not know: any driver, how one dies.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..delivery import Delivery
from ..driver import Driver
from ..errors import DriverUnavailable
from .case import DoTo, DriverCase, MakeDriver
from .harness import (
    FOR_EVER,
    PATIENCE,
    Receiver,
    ack,
    bodies,
    check_attempt,
    check_unsuspected,
    declare_again,
    eventually,
    nack,
    need,
    needs,
    numbered,
    publish,
    subscribe,
)


class Succession:
    """One driver after the other on one queue, each as in a process of its own."""

    def __init__(self, queue: str, make_driver: MakeDriver, abandon: DoTo, opened: ExitStack) -> None:
        self.queue = queue
        self.abandon = abandon
        self._make_driver = make_driver
        self._opened = opened

    def next(self) -> tuple[Driver, Receiver]:
        """The next driver, with a consumer on the queue."""
        driver = self._opened.enter_context(self._make_driver())
        declare_again(driver, self.queue)
        return driver, subscribe(driver, self.queue)[1]


class Crashes(DriverCase):
    """For drivers whose tests say how one dies (`abandon`)."""

    @pytest.fixture
    def succession(
        self, driver: Driver, queue: str, make_driver: MakeDriver, abandon: DoTo
    ) -> Iterator[Succession]:
        """More drivers on the same backend; all are closed in the end, the dead ones, too."""
        need(driver, "durable")
        with ExitStack() as opened:
            yield Succession(queue, make_driver, abandon, opened)

    def test_what_a_dead_process_held_goes_to_the_living(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        """And what it had settled does not."""
        publish(driver, queue, *numbered(6))
        subscription, receiver = subscribe(driver, queue, credit=4)
        taken = receiver.take(4)
        ack(taken[0])
        nack(taken[1], delay=0.2)
        assert subscription.flush(PATIENCE)
        acked = taken[0].message.body

        succession.abandon(driver)
        heir, second = succession.next()

        found = second.take(5)
        assert sorted(bodies(found)) == sorted(set(numbered(6)) - {acked})
        publish(heir, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    def test_a_living_consumer_takes_over_without_being_asked(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        """It was there, idle, before the other process died."""
        if not self.several_processes:
            pytest.skip(f"{type(driver).__name__} is for one process at a time")
        publish(driver, queue, b"held")
        subscription, receiver = subscribe(driver, queue)
        receiver.take(1)
        subscription.pause()
        _, second = succession.next()

        succession.abandon(driver)

        assert bodies(second.take(1)) == [b"held"]

    def test_what_a_dead_process_published_or_delayed_is_there(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        publish(driver, queue, b"delayed", b"delayed for long")
        subscription, receiver = subscribe(driver, queue)
        for delivery in receiver.take(2):
            nack(delivery, delay=0.3 if delivery.message.body == b"delayed" else FOR_EVER)
        assert subscription.flush(PATIENCE)
        subscription.pause()
        publish(driver, queue, b"published")

        succession.abandon(driver)
        heir, second = succession.next()

        found = {delivery.message.body: delivery for delivery in second.take(2)}
        assert sorted(found) == [b"delayed", b"published"]
        check_attempt(heir, found[b"delayed"], 2)
        check_attempt(heir, found[b"published"], 1)
        check_unsuspected(heir, found[b"published"])

    def test_a_late_settlement_of_a_dead_process_changes_nothing(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        """It was not dead, only away for longer than its lease."""
        publish(driver, queue, b"1", b"2")
        subscription, receiver = subscribe(driver, queue)
        first, second = receiver.take(2)
        succession.abandon(driver)
        heir, heirs = succession.next()
        inherited = heirs.take(2)

        ack(first)
        nack(second)
        subscription.flush(1.0)

        for delivery in inherited:
            nack(delivery)
        assert sorted(bodies(heirs.take(2))) == [b"1", b"2"]
        publish(heir, queue, b"marker")
        assert bodies(heirs.take(1)) == [b"marker"]

    @needs("exact_attempts")
    def test_a_delivery_whose_handler_may_not_have_begun_is_not_counted(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        publish(driver, queue, b"buffered")
        _, receiver = subscribe(driver, queue)
        receiver.take(1)

        succession.abandon(driver)
        heir, second = succession.next()
        inherited = second.take_one()
        assert inherited.attempt == 1
        assert inherited.is_suspect or not heir.features.counts_crashes

        # Again a suspect, and again nobody began: still nothing to count.
        succession.abandon(heir)
        _, third = succession.next()
        assert third.take_one().attempt == 1

    @needs("exact_attempts", "counts_crashes")
    def test_a_run_on_record_that_ended_with_its_process_is_counted(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        """So a message that kills its process reaches its last attempt."""
        publish(driver, queue, b"poison")
        _, receiver = subscribe(driver, queue)
        receiver.take(1)
        succession.abandon(driver)

        for attempt in (1, 2, 3):
            heir, receiver = succession.next()
            delivery = receiver.take_one()
            assert (delivery.attempt, delivery.is_suspect) == (attempt, True)
            self._begin(delivery)
            succession.abandon(heir)

        heir, receiver = succession.next()
        assert receiver.take_one().attempt == 4

    @needs("exact_attempts", "counts_crashes")
    def test_a_run_that_cannot_be_put_on_record_must_not_begin(
        self, driver: Driver, queue: str, succession: Succession, cut: DoTo
    ) -> None:
        """The backend is lost between the delivery of a suspect and its handler."""
        publish(driver, queue, b"suspect")
        _, receiver = subscribe(driver, queue)
        receiver.take(1)
        succession.abandon(driver)
        heir, second = succession.next()
        suspect = second.take_one()

        cut(heir)
        assert eventually(lambda: suspect.subscription.is_closed)

        with pytest.raises(DriverUnavailable):
            suspect.subscription.note_start(suspect)

    @needs("counts_crashes")
    def test_a_suspect_is_settled_like_any_other(
        self, driver: Driver, queue: str, succession: Succession
    ) -> None:
        """Its run is counted once, not once on record and once when it ends."""
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue)
        receiver.take(2)
        succession.abandon(driver)
        heir, second = succession.next()
        failing, working = second.take(2)
        self._begin(failing)
        self._begin(working)

        nack(failing)
        ack(working)

        again = second.take_one()
        assert again.message.id == failing.message.id
        check_attempt(heir, again, 2)
        ack(again)
        assert again.subscription.flush(PATIENCE)
        assert eventually(lambda: heir.info(queue).message_count == 0)

    def _begin(self, delivery: Delivery) -> None:
        """As a worker begins with a suspect."""
        if delivery.is_suspect:
            delivery.subscription.note_start(delivery)
        delivery.started = True
