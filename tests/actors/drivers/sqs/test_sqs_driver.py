"""What SQS has that the conformance suite does not ask of every driver. On moto's server."""

import itertools
import json
import threading

import boto3
import pytest

from noria.actors.aws import AwsConfig
from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.sqs import SqsConfig, SqsDriver
from noria.actors.drivers.sqs.failures import CallFailed, Failure, Fate
from noria.actors.drivers.sqs.options import SqsConsumerOptions
from noria.actors.errors import BodyRefused, DriverRefused, DriverUnavailable
from noria.actors.testing import PATIENCE, Receiver
from noria.actors.testing.harness import eventually
from noria.registry import EntryID

KEYS = {"access_key_id": "any", "secret_access_key": "wJalrXUtnFEMI"}
# In moto a long poll never sees what becomes visible of a FIFO queue's group while it waits.
SHORT_POLLS = SqsConsumerOptions(wait_time=1.0)
_numbers = itertools.count(1)


def config(**fields) -> SqsConfig:
    return SqsConfig(config=EntryID("test", "aws"), **fields)


@pytest.fixture
def make_driver(moto_server):
    opened = []

    def make(**fields):
        fields.setdefault("endpoint", moto_server.endpoint)
        aws = AwsConfig(region="eu-west-1", **KEYS)
        driver = SqsDriver("test:sqs", config(**fields), aws=aws)
        driver.open(lambda _error: None)
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.close()


@pytest.fixture
def client(moto_server):
    made = boto3.client(
        "sqs",
        endpoint_url=moto_server.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    yield made
    made.close()


def new_name(suffix: str = "") -> str:
    return f"sqs-{next(_numbers)}-{new_message_id()[:8]}{suffix}"


def declare(driver: SqsDriver, name: str | None = None, **options) -> str:
    name = name or new_name()
    driver.declare(QueueDeclaration(name=name, options=driver.queue_options(**options)))
    return name


def publish(driver: SqsDriver, queue: str, *bodies: bytes, **headers) -> list[Message]:
    messages = [Message(new_message_id(), body, headers) for body in bodies]
    driver.publish(queue, messages, PATIENCE)
    return messages


def subscribe(driver: SqsDriver, queue: str, *, consumer: str = "c", credit: int = 100, options=SHORT_POLLS):
    receiver = Receiver()
    made = driver.subscribe(queue, consumer=consumer, credit=credit, deliver=receiver, options=options)
    return made, receiver


def ack(delivery) -> None:
    assert delivery.claim()
    delivery.subscription.ack([delivery])


def nack(delivery, delay: float = 0.0) -> None:
    assert delivery.claim()
    delivery.started = True
    delivery.subscription.nack(delivery, delay)


# ---- queues ------------------------------------------------------------------------------------------


def test_a_queue_is_created_as_its_entries_say(make_driver, client):
    """Specification 7: 'create with retention, delay, default_visibility_timeout, FifoQueue'."""
    driver = make_driver(message_retention_period=120.0, default_delay_seconds=7)

    name = declare(driver, new_name(".fifo"), default_visibility_timeout=45.0)

    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == "120"
    assert attributes["DelaySeconds"] == "7"
    assert attributes["VisibilityTimeout"] == "45"
    assert attributes["FifoQueue"] == "true"


def test_an_existing_queue_keeps_what_it_has(make_driver, client):
    """Specification 7: 'Existing queues' attributes untouched'."""
    name = new_name()
    url = client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "77"})["QueueUrl"]

    declare(make_driver(message_retention_period=120.0), name, default_visibility_timeout=45.0)

    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "77"
    assert attributes["MessageRetentionPeriod"] != "120"


@pytest.mark.parametrize("name", ["with.dots", "ñ", "x" * 81])
def test_a_name_that_sqs_cannot_have_is_refused_with_the_rule(make_driver, name):
    with pytest.raises(DriverRefused, match="letters, digits"):
        declare(make_driver(), name)


# ---- messages ----------------------------------------------------------------------------------------


def test_other_programs_can_read_and_write(make_driver, client):
    driver = make_driver()
    queue = declare(driver)
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]

    [sent] = publish(driver, queue, b'{"a": 1}', kind="greeting", urgent=True)
    [seen] = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    client.delete_message(QueueUrl=url, ReceiptHandle=seen["ReceiptHandle"])
    assert seen["Body"] == '{"a": 1}'
    assert seen["MessageAttributes"]["noria.id"]["StringValue"] == sent.id
    assert seen["MessageAttributes"]["urgent"] == {"DataType": "String.bool", "StringValue": "true"}

    theirs = client.send_message(
        QueueUrl=url,
        MessageBody="hello",
        MessageAttributes={"n": {"DataType": "Number", "StringValue": "3"}},
    )
    _, receiver = subscribe(driver, queue)
    delivery = receiver.take_one()
    assert delivery.message.id == theirs["MessageId"]
    assert (delivery.message.body, dict(delivery.message.headers)) == (b"hello", {"n": 3})


