"""What every driver promises: the contract of `noria.actors.driver` as tests.

Run it on any driver, ours or yours: `pytest tests/actors/drivers --driver package.module:callable`.
The cases of the specification (spec: queue, section 11) carry their names there in brackets.
"""

import importlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from noria.actors.delivery import Delivery, Message, new_message_id
from noria.actors.driver import Driver, QueueDeclaration, Subscription
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import DriverUnavailable, QueueFull, QueueNotFound

PATIENCE = 20.0
OURS: dict[str, Callable[[], Driver]] = {"memory": MemoryDriver}

_names = itertools.count(1)


def make_driver(name: str) -> Driver:
    if name in OURS:
        return OURS[name]()
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)()


class Receiver:
    """Takes deliveries from a subscription and lets a test wait for them."""

    def __init__(self) -> None:
        self._arrived: list[Delivery] = []
        self._changed = threading.Condition()
        self.most_at_once = 0

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        with self._changed:
            self._arrived.extend(deliveries)
            self._changed.notify_all()

    def take(self, count: int) -> list[Delivery]:
        """The next `count` deliveries, in order of arrival."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._arrived) >= count, PATIENCE), (
                f"waited for {count} deliveries, got {len(self._arrived)}"
            )
            taken, self._arrived = self._arrived[:count], self._arrived[count:]
            return taken

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._arrived)


@pytest.fixture
def driver(driver_name: str) -> Iterator[Driver]:
    with make_driver(driver_name) as driver:
        yield driver


@pytest.fixture
def queue(driver: Driver) -> str:
    return declare(driver)


def declare(driver: Driver, **options: object) -> str:
    name = f"conformance-{next(_names)}-{new_message_id()[:8]}"
    driver.declare(QueueDeclaration(name=name, options=driver.queue_options(**options)))
    return name


def messages(*bodies: bytes, **headers: object) -> list[Message]:
    return [Message(new_message_id(), body, headers) for body in bodies]


def publish(driver: Driver, queue: str, *bodies: bytes, timeout: float = PATIENCE) -> list[str]:
    made = messages(*bodies)
    driver.publish(queue, made, timeout)
    return [message.id for message in made]


def subscribe(driver: Driver, queue: str, *, credit: int = 100) -> tuple[Subscription, Receiver]:
    receiver = Receiver()
    consumer = f"consumer-{next(_names)}"
    return driver.subscribe(queue, consumer=consumer, credit=credit, deliver=receiver), receiver


def ack(delivery: Delivery) -> None:
    assert delivery.claim()
    delivery.subscription.ack([delivery])
    # As a worker does that finds the buffer empty: a driver may have collected acks until now.
    delivery.subscription.hurry()


def nack(delivery: Delivery, delay: float = 0.0) -> None:
    assert delivery.claim()
    delivery.started = True
    delivery.subscription.nack(delivery, delay)


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.message.body for delivery in deliveries]


def eventually(condition: Callable[[], bool]) -> bool:
    """For figures of backends that settle in the background; the waiting is in flush, not in sleeping."""
    pause = threading.Event()
    return any(condition() or pause.wait(0.02) for _ in range(int(PATIENCE / 0.02)))


# ---- declaring ---------------------------------------------------------------------------------------


def test_declaring_a_queue_twice_keeps_its_messages(driver, queue):
    """[DeclareQueue], and the specification's 'redeclare keeps queued messages'."""
    publish(driver, queue, b"kept")

    driver.declare(QueueDeclaration(name=queue))

    _, receiver = subscribe(driver, queue)
    assert bodies(receiver.take(1)) == [b"kept"]


def test_several_queues_share_a_driver_and_do_not_see_each_other(driver):
    """[DeclareMultipleQueues] [QueueIsolation] [PublishToMultipleQueuesConsume] Seed: 'Multiple queues can share a driver.'"""
    queues = [declare(driver) for _ in range(3)]
    for queue in queues:
        publish(driver, queue, *(f"{queue}/{n}".encode() for n in range(3)))

    for queue in queues:
        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(3)) == [f"{queue}/{n}".encode() for n in range(3)]
        assert receiver.waiting == 0


def test_an_unknown_queue_is_named_in_the_error(driver):
    """[PublishNonExistent] [AttachNonExistent] [GetQueueInfoNonExistent]"""
    with pytest.raises(QueueNotFound, match="queue not found: nowhere"):
        publish(driver, "nowhere", b"x")
    with pytest.raises(QueueNotFound, match="nowhere"):
        subscribe(driver, "nowhere")
    with pytest.raises(QueueNotFound, match="nowhere"):
        driver.info("nowhere")


