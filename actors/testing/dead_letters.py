"""Moving a message into another queue of the same driver.

Knows: the contract of a driver. Must not know: any driver.
"""

from ..delivery import Message
from ..driver import Driver
from .case import DriverCase
from .harness import (
    PATIENCE,
    ack,
    bodies,
    check_attempt,
    declare,
    eventually,
    nack,
    needs,
    numbered,
    publish,
    release,
    subscribe,
)


class DeadLetters(DriverCase):
    """A message is in one queue or the other, whatever happens."""

    def test_a_message_moves_to_another_queue_with_new_headers(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        [sent] = publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        nack(receiver.take_one())
        delivery = receiver.take_one()
        headers = {"x_dead_letter_reason": "rejected", "attempts": 2}

        assert delivery.claim()
        assert subscription.move(delivery, other, Message(sent, b"bad", headers))

        assert list(subscription.unsettled()) == []
        _, second = subscribe(driver, other)
        dead = second.take_one()
        assert (dead.message.id, dead.message.body) == (sent, b"bad")
        assert dead.message.headers == headers
        # Attempts are counted for each queue.
        check_attempt(driver, dead, 1)

    def test_both_queues_figures_tell_of_a_move(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        publish(driver, queue, *numbered(3))
        subscription, receiver = subscribe(driver, queue)
        for delivery in receiver.take(3):
            assert delivery.claim()
            assert subscription.move(delivery, other, delivery.message)
        assert subscription.flush(PATIENCE)

        assert eventually(lambda: driver.info(queue).message_count == 0)
        assert eventually(lambda: driver.info(other).ready == 3)

    def test_a_move_frees_credit(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        publish(driver, queue, b"1", b"2")
        subscription, receiver = subscribe(driver, queue, credit=1)
        first = receiver.take_one()

        assert first.claim()
        assert subscription.move(first, other, first.message)
        subscription.hurry()

        assert {first.message.body, receiver.take_one().message.body} == {b"1", b"2"}

    def test_a_moved_message_does_not_come_back(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()
        assert delivery.claim()
        assert subscription.move(delivery, other, delivery.message)
        assert subscription.flush(PATIENCE)

        subscription.close()

        _, second = subscribe(driver, queue)
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    def test_a_move_to_a_missing_queue_leaves_the_message_where_it_is(
        self, driver: Driver, queue: str
    ) -> None:
        """Decisions: 'dead-letter queue that is full, missing or down: the message stays where it is'."""
        [sent] = publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()

        assert not subscription.move(delivery, f"{queue}-nowhere", delivery.message)

        assert list(subscription.unsettled()) == [delivery]
        nack(delivery)
        again = receiver.take_one()
        assert again.message.id == sent
        ack(again)

    @needs("bounded")
    def test_a_move_to_a_full_queue_leaves_the_message_where_it_is(self, driver: Driver, queue: str) -> None:
        full = declare(driver, max_length=1)
        publish(driver, full, b"occupied")
        [sent] = publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()

        assert not subscription.move(delivery, full, delivery.message)

        assert list(subscription.unsettled()) == [delivery]
        nack(delivery)
        assert receiver.take_one().message.id == sent
        assert driver.info(full).message_count == 1

    def test_many_messages_move_together_in_their_order(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        publish(driver, queue, *numbered(250))
        subscription, receiver = subscribe(driver, queue, credit=250)
        deliveries = receiver.take(250)
        assert all(delivery.claim() for delivery in deliveries)

        moved = subscription.move_all(deliveries, other, [delivery.message for delivery in deliveries])

        assert list(moved) == [True] * 250
        assert list(subscription.unsettled()) == []
        assert subscription.flush(PATIENCE)
        assert eventually(lambda: driver.info(queue).message_count == 0)
        _, second = subscribe(driver, other, credit=250)
        arrived = bodies(second.take(250))
        expected = [delivery.message.body for delivery in deliveries]
        assert (arrived if driver.features.ordered else sorted(arrived)) == (
            expected if driver.features.ordered else sorted(expected)
        )

    @needs("bounded")
    def test_as_many_move_as_there_is_room_for(self, driver: Driver, queue: str) -> None:
        few = declare(driver, max_length=3)
        publish(driver, few, b"occupied")
        publish(driver, queue, *numbered(5))
        subscription, receiver = subscribe(driver, queue)
        deliveries = receiver.take(5)

        moved = subscription.move_all(deliveries, few, [delivery.message for delivery in deliveries])

        assert list(moved) == [True, True, False, False, False]
        assert set(subscription.unsettled()) == set(deliveries[2:])
        release(*deliveries[2:])
        assert bodies(receiver.take(3)) == [b"2", b"3", b"4"]
        assert driver.info(few).message_count == 3
