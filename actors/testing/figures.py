"""What a queue tells of itself, and what may be done to it without a consumer: info, peek, purge.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading

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
    messages,
    nack,
    needs,
    numbered,
    publish,
    subscribe,
)


class Figures(DriverCase):
    """Figures may lag where the driver does not promise `exact_info`, but they arrive."""

    # ---- info ----------------------------------------------------------------------------------------

    def test_the_figures_come_and_go_with_the_messages(self, driver: Driver, queue: str) -> None:
        """[GetQueueInfo] [EmptyQueueInfo]"""
        assert driver.info(queue).message_count == 0
        publish(driver, queue, *numbered(6))
        assert eventually(lambda: driver.info(queue).ready == 6)

        _, receiver = subscribe(driver, queue)
        ack(*receiver.take(6))

        assert eventually(lambda: driver.info(queue).message_count == 0)

    @needs("exact_info")
    def test_the_figures_tell_ready_in_flight_delayed_and_consumers(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, *numbered(6))
        subscription, receiver = subscribe(driver, queue, credit=3)
        nack(receiver.take_one(), delay=FOR_EVER)
        receiver.take(3)
        assert subscription.flush(PATIENCE)

        info = driver.info(queue)
        assert (info.ready, info.in_flight, info.delayed, info.consumer_count) == (2, 3, 1, 1)
        assert info.message_count == 6

    def test_consumers_are_counted_while_they_take_part(self, driver: Driver, queue: str) -> None:
        first, _ = subscribe(driver, queue)
        second, _ = subscribe(driver, queue)
        assert eventually(lambda: driver.info(queue).consumer_count == 2)

        first.close()
        assert eventually(lambda: driver.info(queue).consumer_count == 1)

        second.close()
        assert eventually(lambda: driver.info(queue).consumer_count == 0)

    # ---- peek ----------------------------------------------------------------------------------------

    def test_peek_shows_messages_and_takes_none(self, driver: Driver, queue: str) -> None:
        sent = messages(*numbered(5), colour="blue", count=3)
        driver.publish(queue, sent, PATIENCE)

        for _ in range(2):
            found = driver.peek(queue, 10)
            assert in_order(driver, [each.message.body for each in found]) == numbered(5)
            assert {each.message.id for each in found} == {message.id for message in sent}
            assert all(each.message.headers == {"colour": "blue", "count": 3} for each in found)
            assert {each.state for each in found} == {"ready"}
            if driver.features.exact_attempts:
                assert {each.attempts for each in found} == {0}

        _, receiver = subscribe(driver, queue)
        for delivery in receiver.take(5):
            check_attempt(driver, delivery, 1)
            check_unsuspected(driver, delivery)

    def test_peek_shows_the_first_as_far_as_it_was_asked(self, driver: Driver, queue: str) -> None:
        assert list(driver.peek(queue, 3)) == []
        publish(driver, queue, *numbered(25))

        assert list(driver.peek(queue, 0)) == []
        assert len(driver.peek(queue, 3)) == 3
        assert len(driver.peek(queue, 100)) == 25
        if driver.features.ordered:
            assert [each.message.body for each in driver.peek(queue, 3)] == numbered(3)

    def test_peek_tells_the_attempts_there_were(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"tried")
        subscription, receiver = subscribe(driver, queue)
        nack(receiver.take_one())
        nack(receiver.take_one())
        receiver.take_one()
        subscription.close()

        assert eventually(lambda: len(driver.peek(queue, 1)) == 1)
        [found] = driver.peek(queue, 1)
        assert found.attempts == 2 or (found.attempts > 2 and not driver.features.exact_attempts)

    def test_peek_puts_what_is_ready_first_and_names_the_other_states(
        self, driver: Driver, queue: str
    ) -> None:
        """Where a backend can only be read by taking, there is only what is ready."""
        publish(driver, queue, *numbered(4))
        subscription, receiver = subscribe(driver, queue, credit=2)
        held, delayed = receiver.take(2)
        subscription.pause()
        nack(delayed, delay=FOR_EVER)
        assert subscription.flush(PATIENCE)

        found = driver.peek(queue, 10)

        states = [each.state for each in found]
        assert states in (["ready", "ready", "delayed", "in_flight"], ["ready", "ready"])
        told = {each.message.id: each.state for each in found}
        assert told.get(held.message.id, "in_flight") == "in_flight"
        assert told.get(delayed.message.id, "delayed") == "delayed"

    # ---- purge ---------------------------------------------------------------------------------------

    def test_purge_removes_what_is_ready_and_says_how_much(self, driver: Driver, queue: str) -> None:
        assert driver.purge(queue) == 0
        publish(driver, queue, *numbered(25))

        assert driver.purge(queue) == 25

        assert eventually(lambda: driver.info(queue).message_count == 0)
        _, receiver = subscribe(driver, queue)
        publish(driver, queue, b"marker")
        assert bodies(receiver.take(1)) == [b"marker"]

    def test_purge_leaves_what_is_in_flight(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, *numbered(5))
        subscription, receiver = subscribe(driver, queue, credit=2)
        held, other = receiver.take(2)
        subscription.pause()

        assert driver.purge(queue) == 3

        ack(other)
        nack(held)
        assert subscription.flush(PATIENCE)
        subscription.close()
        _, second = subscribe(driver, queue)
        assert second.take_one().message.id == held.message.id
        publish(driver, queue, b"marker")
        assert bodies(second.take(1)) == [b"marker"]

    @needs("exact_info")
    def test_purge_removes_what_is_delayed(self, driver: Driver, queue: str) -> None:
        """A backend that only estimates what is delayed cannot reach it either."""
        publish(driver, queue, b"1", b"2", b"3")
        subscription, receiver = subscribe(driver, queue)
        long, short, _ = receiver.take(3)
        nack(long, delay=FOR_EVER)
        nack(short, delay=0.3)
        assert subscription.flush(PATIENCE)

        assert driver.purge(queue) == 2

        assert driver.info(queue).message_count == 1
        threading.Event().wait(0.4)  # what was to come back by then does not
        publish(driver, queue, b"marker")
        assert bodies(receiver.take(1)) == [b"marker"]

    @needs("bounded")
    def test_purge_makes_room_for_a_waiting_publisher(self, driver: Driver) -> None:
        queue = declare(driver, max_length=1)
        publish(driver, queue, b"old")
        publisher = threading.Thread(target=publish, args=(driver, queue, b"new"), daemon=True)
        publisher.start()

        # It may come before the publisher or after it: there is room either way.
        driver.purge(queue)
        publisher.join(PATIENCE)

        assert not publisher.is_alive()
        assert [each.message.body for each in driver.peek(queue, 10)] == [b"new"]