def test_a_message_that_is_too_large_is_refused_and_nothing_is_sent(make_driver, client):
    driver = make_driver()
    name = new_name()
    client.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "4096"})
    queue = declare(driver, name)

    with pytest.raises(BodyRefused, match="SQS takes 2048"):
        publish(driver, queue, b"small", b"x" * 3000)

    assert driver.info(queue).ready == 0


def test_messages_that_are_too_large_for_one_trip_take_several(make_driver):
    driver = make_driver()
    queue = declare(driver)

    publish(driver, queue, *[b"x" * 400_000] * 5)

    _, receiver = subscribe(driver, queue)
    assert len(receiver.take(5)) == 5


def test_a_message_can_be_delayed_when_it_is_published(make_driver):
    """Specification 7: `sqs.delay_seconds`."""
    driver = make_driver()
    queue = declare(driver)

    publish(driver, queue, b"later", **{"sqs.delay_seconds": 900})

    assert driver.info(queue).delayed == 1
    with pytest.raises(BodyRefused, match="from 0 to 900"):
        publish(driver, queue, b"x", **{"sqs.delay_seconds": 901})


def test_purging_takes_what_this_process_has_delayed_and_leaves_what_is_handled(make_driver):
    driver = make_driver()
    queue = declare(driver)
    publish(driver, queue, b"1", b"2")
    subscription, receiver = subscribe(driver, queue, credit=2)
    delayed, held = receiver.take(2)
    subscription.pause()
    nack(delayed, delay=3600)
    assert subscription.flush(PATIENCE)
    publish(driver, queue, b"3", b"4")

    assert driver.purge(queue) == 3

    info = driver.info(queue)
    assert (info.ready, info.in_flight, info.delayed) == (0, 1, 0)
    ack(held)


def test_a_purge_ends_although_others_go_on_publishing(make_driver):
    driver, other = make_driver(), make_driver()
    queue = declare(driver)
    declare(other, queue)
    publish(driver, queue, *[b"old"] * 30)
    is_over = threading.Event()

    def publish_on():
        while not is_over.is_set():
            publish(other, queue, b"new")

    publisher = threading.Thread(target=publish_on, daemon=True)
    publisher.start()
    purged = []
    purge = threading.Thread(target=lambda: purged.append(driver.purge(queue)), daemon=True)
    purge.start()
    purge.join(PATIENCE / 2)
    has_ended = not purge.is_alive()
    is_over.set()
    publisher.join(PATIENCE)

    assert has_ended
    assert purged[0] >= 30


def test_looking_at_messages_does_not_count_as_an_attempt_here(make_driver):
    driver = make_driver()
    queue = declare(driver)
    publish(driver, queue, b"1", b"2", b"3")

    found = driver.peek(queue, 2)
    assert [(each.attempts, each.state) for each in found] == [(0, "ready")] * 2
    assert len(driver.peek(queue, 100)) == 3

    _, receiver = subscribe(driver, queue)
    assert [delivery.attempt for delivery in receiver.take(3)] == [1, 1, 1]


def test_a_damaged_body_is_noticed_unless_that_is_switched_off(make_driver, monkeypatch):
    failures = []
    driver = make_driver(disable_message_checksum_validation=True)
    queue = declare(driver)
    publish(driver, queue, b"x")
    strict = SqsDriver("test:sqs", config(endpoint=driver.config.endpoint), aws=driver._aws)
    strict.open(failures.append)
    monkeypatch.setattr("moto.sqs.models.Message.body_md5", "0" * 32)
    with strict:
        declare(strict, queue)
        with pytest.raises(DriverUnavailable, match="damaged"):
            strict.peek(queue, 1)
    assert driver.purge(queue) == 0  # it is still hidden from others, for it was taken


# ---- native dead letters -----------------------------------------------------------------------------


