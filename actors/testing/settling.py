"""Acks, nacks, delays and releases.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading

from ..driver import Driver
from .case import DriverCase
from .harness import FOR_EVER, PATIENCE, ack, bodies, nack, publish, subscribe


class Settling(DriverCase):
    """Acks, nacks, delays and releases."""

    def test_an_acked_message_is_gone(self, driver: Driver, queue: str) -> None:
        """[PublishAndAttach] Seed: 'Message removed from queue'."""
        publish(driver, queue, b"once")
        subscription, receiver = subscribe(driver, queue)
        ack(receiver.take(1)[0])
        assert subscription.flush(PATIENCE)

        subscription.close()

        _, second = subscribe(driver, queue)
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    def test_a_nacked_message_comes_back_and_counts_the_attempt(self, driver: Driver, queue: str) -> None:
        """[Nack] Seed: 'Message requeued'."""
        [sent] = publish(driver, queue, b"again")
        _, receiver = subscribe(driver, queue)

        attempts = []
        for _ in range(3):
            [delivery] = receiver.take(1)
            attempts.append(delivery.attempt)
            nack(delivery)

        [last] = receiver.take(1)
        assert [*attempts, last.attempt] == [1, 2, 3, 4]
        assert last.message.id == sent
        assert last.message.body == b"again"

    def test_a_nacked_message_goes_behind_what_is_ready(self, driver: Driver, queue: str) -> None:
        """Specification: 'nack goes behind already queued messages (1 nacked -> 2, 3, 1)'."""
        publish(driver, queue, b"1", b"2", b"3")
        _, receiver = subscribe(driver, queue, credit=1)

        order = []
        for _ in range(4):
            [delivery] = receiver.take(1)
            order.append(delivery.message.body)
            if order == [b"1"]:
                nack(delivery)
            else:
                ack(delivery)

        assert order == [b"1", b"2", b"3", b"1"]

    def test_a_delayed_message_waits_in_the_backend_and_then_comes_back(
        self, driver: Driver, queue: str
    ) -> None:
        publish(driver, queue, b"later")
        subscription, receiver = subscribe(driver, queue)

        nack(receiver.take(1)[0], delay=0.2)

        assert subscription.flush(PATIENCE)
        assert subscription.unsettled() == () or list(subscription.unsettled()) == []
        [delivery] = receiver.take(1)
        assert (delivery.message.body, delivery.attempt) == (b"later", 2)

    def test_a_shorter_delay_overtakes_a_longer_one(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"long", b"short")
        _, receiver = subscribe(driver, queue)
        long, short = receiver.take(2)

        nack(long, delay=FOR_EVER)
        nack(short, delay=0.05)

        assert bodies(receiver.take(1)) == [b"short"]
        assert driver.info(queue).delayed == 1

    def test_released_deliveries_return_to_the_head_in_order_and_uncounted(
        self, driver: Driver, queue: str
    ) -> None:
        """Design, invariant 2."""
        publish(driver, queue, b"1", b"2", b"3", b"4")
        subscription, receiver = subscribe(driver, queue, credit=3)
        taken = receiver.take(3)
        subscription.pause()

        for delivery in taken:
            assert delivery.claim()
        subscription.release(taken)
        subscription.close()

        _, second = subscribe(driver, queue)
        again = second.take(4)
        assert bodies(again) == [b"1", b"2", b"3", b"4"]
        assert [delivery.attempt for delivery in again] == [1, 1, 1, 1]

    def test_only_the_first_claim_of_a_delivery_succeeds(self, driver: Driver, queue: str) -> None:
        """[AckIsIdempotent] [NackIsIdempotent] Specification: 'settled (one-shot claim)'."""
        publish(driver, queue, b"x")
        _, receiver = subscribe(driver, queue)
        [delivery] = receiver.take(1)
        claims: list[bool] = []
        start = threading.Barrier(8)

        def claim() -> None:
            start.wait()
            claims.append(delivery.claim())

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(claims) == [False] * 7 + [True]

    def test_a_settlement_after_close_changes_nothing(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"x")
        subscription, receiver = subscribe(driver, queue)
        [late] = receiver.take(1)
        subscription.close()

        ack(late)
        subscription.flush(PATIENCE)

        _, second = subscribe(driver, queue)
        assert bodies(second.take(1)) == [b"x"]
