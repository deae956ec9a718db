"""Declaring queues, and what is published arrives: all of it, once, as it was.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from ..delivery import Delivery, Message
from ..driver import Driver
from ..errors import QueueNotFound
from .case import DriverCase
from .harness import (
    PATIENCE,
    ack,
    bodies,
    declare,
    declare_again,
    eventually,
    messages,
    publish,
    subscribe,
)


class Publishing(DriverCase):
    """Declaring queues, and what is published arrives: all of it, once, as it was."""

    def test_declaring_a_queue_twice_keeps_its_messages(self, driver: Driver, queue: str) -> None:
        """[DeclareQueue], and the specification's 'redeclare keeps queued messages'."""
        publish(driver, queue, b"kept")

        declare_again(driver, queue)

        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(1)) == [b"kept"]

    def test_several_queues_share_a_driver_and_do_not_see_each_other(self, driver: Driver) -> None:
        """[DeclareMultipleQueues] [QueueIsolation] [PublishToMultipleQueuesConsume] Seed: 'Multiple queues can share a driver.'"""
        queues = [declare(driver) for _ in range(3)]
        for queue in queues:
            publish(driver, queue, *(f"{queue}/{n}".encode() for n in range(3)))

        for queue in queues:
            _, receiver = subscribe(driver, queue)
            assert bodies(receiver.take(3)) == [f"{queue}/{n}".encode() for n in range(3)]
            assert receiver.waiting == 0

    def test_an_unknown_queue_is_named_in_the_error(self, driver: Driver) -> None:
        """[PublishNonExistent] [AttachNonExistent] [GetQueueInfoNonExistent]"""
        with pytest.raises(QueueNotFound, match="queue not found: nowhere"):
            publish(driver, "nowhere", b"x")
        with pytest.raises(QueueNotFound, match="nowhere"):
            subscribe(driver, "nowhere")
        with pytest.raises(QueueNotFound, match="nowhere"):
            driver.info("nowhere")

    @pytest.mark.parametrize("publish_first", [True, False])
    def test_a_message_arrives_with_its_id_body_and_headers(
        self, driver: Driver, queue: str, publish_first: bool
    ) -> None:
        """[PublishAndAttach] [PublishBeforeAttach] [MessageBodyPreservation] [CustomHeaders] [NeutralHeadersRoundTrip]"""
        headers = {
            "correlation_id": "c-1",
            "reply_to": "answers",
            "content_type": "application/json",
            "encoding": "utf-8",
            "message_type": "greeting",
            "count": 3,
            "ratio": 0.5,
            "urgent": True,
            "amqp.priority": 4,
            "sqs.unknown": "kept",
        }
        body = bytes(range(256))
        sent = messages(body, **headers)

        if publish_first:
            driver.publish(queue, sent, PATIENCE)
        _, receiver = subscribe(driver, queue)
        if not publish_first:
            driver.publish(queue, sent, PATIENCE)

        [delivery] = receiver.take(1)
        assert delivery.message.id == sent[0].id
        assert delivery.message.body == body
        assert headers.items() <= dict(delivery.message.headers).items()
        assert delivery.attempt == 1

    def test_a_message_without_headers_arrives_with_an_empty_mapping(
        self, driver: Driver, queue: str
    ) -> None:
        """[DeliveryHasNonNilHeaders] [DeclareQueueEmptyOptions]"""
        driver.publish(queue, [Message("m-1", b"", {})], PATIENCE)

        _, receiver = subscribe(driver, queue)

        [delivery] = receiver.take(1)
        assert dict(delivery.message.headers) == {}
        assert delivery.message.body == b""

    def test_messages_arrive_in_the_order_of_publishing(self, driver: Driver, queue: str) -> None:
        """[MultipleMessages] [BatchPublish] [SingleDelivery]"""
        if not driver.features.ordered:
            pytest.skip("the driver does not promise order")
        publish(driver, queue, b"1")
        publish(driver, queue, b"2", b"3", b"4")
        publish(driver, queue, b"5")

        _, receiver = subscribe(driver, queue)

        assert bodies(receiver.take(5)) == [b"1", b"2", b"3", b"4", b"5"]
        assert receiver.waiting == 0

    def test_many_publishers_and_consumers_lose_and_double_nothing(self, driver: Driver) -> None:
        """[ConcurrentPublish] [HighVolume]"""
        queue = declare(driver, max_length=100)
        total, publishers, consumers = 400, 4, 3
        seen: Counter[str] = Counter()
        done = threading.Event()
        guard = threading.Lock()

        def deliver(deliveries: Sequence[Delivery]) -> None:
            with guard:
                arrived.extend(deliveries)
                more.release(len(deliveries))

        arrived: list[Delivery] = []
        more = threading.Semaphore(0)

        def consume() -> None:
            while more.acquire(timeout=PATIENCE) and not done.is_set():
                with guard:
                    delivery = arrived.pop()
                    seen[delivery.message.id] += 1
                    complete = sum(seen.values()) == total
                ack(delivery)
                if complete:
                    done.set()
                    more.release(consumers)

        sent: list[str] = []

        def produce(start: int) -> None:
            for number in range(start, start + total // publishers):
                sent.extend(publish(driver, queue, str(number).encode()))

        for number in range(2):
            driver.subscribe(queue, consumer=f"consumer-{number}", credit=7, deliver=deliver)
        threads = [threading.Thread(target=consume) for _ in range(consumers)]
        threads += [threading.Thread(target=produce, args=(n * 1000,)) for n in range(publishers)]
        for thread in threads:
            thread.start()

        assert done.wait(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(seen) == sorted(sent)
        assert set(seen.values()) == {1}
        assert eventually(lambda: driver.info(queue).message_count == 0)