# ---- publishing and delivering -----------------------------------------------------------------------


@pytest.mark.parametrize("publish_first", [True, False])
def test_a_message_arrives_with_its_id_body_and_headers(driver, queue, publish_first):
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


def test_a_message_without_headers_arrives_with_an_empty_mapping(driver, queue):
    """[DeliveryHasNonNilHeaders] [DeclareQueueEmptyOptions]"""
    driver.publish(queue, [Message("m-1", b"", {})], PATIENCE)

    _, receiver = subscribe(driver, queue)

    [delivery] = receiver.take(1)
    assert dict(delivery.message.headers) == {}
    assert delivery.message.body == b""


def test_messages_arrive_in_the_order_of_publishing(driver, queue):
    """[MultipleMessages] [BatchPublish] [SingleDelivery]"""
    if not driver.features.ordered:
        pytest.skip("the driver does not promise order")
    publish(driver, queue, b"1")
    publish(driver, queue, b"2", b"3", b"4")
    publish(driver, queue, b"5")

    _, receiver = subscribe(driver, queue)

    assert bodies(receiver.take(5)) == [b"1", b"2", b"3", b"4", b"5"]
    assert receiver.waiting == 0


def test_many_publishers_and_consumers_lose_and_double_nothing(driver):
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


# ---- credit ------------------------------------------------------------------------------------------


def test_no_more_is_delivered_than_the_credit_allows(driver, queue):
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


def test_a_nack_frees_credit(driver, queue):
    publish(driver, queue, b"1", b"2")
    _, receiver = subscribe(driver, queue, credit=1)

    nack(receiver.take(1)[0], delay=3600)

    assert bodies(receiver.take(1)) == [b"2"]


def test_consumers_of_a_queue_share_fairly(driver, queue):
    """Seed: 'Multiple consumers can process from the same queue.'"""
    receivers = [subscribe(driver, queue, credit=10)[1] for _ in range(2)]

    publish(driver, queue, *(str(n).encode() for n in range(10)))

    assert [len(receiver.take(5)) for receiver in receivers] == [5, 5]


def test_a_consumer_that_acks_nothing_does_not_starve_the_other(driver, queue):
    _, stuck = subscribe(driver, queue, credit=2)
    _, lively = subscribe(driver, queue, credit=2)

    publish(driver, queue, *(str(n).encode() for n in range(30)))
    for _ in range(28):
        ack(lively.take(1)[0])

    assert len(stuck.take(2)) == 2
    assert stuck.waiting == 0


def test_collected_acks_count_in_every_figure_at_once(driver, queue):
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


# ---- settling ----------------------------------------------------------------------------------------


def test_an_acked_message_is_gone(driver, queue):
    """[PublishAndAttach] Seed: 'Message removed from queue'."""
    publish(driver, queue, b"once")
    subscription, receiver = subscribe(driver, queue)
    ack(receiver.take(1)[0])
    assert subscription.flush(PATIENCE)

    subscription.close()

    _, second = subscribe(driver, queue)
    publish(driver, queue, b"marker")
    assert bodies(second.take(1)) == [b"marker"]


def test_a_nacked_message_comes_back_and_counts_the_attempt(driver, queue):
    """[Nack] Seed: 'Message requeued'."""
    [sent] = publish(driver, queue, b"again")
    _, receiver = subscribe(driver, queue)

    attempts = []
    for _ in range(3):
        [delivery] = receiver.take(1)
        attempts.append(delivery.attempt)
        nack(delivery)

    [last] = receiver.take(1)
    assert [*attempts, last.attempt] == [1, 2, 3, 4]
    assert last.message.id == sent
    assert last.message.body == b"again"


def test_a_nacked_message_goes_behind_what_is_ready(driver, queue):
    """Specification: 'nack goes behind already queued messages (1 nacked -> 2, 3, 1)'."""
    publish(driver, queue, b"1", b"2", b"3")
    _, receiver = subscribe(driver, queue, credit=1)

    order = []
    for _ in range(4):
        [delivery] = receiver.take(1)
        order.append(delivery.message.body)
        if order == [b"1"]:
            nack(delivery)
        else:
            ack(delivery)

    assert order == [b"1", b"2", b"3", b"1"]


def test_a_delayed_message_waits_in_the_backend_and_then_comes_back(driver, queue):
    publish(driver, queue, b"later")
    subscription, receiver = subscribe(driver, queue)

    nack(receiver.take(1)[0], delay=0.2)

    assert subscription.flush(PATIENCE)
    assert subscription.unsettled() == () or list(subscription.unsettled()) == []
    [delivery] = receiver.take(1)
    assert (delivery.message.body, delivery.attempt) == (b"later", 2)


