"""Acks, nacks, delays and releases.

Knows: the contract of a driver. Must not know: any driver.
"""

import time

from ..driver import Driver
from .case import DriverCase
from .harness import (
    FOR_EVER,
    PATIENCE,
    ack,
    bodies,
    check_attempt,
    check_unsuspected,
    declare,
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


class Settling(DriverCase):
    """What becomes of a delivery."""

    def test_an_acked_message_is_gone(self, driver: Driver, queue: str) -> None:
        """Seed: 'Message removed from queue'."""
        publish(driver, queue, b"once")
        subscription, receiver = subscribe(driver, queue)
        ack(receiver.take_one())
        assert subscription.flush(PATIENCE)
        assert list(subscription.unsettled()) == []

        subscription.close()

        _, second = subscribe(driver, queue)
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    def test_many_are_acked_in_one_call(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, *numbered(100))
        subscription, receiver = subscribe(driver, queue)
        taken = receiver.take(100)

        ack(*taken)
        assert subscription.flush(PATIENCE)
        subscription.close()

        assert eventually(lambda: driver.info(queue).message_count == 0)
        _, second = subscribe(driver, queue)
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    def test_a_nacked_message_comes_back_and_counts_the_attempt(self, driver: Driver, queue: str) -> None:
        """[Nack] Seed: 'Message requeued'."""
        [sent] = publish(driver, queue, b"again")
        _, receiver = subscribe(driver, queue)

        for attempt in (1, 2, 3):
            delivery = receiver.take_one()
            check_attempt(driver, delivery, attempt)
            nack(delivery)

        last = receiver.take_one()
        check_attempt(driver, last, 4)
        assert (last.message.id, last.message.body) == (sent, b"again")
        assert not last.is_suspect

    def test_attempts_are_kept_when_the_consumer_changes(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"again")
        subscription, receiver = subscribe(driver, queue)
        nack(receiver.take_one())
        receiver.take_one()

        subscription.close()

        _, second = subscribe(driver, queue)
        check_attempt(driver, second.take_one(), 2)

    @needs("ordered")
    def test_a_nacked_message_goes_behind_what_is_ready(self, driver: Driver, queue: str) -> None:
        """Specification: 'nack goes behind already queued messages (1 nacked -> 2, 3, 1)'."""
        publish(driver, queue, b"1", b"2", b"3")
        _, receiver = subscribe(driver, queue, credit=1)

        nack(receiver.take_one())
        order = []
        for _ in range(3):
            delivery = receiver.take_one()
            order.append(delivery.message.body)
            ack(delivery)

        assert order == [b"2", b"3", b"1"]

    def test_a_delayed_message_waits_in_the_backend_and_then_comes_back(
        self, driver: Driver, queue: str
    ) -> None:
        publish(driver, queue, b"later")
        subscription, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()

        before = time.monotonic()
        nack(delivery, delay=0.3)

        assert subscription.flush(PATIENCE)
        assert list(subscription.unsettled()) == []
        again = receiver.take_one()
        # Not before its time, give or take what a backend's clock may round.
        assert time.monotonic() - before >= 0.29
        assert again.message.body == b"later"
        check_attempt(driver, again, 2)

    def test_a_shorter_delay_overtakes_a_longer_one(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue)
        long, short = receiver.take(2)

        nack(long, delay=FOR_EVER)
        nack(short, delay=0.05)

        assert receiver.take_one().message.id == short.message.id
        assert not driver.features.exact_info or driver.info(queue).delayed == 1

    def test_delays_of_every_length_hold_nothing_up(self, driver: Driver, queue: str) -> None:
        """Neither each other nor what is ready; the longest is longer than any backend can count."""
        publish(driver, queue, *numbered(12))
        subscription, receiver = subscribe(driver, queue)
        lengths = [1e9, 86_400.0 * 60, FOR_EVER, 0.3, 0.05, 0.2, 0.01, 0.4, 0.1, 0.15, 0.25, 0.35]
        back = set()
        for delivery, length in zip(receiver.take(12), lengths, strict=True):
            nack(delivery, delay=length)
            if length < 1:
                back.add(delivery.message.id)

        publish(driver, queue, b"ready")

        found = receiver.take(10)
        assert {delivery.message.id for delivery in found if delivery.attempt > 1} == back
        assert subscription.flush(PATIENCE)
        assert receiver.waiting == 0

    @needs("returns_to_head")
    def test_released_deliveries_return_to_the_head_in_order(self, driver: Driver, queue: str) -> None:
        """As a consumer does it that stops."""
        publish(driver, queue, *numbered(6))
        subscription, receiver = subscribe(driver, queue, credit=4)
        taken = receiver.take(4)

        subscription.pause()
        release(*taken)
        subscription.close()

        _, second = subscribe(driver, queue)
        assert bodies(second.take(6)) == numbered(6)

    @needs("returns_to_head")
    def test_what_a_running_consumer_releases_comes_before_what_waits(
        self, driver: Driver, queue: str
    ) -> None:
        publish(driver, queue, *numbered(5))
        _, receiver = subscribe(driver, queue, credit=3)
        first, *others = receiver.take(3)

        release(*others)

        assert bodies(receiver.take(2)) == [b"1", b"2"]
        ack(first)
        assert bodies(receiver.take(1)) == [b"3"]

    def test_released_deliveries_come_back_uncounted(self, driver: Driver, queue: str) -> None:
        """Design, invariant 2."""
        publish(driver, queue, b"1", b"2", b"3")
        _, receiver = subscribe(driver, queue)

        release(*receiver.take(3))

        again = receiver.take(3)
        assert sorted(bodies(again)) == [b"1", b"2", b"3"]
        for delivery in again:
            check_attempt(driver, delivery, 1)
            check_unsuspected(driver, delivery)

    def test_only_the_first_claim_of_a_delivery_succeeds(self, driver: Driver, queue: str) -> None:
        """[AckIsIdempotent] [NackIsIdempotent] So a driver sees one settlement of each."""
        publish(driver, queue, b"x")
        _, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()
        claims: list[bool] = []

        in_threads(*[lambda: claims.append(delivery.claim())] * 8)

        assert sorted(claims) == [False] * 7 + [True]

    def test_settlements_after_close_change_nothing(self, driver: Driver, queue: str) -> None:
        """What they speak of has gone back, and may be in other hands."""
        publish(driver, queue, *numbered(4))
        other = declare(driver)
        subscription, receiver = subscribe(driver, queue)
        acked, nacked, released, moved = receiver.take(4)
        subscription.close()

        ack(acked)
        nack(nacked)
        release(released)
        assert moved.claim()
        subscription.move(moved, other, moved.message)
        subscription.flush(PATIENCE)

        _, second = subscribe(driver, queue)
        assert in_order(driver, bodies(second.take(4))) == numbered(4)
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]
        _, elsewhere = subscribe(driver, other)
        publish(driver, other, b"marker")
        assert bodies(elsewhere.take(1)) == [b"marker"]

    def test_a_flush_with_nothing_to_wait_for_is_true(self, driver: Driver, queue: str) -> None:
        subscription, receiver = subscribe(driver, queue)
        assert subscription.flush(0)
        publish(driver, queue, b"held")
        receiver.take(1)

        assert subscription.flush(0)
