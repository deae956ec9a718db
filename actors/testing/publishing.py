"""Queues are declared, and what is published arrives: all of it, as it was, once.

Knows: the contract of a driver. Must not know: any driver.
"""

import threading
from collections import Counter
from functools import partial

import pytest

from ..delivery import Delivery, Message, new_message_id
from ..driver import Driver
from ..errors import BodyRefused, DriverRefused, QueueNotFound
from .case import DriverCase
from .harness import (
    PATIENCE,
    Receiver,
    ack,
    bodies,
    declare,
    declare_again,
    eventually,
    in_order,
    in_threads,
    messages,
    needs,
    numbered,
    publish,
    subscribe,
)


class Publishing(DriverCase):
    """Declaring and publishing. Names in brackets are those of the specification's own list of tests."""

    # ---- queues --------------------------------------------------------------------------------------

    def test_declaring_a_queue_twice_keeps_its_messages(self, driver: Driver, queue: str) -> None:
        """[DeclareQueue]"""
        publish(driver, queue, b"kept")

        declare_again(driver, queue)

        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(1)) == [b"kept"]

    def test_several_queues_share_a_driver_and_do_not_see_each_other(self, driver: Driver) -> None:
        """[DeclareMultipleQueues] [QueueIsolation] [PublishToMultipleQueuesConsume]"""
        queues = [declare(driver) for _ in range(3)]
        for queue in queues:
            publish(driver, queue, *(f"{queue}/{number}".encode() for number in range(3)))

        for queue in queues:
            _, receiver = subscribe(driver, queue)
            found = bodies(receiver.take(3))
            assert in_order(driver, found) == [f"{queue}/{number}".encode() for number in range(3)]
            assert receiver.waiting == 0

    def test_an_unknown_queue_is_named_in_the_error(self, driver: Driver) -> None:
        """[PublishNonExistent] [AttachNonExistent] [GetQueueInfoNonExistent]"""
        for verb in (
            partial(publish, driver, "nowhere", b"x"),
            partial(subscribe, driver, "nowhere"),
            partial(driver.info, "nowhere"),
            partial(driver.purge, "nowhere"),
            partial(driver.peek, "nowhere", 1),
        ):
            with pytest.raises(QueueNotFound, match="queue not found: nowhere"):
                verb()

    def test_names_that_differ_only_in_a_sign_are_different_queues(self, driver: Driver) -> None:
        """A name that the backend cannot have is refused, and the error names it; it is not bent into another."""
        end = new_message_id()[:8]
        taken: list[str] = []
        refused: dict[str, str] = {}
        for name in (f"a-{end}", f"a.{end}", f"a/{end}", f"a:{end}", f"a_{end}", f"A-{end}", f"ñ 日本-{end}"):
            try:
                declare_again(driver, name)
            except DriverRefused as refusal:
                refused[name] = str(refusal)
            else:
                taken.append(name)
        for name in taken:
            publish(driver, name, name.encode())

        assert f"a-{end}" in taken
        assert all(name in refusal for name, refusal in refused.items())
        for name in taken:
            _, receiver = subscribe(driver, name)
            assert bodies(receiver.take(1)) == [name.encode()]

    # ---- messages as they were -----------------------------------------------------------------------

    @pytest.mark.parametrize("publish_first", [True, False])
    def test_a_message_arrives_with_its_id_body_and_headers(
        self, driver: Driver, queue: str, publish_first: bool
    ) -> None:
        """[PublishAndAttach] [PublishBeforeAttach] [MessageBodyPreservation] [CustomHeaders]"""
        headers = {"correlation_id": "c-1", "reply_to": "answers", "content_type": "application/json"}
        sent = messages(b"hello", **headers)

        if publish_first:
            driver.publish(queue, sent, PATIENCE)
        _, receiver = subscribe(driver, queue)
        if not publish_first:
            driver.publish(queue, sent, PATIENCE)

        delivery = receiver.take_one()
        assert delivery.message.id == sent[0].id
        assert delivery.message.body == b"hello"
        assert dict(delivery.message.headers) == headers
        assert (delivery.attempt, delivery.is_suspect, delivery.is_expired) == (1, False, False)

    def test_a_message_without_headers_arrives_with_an_empty_mapping(
        self, driver: Driver, queue: str
    ) -> None:
        """[DeliveryHasNonNilHeaders] [DeclareQueueEmptyOptions]"""
        driver.publish(queue, messages(b"bare"), PATIENCE)

        _, receiver = subscribe(driver, queue)

        assert dict(receiver.take_one().message.headers) == {}

    def test_header_values_keep_value_and_type(self, driver: Driver, queue: str) -> None:
        """[NeutralHeadersRoundTrip]"""
        headers = {
            "zero": 0,
            "negative": -5,
            "beyond_a_float": 2**53 + 1,
            "beyond_64_bits": -(2**70),
            "fraction": 0.1,
            "whole_float": 1.0,
            "tiny": 5e-324,
            "huge": 1.7976931348623157e308,
            "yes": True,
            "no": False,
            "nothing": None,
            "empty": "",
            "text": "Ärger, 日本, \U0001f41f and a line\nbreak",
            "zero_character": "a\x00b",
            "number_as_text": "1",
            "truth_as_text": "true",
            "nothing_as_text": "null",
        }

        driver.publish(queue, messages(b"x", **headers), PATIENCE)

        _, receiver = subscribe(driver, queue)
        found = dict(receiver.take_one().message.headers)
        assert found == headers
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in headers.items()
        }

    def test_header_names_are_the_publisher_s_own(self, driver: Driver, queue: str) -> None:
        """Also names that a driver may use for fields of its own, and prefixes of other drivers."""
        names = [
            *("id", "body", "headers", "attempts", "queue", "message_id", "timestamp", "noria", "x-noria-id"),
            *(
                "amqp.unknown",
                "sqs.unknown",
                "redis.unknown",
                "with space",
                "ñ",
                "UPPER",
                "upper",
                "a.b",
                "7",
            ),
        ]
        headers = {name: f"value of {name}" for name in names}

        driver.publish(queue, messages(b"x", **headers), PATIENCE)

        _, receiver = subscribe(driver, queue)
        assert dict(receiver.take_one().message.headers) == headers

    def test_twenty_five_headers_arrive(self, driver: Driver, queue: str) -> None:
        headers = {f"header_{number}": number for number in range(25)}

        driver.publish(queue, messages(b"x", **headers), PATIENCE)

        _, receiver = subscribe(driver, queue)
        assert dict(receiver.take_one().message.headers) == headers

    @pytest.mark.parametrize(
        "body",
        [b"", bytes(range(256)), b"\xff\xfe\x00", b"line\r\nbreak\n", "日本".encode(), b"x" * 150_000],
        ids=["empty", "every byte", "no text", "line ends", "utf-8", "150 kB"],
    )
    def test_a_body_is_any_bytes(self, driver: Driver, queue: str, body: bytes) -> None:
        publish(driver, queue, body)

        _, receiver = subscribe(driver, queue)

        assert receiver.take_one().message.body == body

    def test_a_body_of_a_mebibyte_arrives_or_is_refused(self, driver: Driver, queue: str) -> None:
        """A backend with a limit says so to the publisher, and goes on."""
        large = bytes(range(256)) * 4096
        _, receiver = subscribe(driver, queue)

        try:
            publish(driver, queue, large)
        except (BodyRefused, DriverRefused):
            publish(driver, queue, b"small")
            assert bodies(receiver.take(1)) == [b"small"]
        else:
            assert receiver.take_one().message.body == large

    def test_message_ids_are_the_publisher_s_and_no_duplicates_are_dropped(
        self, driver: Driver, queue: str
    ) -> None:
        """What was published again, after a doubtful answer or as a replayed dead letter, is there again."""
        sent = Message("order/7 ñ", b"1", {})

        driver.publish(queue, [sent, sent], PATIENCE)
        driver.publish(queue, [sent], PATIENCE)

        _, receiver = subscribe(driver, queue)
        assert [delivery.message.id for delivery in receiver.take(3)] == ["order/7 ñ"] * 3

    # ---- batches, order, threads ---------------------------------------------------------------------

    @needs("ordered")
    def test_messages_arrive_in_the_order_of_publishing(self, driver: Driver, queue: str) -> None:
        """[MultipleMessages] [BatchPublish] [SingleDelivery]"""
        publish(driver, queue, b"1")
        publish(driver, queue, b"2", b"3", b"4")
        publish(driver, queue, b"5")

        _, receiver = subscribe(driver, queue)

        assert bodies(receiver.take(5)) == [b"1", b"2", b"3", b"4", b"5"]
        assert receiver.waiting == 0

    def test_a_batch_may_be_large_or_empty(self, driver: Driver, queue: str) -> None:
        driver.publish(queue, [], PATIENCE)
        publish(driver, queue, *numbered(300))

        _, receiver = subscribe(driver, queue, credit=1000)

        assert sorted(bodies(receiver.take(300)), key=int) == numbered(300)
        assert receiver.waiting == 0

    def test_a_publish_without_patience_works_where_there_is_room(self, driver: Driver, queue: str) -> None:
        publish(driver, queue, b"1", b"2", timeout=0)

        _, receiver = subscribe(driver, queue)

        assert in_order(driver, bodies(receiver.take(2))) == [b"1", b"2"]

    def test_an_idle_consumer_gets_each_message_as_it_comes(self, driver: Driver, queue: str) -> None:
        _, receiver = subscribe(driver, queue)
        for body in numbered(20):
            publish(driver, queue, body)
            delivery = receiver.take_one()
            assert delivery.message.body == body
            ack(delivery)

    def test_many_threads_publish_at_once(self, driver: Driver, queue: str) -> None:
        """[ConcurrentPublish] Nothing is lost or mixed up, and each one's messages keep their order."""

        def produce(letter: str) -> None:
            for number in range(20):
                publish(driver, queue, f"{letter}{number:02}".encode())

        in_threads(*(partial(produce, letter) for letter in "abcdefgh"))

        _, receiver = subscribe(driver, queue, credit=200)
        found = bodies(receiver.take(160))
        assert receiver.waiting == 0
        for letter in "abcdefgh":
            own = [body for body in found if body.startswith(letter.encode())]
            assert in_order(driver, own) == [f"{letter}{number:02}".encode() for number in range(20)]

    def test_many_publishers_and_consumers_lose_and_double_nothing(self, driver: Driver) -> None:
        """[HighVolume] Through a queue that is often full."""
        queue = declare(driver, max_length=100)
        receiver, seen, sent = Receiver(), Counter[str](), list[str]()
        guard, total = threading.Lock(), 400

        def consume() -> None:
            while (delivery := take_before(total)) is not None:
                ack(delivery)

        def take_before(limit: int) -> Delivery | None:
            with guard:
                if sum(seen.values()) == limit:
                    return None
                delivery = receiver.take_one()
                seen[delivery.message.id] += 1
                return delivery

        def produce(start: int) -> None:
            for number in range(start, start + total // 4):
                sent.extend(publish(driver, queue, str(number).encode()))

        for number in range(2):
            driver.subscribe(queue, consumer=f"consumer-{number}", credit=7, deliver=receiver)
        producers = [partial(produce, number * 1000) for number in range(4)]
        in_threads(*producers, consume, consume, consume)

        assert sorted(seen) == sorted(sent)
        assert set(seen.values()) == {1}
        assert receiver.waiting == 0
        assert eventually(lambda: driver.info(queue).message_count == 0)