def test_a_shorter_delay_overtakes_a_longer_one(driver, queue):
    publish(driver, queue, b"long", b"short")
    _, receiver = subscribe(driver, queue)
    long, short = receiver.take(2)

    nack(long, delay=3600)
    nack(short, delay=0.05)

    assert bodies(receiver.take(1)) == [b"short"]
    assert driver.info(queue).delayed == 1


def test_released_deliveries_return_to_the_head_in_order_and_uncounted(driver, queue):
    """Design, invariant 2."""
    publish(driver, queue, b"1", b"2", b"3", b"4")
    subscription, receiver = subscribe(driver, queue, credit=3)
    taken = receiver.take(3)
    subscription.pause()

    for delivery in taken:
        assert delivery.claim()
    subscription.release(taken)
    subscription.close()

    _, second = subscribe(driver, queue)
    again = second.take(4)
    assert bodies(again) == [b"1", b"2", b"3", b"4"]
    assert [delivery.attempt for delivery in again] == [1, 1, 1, 1]


def test_only_the_first_claim_of_a_delivery_succeeds(driver, queue):
    """[AckIsIdempotent] [NackIsIdempotent] Specification: 'settled (one-shot claim)'."""
    publish(driver, queue, b"x")
    _, receiver = subscribe(driver, queue)
    [delivery] = receiver.take(1)
    claims: list[bool] = []
    start = threading.Barrier(8)

    def claim() -> None:
        start.wait()
        claims.append(delivery.claim())

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claims) == [False] * 7 + [True]


def test_a_settlement_after_close_changes_nothing(driver, queue):
    publish(driver, queue, b"x")
    subscription, receiver = subscribe(driver, queue)
    [late] = receiver.take(1)
    subscription.close()

    ack(late)
    subscription.flush(PATIENCE)

    _, second = subscribe(driver, queue)
    assert bodies(second.take(1)) == [b"x"]


# ---- dead letters ------------------------------------------------------------------------------------


def test_a_message_moves_to_another_queue_with_new_headers(driver, queue):
    other = declare(driver)
    [sent] = publish(driver, queue, b"bad")
    subscription, receiver = subscribe(driver, queue)
    [delivery] = receiver.take(1)

    assert delivery.claim()
    moved = subscription.move(delivery, other, Message(sent, b"bad", {"x_dead_letter_reason": "rejected"}))

    assert moved
    _, second = subscribe(driver, other)
    [dead] = second.take(1)
    assert (dead.message.id, dead.message.body) == (sent, b"bad")
    assert dead.message.headers["x_dead_letter_reason"] == "rejected"
    assert subscription.flush(PATIENCE)
    assert eventually(lambda: driver.info(queue).message_count == 0)


def test_a_move_to_a_missing_or_full_queue_leaves_the_message_where_it_is(driver, queue):
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


# ---- bounds ------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_after_the_timeout_and_says_how_many_it_took(driver):
    queue = declare(driver, max_length=3)

    with pytest.raises(QueueFull) as caught:
        publish(driver, queue, *(str(n).encode() for n in range(5)), timeout=0)

    assert caught.value.accepted == 3
    assert caught.value.retryable
    _, receiver = subscribe(driver, queue)
    assert bodies(receiver.take(3)) == [b"0", b"1", b"2"]


def test_a_publisher_waits_for_room(driver):
    queue = declare(driver, max_length=2)
    publish(driver, queue, b"1", b"2")
    finished = threading.Event()

    def publish_more() -> None:
        publish(driver, queue, b"3", b"4", b"5")
        finished.set()

    publisher = threading.Thread(target=publish_more)
    publisher.start()
    _, receiver = subscribe(driver, queue, credit=1)
    order = []
    for _ in range(5):
        [delivery] = receiver.take(1)
        order.append(delivery.message.body)
        ack(delivery)

    assert finished.wait(PATIENCE)
    publisher.join()
    assert order == [b"1", b"2", b"3", b"4", b"5"]


def test_a_nack_has_room_in_a_full_queue(driver):
    """Decisions: 'memory driver, nack on a full queue: always room for what was already accepted'."""
    queue = declare(driver, max_length=2)
    publish(driver, queue, b"1", b"2")
    _, receiver = subscribe(driver, queue, credit=2)
    first, second = receiver.take(2)
    blocked, _ = subscribe(driver, queue, credit=1)
    blocked.pause()
    nack(first, delay=3600)
    nack(second, delay=3600)

    with pytest.raises(QueueFull):
        publish(driver, queue, b"3", timeout=0)

    assert driver.info(queue).delayed == 2