def test_a_redrive_policy_of_the_queue_goes_its_own_way(make_driver, client):
    driver = make_driver()
    dead, queue = declare(driver), declare(driver)
    arn = client.get_queue_attributes(
        QueueUrl=client.get_queue_url(QueueName=dead)["QueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]
    client.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
    [sent] = publish(driver, queue, b"bad")
    _, receiver = subscribe(driver, queue)

    for attempt in (1, 2):
        delivery = receiver.take_one()
        assert delivery.attempt == attempt
        nack(delivery)

    _, undertaker = subscribe(driver, dead)
    assert undertaker.take_one().message.id == sent.id
    assert receiver.waiting == 0


# ---- FIFO --------------------------------------------------------------------------------------------


def test_a_group_keeps_its_order_also_when_a_handler_fails(make_driver):
    driver = make_driver()
    queue = declare(driver, new_name(".fifo"))
    publish(driver, queue, b"a1", b"a2", b"a3", **{"sqs.message_group_id": "a"})
    publish(driver, queue, b"b1", **{"sqs.message_group_id": "b"})

    _, receiver = subscribe(driver, queue, credit=10)

    first, other = sorted(receiver.take(2), key=lambda delivery: delivery.message.body)
    assert (first.message.body, other.message.body) == (b"a1", b"b1")
    assert first.message.headers == {"sqs.message_group_id": "a"}
    nack(first, delay=1)
    order = []
    for _ in range(3):
        delivery = receiver.take_one()
        order.append((delivery.message.body, delivery.attempt))
        ack(delivery)
    assert order == [(b"a1", 2), (b"a2", 1), (b"a3", 1)]


def test_a_message_published_again_is_stored_once(make_driver):
    """As after a publish whose answer was lost."""
    driver = make_driver()
    queue = declare(driver, new_name(".fifo"))
    again = Message("order/7 ñ", b"x", {"sqs.message_group_id": "g"})

    driver.publish(queue, [again], PATIENCE)
    driver.publish(queue, [again], PATIENCE)
    named = {"sqs.message_group_id": "g", "sqs.message_deduplication_id": "d"}
    publish(driver, queue, b"y", b"z", **named)

    assert driver.info(queue).ready == 2


def test_a_fifo_queue_needs_a_group(make_driver):
    driver = make_driver()
    queue = declare(driver, new_name(".fifo"))

    with pytest.raises(BodyRefused, match=r"needs the header sqs\.message_group_id"):
        publish(driver, queue, b"x")
    with pytest.raises(BodyRefused, match="a FIFO queue delays all its messages or none"):
        publish(driver, queue, b"x", **{"sqs.message_group_id": "g", "sqs.delay_seconds": 1})


def test_a_dead_letter_of_a_fifo_queue_is_never_taken_for_a_double(make_driver):
    driver = make_driver()
    queue, dead = declare(driver, new_name(".fifo")), declare(driver, new_name(".fifo"))
    [sent] = publish(driver, queue, b"bad", **{"sqs.message_group_id": "g"})
    for round_ in (1, 2):
        subscription, receiver = subscribe(driver, queue)
        delivery = receiver.take_one()
        assert delivery.claim()
        assert subscription.move(delivery, dead, delivery.message)
        assert subscription.flush(PATIENCE)
        assert driver.info(dead).ready == round_
        replay = {"sqs.message_group_id": "g", "sqs.message_deduplication_id": f"replay-{round_}"}
        driver.publish(queue, [Message(sent.id, b"bad", replay)], PATIENCE)


# ---- leases ------------------------------------------------------------------------------------------


def test_a_consumer_has_a_visibility_timeout_of_its_own(make_driver):
    """Specification 7: consumer option `visibility_timeout`. It is prolonged, however short it is."""
    options = SqsConsumerOptions(visibility_timeout=1.0, wait_time=1.0)
    driver, other = make_driver(), make_driver()
    queue = declare(driver)
    declare(other, queue)
    publish(driver, queue, b"x")
    _, receiver = subscribe(driver, queue, credit=1, options=options)
    held = receiver.take_one()
    _, second = subscribe(other, queue)

    threading.Event().wait(2.5)  # longer than its lease

    assert second.waiting == 0
    ack(held)
    assert held.subscription.flush(PATIENCE)
    assert driver.info(queue).message_count == 0


def test_a_short_lease_is_prolonged_beside_a_long_one(make_driver):
    long = SqsConsumerOptions(visibility_timeout=600.0, wait_time=1.0)
    short = SqsConsumerOptions(visibility_timeout=1.0, wait_time=1.0)
    driver, other = make_driver(), make_driver()
    slow, quick = declare(driver), declare(driver)
    declare(other, quick)
    publish(driver, slow, b"x")
    publish(driver, quick, b"y")
    subscribe(driver, slow, consumer="test:long", options=long)[1].take_one()
    _, receiver = subscribe(driver, quick, consumer="test:short", credit=1, options=short)
    held = receiver.take_one()
    _, second = subscribe(other, quick)

    threading.Event().wait(2.5)  # longer than its lease

    assert second.waiting == 0
    ack(held)
    assert held.subscription.flush(PATIENCE)
    assert driver.info(quick).message_count == 0


# ---- errors ------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_unavailable(make_driver):
    with pytest.raises(DriverUnavailable, match="Could not connect"):
        make_driver(endpoint="http://127.0.0.1:1")


def test_a_server_that_hangs_is_unavailable_in_time(make_driver, moto_server, proxy_to):
    line = proxy_to(moto_server.port)
    line.freeze()

    with pytest.raises(DriverUnavailable, match="timeout"):
        make_driver(endpoint=f"http://127.0.0.1:{line.port}", request_timeout=1.0)


@pytest.mark.parametrize(
    ("aws", "problem"),
    [
        (AwsConfig(profile="nobody-has-this"), "nobody-has-this"),
        (AwsConfig(region="not a region", **KEYS), "region"),
    ],
)
def test_what_can_never_work_is_refused(aws, problem):
    driver = SqsDriver("test:sqs", config(), aws=aws)

    with pytest.raises(DriverRefused, match=problem) as caught:
        driver.open(lambda _error: None)

    assert KEYS["secret_access_key"] not in str(caught.value)


def test_secrets_are_not_shown():
    assert KEYS["secret_access_key"] not in repr(AwsConfig(session_token="tok3n", **KEYS))
    assert "tok3n" not in repr(AwsConfig(session_token="tok3n", **KEYS))


def test_a_frozen_line_is_noticed_and_closing_is_quick(moto_server, proxy_to):
    line = proxy_to(moto_server.port)
    failed = threading.Event()
    aws = AwsConfig(region="eu-west-1", **KEYS)
    endpoint = f"http://127.0.0.1:{line.port}"
    driver = SqsDriver("test:sqs", config(endpoint=endpoint, request_timeout=1.0), aws=aws)
    driver.open(lambda _error: failed.set())
    queue = declare(driver, default_visibility_timeout=3.0)
    publish(driver, queue, b"x")
    _, receiver = subscribe(driver, queue)
    receiver.take_one()

    line.freeze()

    with pytest.raises(DriverUnavailable):
        publish(driver, queue, b"y")
    assert failed.wait(PATIENCE)
    driver.close()


def test_a_message_that_comes_too_late_and_cannot_be_given_back_now_ends_nothing(make_driver, monkeypatch):
    failures, is_polling, is_throttled = [], threading.Event(), threading.Event()
    options = SqsConsumerOptions(wait_time=20.0, visibility_timeout=2.0)
    driver = make_driver()
    driver.close()
    driver.open(failures.append)
    client = driver._connection.client
    receive = client.receive

    def receiving(*args, **options):
        is_polling.set()
        return receive(*args, **options)

    def throttled(*_args):
        is_throttled.set()
        raise CallFailed(Fate.LATER, "too much", "Throttling")

    monkeypatch.setattr(client, "receive", receiving)
    queue = declare(driver)
    paused, _ = subscribe(driver, queue, options=options)
    assert is_polling.wait(PATIENCE)
    paused.pause()
    with monkeypatch.context() as patch:
        patch.setattr(client, "hide", throttled)
        publish(driver, queue, b"x")
        assert is_throttled.wait(PATIENCE)
        _, receiver = subscribe(driver, queue, consumer="other")
        delivery = receiver.take_one()

    assert delivery.message.body == b"x"
    assert failures == []


def test_closing_takes_no_longer_with_many_queues(make_driver, moto_server, proxy_to):
    line = proxy_to(moto_server.port)
    driver = make_driver(endpoint=f"http://127.0.0.1:{line.port}")
    for _ in range(10):
        queue = declare(driver)
        publish(driver, queue, b"x")
        subscription, receiver = subscribe(driver, queue)
        subscription.release([receiver.take_one()])
        assert subscription.flush(PATIENCE)
        receiver.take_one()

    line.freeze()
    closing = threading.Thread(target=driver.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)

    assert not closing.is_alive()


def test_what_was_stored_before_the_server_was_lost_is_told(make_driver, moto_server, proxy_to):
    line = proxy_to(moto_server.port)
    driver = make_driver(endpoint=f"http://127.0.0.1:{line.port}", request_timeout=1.0)
    queue = declare(driver, max_length=2)
    raised = []

    def publish_three():
        with pytest.raises(DriverUnavailable) as caught:
            publish(driver, queue, b"1", b"2", b"3")
        raised.append(caught.value)

    publisher = threading.Thread(target=publish_three, daemon=True)
    publisher.start()
    assert eventually(lambda: driver.info(queue).ready == 2)
    line.freeze()
    publisher.join(PATIENCE)

    assert [error.accepted for error in raised] == [2]


# ---- batches of which a part fails -------------------------------------------------------------------


@pytest.fixture
def fail_entries(monkeypatch):
    """`fail_entries(driver, failures)`: what SQS says of entries in the next calls, one dictionary for each."""

    def prepare(driver, *failures):
        client = driver._connection.client
        send, coming = client.send, list(failures)

        def failing(url, entries):
            failed = coming.pop(0) if coming else {}
            kept = [entry for number, entry in enumerate(entries) if number not in failed]
            if kept:
                assert send(url, kept) == {}
            return failed

        monkeypatch.setattr(client, "send", failing)

    return prepare


def test_what_fails_in_passing_is_sent_again(make_driver, fail_entries):
    driver = make_driver()
    queue = declare(driver)
    busy = Failure("InternalError", is_final=False)
    fail_entries(driver, {1: busy, 3: busy}, {0: busy})

    publish(driver, queue, *(str(number).encode() for number in range(5)))

    _, receiver = subscribe(driver, queue)
    assert sorted(delivery.message.body for delivery in receiver.take(5)) == [b"0", b"1", b"2", b"3", b"4"]
    assert receiver.waiting == 0


def test_what_can_never_be_stored_is_told(make_driver, fail_entries):
    driver = make_driver()
    queue = declare(driver)
    fail_entries(driver, {2: Failure("InvalidMessageContents: no", is_final=True)})

    with pytest.raises(BodyRefused, match="InvalidMessageContents"):
        publish(driver, queue, b"0", b"1", b"2", b"3")

    assert driver.info(queue).ready == 3


def test_accepted_counts_from_the_first_what_was_confirmed(make_driver, fail_entries):
    """Those behind a failed one may be stored: published again, they are there twice."""
    driver = make_driver(request_timeout=1.0)
    queue = declare(driver)
    fail_entries(driver, *[{0: Failure("InternalError", is_final=False)}] * 100)
    messages = [Message(new_message_id(), str(number).encode(), {}) for number in range(12)]

    with pytest.raises(DriverUnavailable) as caught:
        driver.publish(queue, messages, 0.5)

    assert caught.value.accepted == 0
    assert caught.value.retryable


def test_a_dead_letter_always_has_room_for_what_went_wrong(make_driver, client):
    driver = make_driver()
    name = new_name()
    client.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "8192"})
    queue = declare(driver, name)
    client.create_queue(QueueName=f"{name}-dead", Attributes={"MaximumMessageSize": "8192"})
    dead = declare(driver, f"{name}-dead")
    publish(driver, queue, b"x" * 6000)
    subscription, receiver = subscribe(driver, queue)
    delivery = receiver.take_one()
    assert delivery.claim()

    headers = {"x_dead_letter_reason": "rejected", "x_dead_letter_error": "trouble " * 1000}
    assert subscription.move(delivery, dead, Message(delivery.message.id, delivery.message.body, headers))

    _, undertaker = subscribe(driver, dead)
    assert undertaker.take_one().message.headers["x_dead_letter_error"].startswith("trouble trouble")


