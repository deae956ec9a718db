"""What only the memory driver promises."""

import threading

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