def test_a_larger_max_length_applies_at_once(driver):
    queue = declare(driver, max_length=1)
    publish(driver, queue, b"1")

    driver.declare(QueueDeclaration(name=queue, options=driver.queue_options(max_length=2)))

    publish(driver, queue, b"2", timeout=0)
    assert driver.info(queue).ready == 2


# ---- figures -----------------------------------------------------------------------------------------


def test_the_figures_tell_ready_in_flight_delayed_and_consumers(driver, queue):
    """[GetQueueInfo] [EmptyQueueInfo]"""
    assert driver.info(queue).message_count == 0
    publish(driver, queue, *(str(n).encode() for n in range(6)))
    subscription, receiver = subscribe(driver, queue, credit=3)
    nack(receiver.take(1)[0], delay=3600)
    receiver.take(3)
    subscription.flush(PATIENCE)

    assert eventually(lambda: driver.info(queue).delayed == 1)
    info = driver.info(queue)
    assert (info.ready, info.in_flight, info.delayed, info.consumer_count) == (2, 3, 1, 1)
    assert info.message_count == 6


# ---- stopping ----------------------------------------------------------------------------------------


def test_after_pause_nothing_more_is_delivered(driver, queue):
    """Seed: 'Stop accepting new deliveries'."""
    subscription, receiver = subscribe(driver, queue)

    subscription.pause()
    publish(driver, queue, b"1")

    _, second = subscribe(driver, queue)
    assert bodies(second.take(1)) == [b"1"]
    assert receiver.waiting == 0


def test_closing_returns_what_is_unsettled(driver, queue):
    """[CancelAttach] [ReattachAfterCancel] An attempt counts where a handler had started."""
    publish(driver, queue, b"seen", b"unseen")
    subscription, receiver = subscribe(driver, queue)
    seen, _ = receiver.take(2)
    seen.started = True

    assert not subscription.is_closed
    subscription.close()
    subscription.close()

    assert subscription.is_closed
    _, second = subscribe(driver, queue)
    again = {delivery.message.body: delivery.attempt for delivery in second.take(2)}
    assert again == {b"seen": 2, b"unseen": 1}


def test_a_consumer_that_subscribes_again_gets_back_what_its_earlier_life_held(driver, queue):
    publish(driver, queue, b"1", b"2")
    first, second = Receiver(), Receiver()
    driver.subscribe(queue, consumer="c", credit=2, deliver=first)
    first.take(2)[0].started = True

    driver.subscribe(queue, consumer="c", credit=2, deliver=second)

    assert {d.message.body: d.attempt for d in second.take(2)} == {b"1": 2, b"2": 1}
    assert driver.info(queue).consumer_count == 1


def test_subscribing_and_closing_quickly_loses_nothing(driver, queue):
    """[RapidAttachDetach]"""
    publish(driver, queue, b"1", b"2", b"3")
    for _ in range(10):
        subscribe(driver, queue, credit=2)[0].close()

    _, receiver = subscribe(driver, queue)

    assert sorted(bodies(receiver.take(3))) == [b"1", b"2", b"3"]


def test_a_closed_driver_refuses_and_keeps_everything_until_it_opens_again(driver, queue):
    """Decisions: 'declared queues and messages survive a restart by the supervisor'."""
    publish(driver, queue, b"ready", b"flying", b"delayed")
    _, receiver = subscribe(driver, queue)
    taken = {delivery.message.body: delivery for delivery in receiver.take(3)}
    nack(taken[b"delayed"], delay=0.2)

    driver.close()
    driver.close()
    with pytest.raises(DriverUnavailable) as caught:
        publish(driver, queue, b"refused")
    assert caught.value.retryable
    with pytest.raises(DriverUnavailable):
        subscribe(driver, queue)

    driver.open(lambda _error: None)
    driver.open(lambda _error: None)
    driver.declare(QueueDeclaration(name=queue))
    _, second = subscribe(driver, queue)
    assert sorted(bodies(second.take(3))) == [b"delayed", b"flying", b"ready"]


def test_closing_the_driver_wakes_a_waiting_publisher(driver):
    queue = declare(driver, max_length=1)
    publish(driver, queue, b"1")
    result: list[BaseException] = []
    entered = threading.Event()

    def publish_more() -> None:
        entered.set()
        try:
            publish(driver, queue, b"2")
        except DriverUnavailable as error:
            result.append(error)

    publisher = threading.Thread(target=publish_more)
    publisher.start()
    assert entered.wait(PATIENCE)
    driver.close()
    publisher.join(PATIENCE)

    assert not publisher.is_alive()
    assert len(result) == 1