def test_a_throttled_poll_waits_a_little_and_goes_on(make_driver, monkeypatch):
    driver = make_driver()
    queue = declare(driver)
    client = driver._connection.client
    receive, refusals = client.receive, [CallFailed(Fate.LATER, "slow down", "RequestThrottled")] * 2

    def throttled(*args, **kwargs):
        if refusals:
            raise refusals.pop()
        return receive(*args, **kwargs)

    monkeypatch.setattr(client, "receive", throttled)
    _, receiver = subscribe(driver, queue)
    publish(driver, queue, b"x")

    assert receiver.take_one().message.body == b"x"
    assert refusals == []


def test_what_a_closing_driver_gives_back_is_there_for_others_although_its_own_poll_takes_it(make_driver):
    """Its long poll is still open when it releases what it held, and brings just that."""
    name = new_name()
    leaving, staying = make_driver(), make_driver()
    for driver in (leaving, staying):
        driver.declare(QueueDeclaration(name=name))
    receiver = Receiver()
    leaving.subscribe(name, consumer="c", credit=10, deliver=receiver)
    leaving.publish(name, [Message(new_message_id(), b"held", {})], PATIENCE)
    receiver.take(1)

    leaving.close()

    info = staying.info(name)
    assert (info.ready, info.in_flight) == (1, 0)
