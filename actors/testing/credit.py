"""Credit, and the consumers of one process on one queue.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from collections.abc import Sequence

from ..delivery import Delivery
from ..driver import Driver
from .case import DriverCase
from .harness import (
    FOR_EVER,
    PATIENCE,
    Receiver,
    ack,
    declare,
    eventually,
    in_threads,
    nack,
    numbered,
    publish,
    release,
    subscribe,
)


class Meter(Receiver):
    """A receiver that knows how many of its deliveries nobody has settled, and how many there were at most."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._held = 0
        self._guard = threading.Lock()

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        """Be handed deliveries."""
        with self._guard:
            self._held += len(deliveries)
            self.most = max(self.most, self._held)
        super().__call__(deliveries)

    def let_go(self) -> None:
        """One of them is about to be settled."""
        with self._guard:
            self._held -= 1


class Credit(DriverCase):
    """Never more than `credit` delivered and unsettled; nobody starves."""

    def test_no_more_is_delivered_than_the_credit_allows(self, driver: Driver, queue: str) -> None:
        """Seed: 'Driver delivers up to 10 messages to buffer'; 'As workers finish, buffer refills'."""
        publish(driver, queue, *numbered(25))

        subscription, receiver = subscribe(driver, queue, credit=10)

        first = receiver.take(10)
        assert len(subscription.unsettled()) == 10
        assert receiver.waiting == 0
        ack(*first[:4])
        receiver.take(4)
        assert len(subscription.unsettled()) == 10
        assert receiver.waiting == 0

    def test_credit_holds_at_every_moment_under_load(self, driver: Driver, queue: str) -> None:
        """Publishers, acks, nacks and releases all at once."""
        meter, credit = Meter(), 7
        subscription = driver.subscribe(queue, consumer="metered", credit=credit, deliver=meter)
        is_over = threading.Event()
        samples: list[int] = []

        def produce() -> None:
            for _ in range(10):
                publish(driver, queue, *numbered(10))

        def sample() -> None:
            while not samples or not is_over.wait(0.001):
                samples.append(len(subscription.unsettled()))

        def consume() -> None:
            settled, seen = 0, set[str]()
            try:
                while settled < 200:
                    delivery = meter.take_one()
                    meter.let_go()
                    identity = delivery.message.id
                    if identity in seen or len(seen) % 3 == 0:
                        ack(delivery)
                        settled += 1
                    elif len(seen) % 3 == 1:
                        nack(delivery)
                    else:
                        release(delivery)
                    seen.add(identity)
            finally:
                is_over.set()

        in_threads(produce, produce, sample, consume)

        assert 0 < meter.most <= credit
        assert max(samples) <= credit

    def test_a_nack_frees_credit(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"1", b"2")
        _, receiver = subscribe(driver, queue, credit=1)
        first = receiver.take_one()

        nack(first, delay=FOR_EVER)

        assert {first.message.body, receiver.take_one().message.body} == {b"1", b"2"}

    def test_each_settlement_frees_credit(self, driver: Driver, queue: str) -> None:
        """With a credit of one: each comes when the one before it is settled."""
        publish(driver, queue, *numbered(30))
        subscription, receiver = subscribe(driver, queue, credit=1)
        found = []
        for _ in range(30):
            delivery = receiver.take_one()
            assert receiver.waiting == 0
            assert list(subscription.unsettled()) == [delivery]
            found.append(delivery.message.body)
            ack(delivery)

        assert sorted(found, key=int) == numbered(30)

    def test_consumers_of_a_queue_share_fairly(self, driver: Driver, queue: str) -> None:
        """Seed: 'Multiple consumers can process from the same queue.' No one of two takes more than three quarters."""
        receivers = [subscribe(driver, queue, credit=40)[1] for _ in range(2)]

        publish(driver, queue, *numbered(40))

        assert eventually(lambda: sum(receiver.waiting for receiver in receivers) == 40)
        assert min(receiver.waiting for receiver in receivers) >= 10

    def test_many_consumers_each_get_one(self, driver: Driver, queue: str) -> None:
        receivers = [subscribe(driver, queue, credit=1)[1] for _ in range(20)]

        publish(driver, queue, *numbered(20))

        found = [receiver.take_one().message.body for receiver in receivers]
        assert sorted(found, key=int) == numbered(20)

    def test_a_consumer_that_acks_nothing_does_not_starve_the_other(self, driver: Driver, queue: str) -> None:
        _, stuck = subscribe(driver, queue, credit=2)
        _, lively = subscribe(driver, queue, credit=2)

        publish(driver, queue, *numbered(30))
        for _ in range(28):
            ack(lively.take_one())

        assert len(stuck.take(2)) == 2
        assert stuck.waiting == 0

    def test_collected_acks_count_in_every_figure_after_a_flush(self, driver: Driver, queue: str) -> None:
        """A driver may collect acks until `hurry`, but whoever waits for them need not know."""
        publish(driver, queue, *numbered(10))
        subscription, receiver = subscribe(driver, queue, credit=5)
        first = receiver.take(5)[0]

        assert first.claim()
        subscription.ack([first])
        assert subscription.flush(PATIENCE)

        assert eventually(lambda: driver.info(queue).message_count == 9) or not driver.features.exact_info
        receiver.take(1)
        assert len(subscription.unsettled()) == 5

    def test_consumers_on_different_queues_do_not_hold_each_other_up(
        self, driver: Driver, queue: str
    ) -> None:
        """One with no credit left, and one that has; both on one connection, perhaps."""
        publish(driver, queue, *numbered(5))
        _, stuck = subscribe(driver, queue, credit=1)
        stuck.take(1)
        other = declare(driver)
        _, lively = subscribe(driver, other, credit=1)

        publish(driver, other, *numbered(20))
        for _ in range(20):
            ack(lively.take_one())

        assert stuck.waiting == 0
