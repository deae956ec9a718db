"""What only the memory driver promises."""

import signal
import threading

import pytest

from noria.actors.delivery import Message
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.memory import MemoryDriver


def test_a_nacked_message_goes_to_another_consumer_first():
    """Two consumers that may handle only one of two messages each must not get the wrong one for ever."""
    with MemoryDriver() as driver:
        driver.declare(QueueDeclaration(name="q"))
        handled = []
        done = threading.Event()

        def consumer(name):
            def deliver(deliveries):
                for delivery in deliveries:
                    waiting.append((name, delivery))
                    arrived.release()

            return deliver

        waiting: list = []
        arrived = threading.Semaphore(0)
        for name in ("a", "b"):
            driver.subscribe("q", consumer=name, credit=1, deliver=consumer(name))
        driver.publish("q", [Message("1", b"b", {}), Message("2", b"a", {})], 1)
        refusals = 0
        while len(handled) < 2:
            assert arrived.acquire(timeout=20)
            name, delivery = waiting.pop(0)
            delivery.claim()
            if delivery.message.body.decode() == name:
                handled.append(name)
                delivery.subscription.ack([delivery])
            else:
                refusals += 1
                delivery.subscription.nack(delivery, 0.001)
            delivery.subscription.hurry()
        done.set()

    assert sorted(handled) == ["a", "b"]
    assert refusals <= 4


def test_the_delay_thread_ends_with_the_driver():
    before = set(threading.enumerate())
    driver = MemoryDriver()
    driver.open(lambda _error: None)
    driver.declare(QueueDeclaration(name="q"))
    taken = []
    driver.subscribe("q", consumer="c", credit=1, deliver=taken.extend)
    driver.publish("q", [Message("1", b"", {})], 1)
    taken[0].subscription.nack(taken[0], 3600)
    assert set(threading.enumerate()) - before

    driver.close()

    assert not set(threading.enumerate()) - before
    assert driver.info("q").delayed == 1


def test_a_signal_in_a_publishing_thread_never_leaves_the_queue_locked():
    """A Ctrl-C may come at any moment, between taking a lock and being bound to give it back, too."""
    with MemoryDriver() as driver:
        driver.declare(QueueDeclaration(name="q"))
        interrupted = 0
        armed = []

        def interrupt(_number, _frame):
            if armed:  # only once for each `try`, or it would strike outside
                armed.clear()
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            while interrupted < 300:
                try:
                    armed.append(True)
                    while True:
                        driver.publish("q", [Message("m", b"", {})], 0)
                        driver.purge("q")
                except KeyboardInterrupt:
                    interrupted += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        answered = threading.Event()
        threading.Thread(target=lambda: (driver.info("q"), answered.set()), daemon=True).start()

        assert answered.wait(20)


def test_what_a_dead_thread_had_taken_is_delivered_by_the_next_one_inside():
    with MemoryDriver() as driver:
        driver.declare(QueueDeclaration(name="q"))
        taken = []
        deaths = [SystemError("the thread is gone")]

        def deliver(deliveries):
            if deaths:
                raise deaths.pop()
            taken.extend(deliveries)

        driver.subscribe("q", consumer="c", credit=1, deliver=deliver)
        with pytest.raises(SystemError):
            driver.publish("q", [Message("1", b"", {})], 0)

        assert driver.info("q").in_flight == 1
        assert [delivery.message.id for delivery in taken] == ["1"]


def test_a_delay_of_centuries_does_not_hold_up_a_short_one():
    with MemoryDriver() as driver:
        driver.declare(QueueDeclaration(name="q"))
        arrived = threading.Semaphore(0)
        taken = []

        def deliver(deliveries):
            taken.extend(deliveries)
            arrived.release(len(deliveries))

        subscription = driver.subscribe("q", consumer="c", credit=2, deliver=deliver)
        driver.publish("q", [Message("1", b"", {}), Message("2", b"", {})], 0)
        long, short = taken
        subscription.nack(long, 1e10)
        subscription.nack(short, 0.01)
        for _ in range(3):
            assert arrived.acquire(timeout=20)

    assert [delivery.message.id for delivery in taken] == ["1", "2", "2"]
