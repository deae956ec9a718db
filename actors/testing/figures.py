"""What a queue tells of itself: info, peek, purge.

Knows: the contract of a driver. Must not know: any driver.
"""

from ..driver import Driver
from .case import DriverCase
from .harness import FOR_EVER, PATIENCE, eventually, nack, publish, subscribe


class Figures(DriverCase):
    """What a queue tells of itself: info, peek, purge."""

    def test_the_figures_tell_ready_in_flight_delayed_and_consumers(self, driver: Driver, queue: str) -> None:
        """[GetQueueInfo] [EmptyQueueInfo]"""
        assert driver.info(queue).message_count == 0
        publish(driver, queue, *(str(n).encode() for n in range(6)))
        subscription, receiver = subscribe(driver, queue, credit=3)
        nack(receiver.take(1)[0], delay=FOR_EVER)
        receiver.take(3)
        subscription.flush(PATIENCE)

        assert eventually(lambda: driver.info(queue).delayed == 1)
        info = driver.info(queue)
        assert (info.ready, info.in_flight, info.delayed, info.consumer_count) == (2, 3, 1, 1)
        assert info.message_count == 6
