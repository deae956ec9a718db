"""Credit, and sharing among the consumers of one process.

Knows: the contract of a driver. Must not know: any driver.
"""

from ..driver import Driver
from .case import DriverCase
from .harness import FOR_EVER, PATIENCE, ack, bodies, eventually, nack, publish, subscribe


class Credit(DriverCase):
    """Credit, and sharing among the consumers of one process."""

    def test_no_more_is_delivered_than_the_credit_allows(self, driver: Driver, queue: str) -> None:
        """Seed: 'Driver delivers up to 10 messages to buffer'; 'As workers finish, buffer refills'."""
        publish(driver, queue, *(str(n).encode() for n in range(25)))

        subscription, receiver = subscribe(driver, queue, credit=10)

        first = receiver.take(10)
        assert len(subscription.unsettled()) == 10
        assert receiver.waiting == 0
        for delivery in first[:4]:
            ack(delivery)
        receiver.take(4)
        assert len(subscription.unsettled()) == 10
        assert receiver.waiting == 0

    def test_a_nack_frees_credit(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue, credit=1)

        nack(receiver.take(1)[0], delay=FOR_EVER)

        assert bodies(receiver.take(1)) == [b"2"]

    def test_consumers_of_a_queue_share_fairly(self, driver: Driver, queue: str) -> None:
        """Seed: 'Multiple consumers can process from the same queue.'"""
        receivers = [subscribe(driver, queue, credit=10)[1] for _ in range(2)]

        publish(driver, queue, *(str(n).encode() for n in range(10)))

        assert [len(receiver.take(5)) for receiver in receivers] == [5, 5]

    def test_a_consumer_that_acks_nothing_does_not_starve_the_other(self, driver: Driver, queue: str) -> None:
        _, stuck = subscribe(driver, queue, credit=2)
        _, lively = subscribe(driver, queue, credit=2)

        publish(driver, queue, *(str(n).encode() for n in range(30)))
        for _ in range(28):
            ack(lively.take(1)[0])

        assert len(stuck.take(2)) == 2
        assert stuck.waiting == 0

    def test_collected_acks_count_in_every_figure_at_once(self, driver: Driver, queue: str) -> None:
        """A driver may collect acks until `hurry`, but nobody may see that."""
        publish(driver, queue, *(str(n).encode() for n in range(10)))
        subscription, receiver = subscribe(driver, queue, credit=5)
        first = receiver.take(5)[0]

        assert first.claim()
        subscription.ack([first])
        subscription.flush(PATIENCE)

        assert eventually(lambda: driver.info(queue).message_count == 9)
        receiver.take(1)
        assert len(subscription.unsettled()) == 5
