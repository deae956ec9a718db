"""Moving a message into another queue.

Knows: the contract of a driver. Must not know: any driver.
"""

from ..delivery import Message
from ..driver import Driver
from .case import DriverCase
from .harness import PATIENCE, declare, eventually, nack, publish, subscribe


class DeadLetters(DriverCase):
    """Moving a message into another queue."""

    def test_a_message_moves_to_another_queue_with_new_headers(self, driver: Driver, queue: str) -> None:
        other = declare(driver)
        [sent] = publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        [delivery] = receiver.take(1)

        assert delivery.claim()
        moved = subscription.move(
            delivery, other, Message(sent, b"bad", {"x_dead_letter_reason": "rejected"})
        )

        assert moved
        _, second = subscribe(driver, other)
        [dead] = second.take(1)
        assert (dead.message.id, dead.message.body) == (sent, b"bad")
        assert dead.message.headers["x_dead_letter_reason"] == "rejected"
        assert subscription.flush(PATIENCE)
        assert eventually(lambda: driver.info(queue).message_count == 0)

    def test_a_move_to_a_missing_or_full_queue_leaves_the_message_where_it_is(
        self, driver: Driver, queue: str
    ) -> None:
        """Decisions: 'dead-letter queue that is full, missing or down: the message stays where it is'."""
        full = declare(driver, max_length=1)
        publish(driver, full, b"occupied")
        [sent] = publish(driver, queue, b"bad")
        subscription, receiver = subscribe(driver, queue)
        [delivery] = receiver.take(1)

        assert not subscription.move(delivery, "nowhere", delivery.message)
        assert not subscription.move(delivery, full, delivery.message)

        nack(delivery)
        assert receiver.take(1)[0].message.id == sent
