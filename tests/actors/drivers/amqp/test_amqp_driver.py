"""What only the RabbitMQ driver promises: its connection, its queues, its alarms."""

import threading
import time

import pika
import pytest
from servers.ports import free_port

from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.amqp import AmqpConfig, AmqpDriver, AmqpQueueOptions, delay_steps, session
from noria.actors.drivers.amqp.options import AmqpConsumerOptions
from noria.actors.drivers.tls import TlsConfig
from noria.actors.errors import BodyRefused, DriverRefused, DriverUnavailable
from noria.actors.testing.harness import (
    PATIENCE,
    Receiver,
    ack,
    bodies,
    declare,
    eventually,
    nack,
    numbered,
    publish,
    release,
    subscribe,
)


def unexpected(error):
    raise AssertionError(f"the driver failed: {error}")


@pytest.fixture
def driver(rabbit_server):
    driver = AmqpDriver("app:broker", AmqpConfig(url=rabbit_server.url))
    driver.open(unexpected)
    yield driver
    driver.close()


class Failure:
    """What `failed` is told."""

    def __init__(self):
        self.errors = []
        self._told = threading.Event()

    def __call__(self, error):
        self.errors.append(error)
        self._told.set()

    def wait(self):
        assert self._told.wait(PATIENCE), "the driver did not notice"
        return self.errors[0]


@pytest.fixture
def raw(rabbit_server):
    """Another program's channel."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbit_server.url))
    yield connection.channel()
    connection.close()


def refused(config):
    with pytest.raises(DriverRefused) as caught:
        AmqpDriver("app:broker", config).open(unexpected)
    return str(caught.value)


def unavailable(config):
    with pytest.raises(DriverUnavailable) as caught:
        AmqpDriver("app:broker", config).open(unexpected)
    assert caught.value.retryable
    return str(caught.value)


# ---- connecting --------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_and_not_shown(rabbit_server):
    said = refused(AmqpConfig(url=rabbit_server.url_for("guest", "s3cret")))

    assert "wrong user or password" in said
    assert "s3cret" not in said


def test_a_virtual_host_that_is_not_there_is_refused(rabbit_server):
    said = refused(AmqpConfig(url=rabbit_server.url, vhost="nowhere"))

    assert "vhost nowhere not found" in said


def test_nobody_listening_may_change():
    assert "Connection" in unavailable(AmqpConfig(url=f"amqp://127.0.0.1:{free_port()}/"))


def test_a_host_without_an_address_may_change():
    assert unavailable(AmqpConfig(url="amqp://nowhere.invalid/"))


def test_a_server_that_says_nothing_is_given_up(rabbit_server, proxy_to):
    line = proxy_to(rabbit_server.port)
    line.freeze()

    began = time.monotonic()
    unavailable(AmqpConfig(url=f"amqp://127.0.0.1:{line.port}/", connection_timeout=0.5))

    assert time.monotonic() - began < PATIENCE


def test_a_password_is_in_no_repr():
    driver = AmqpDriver("d", AmqpConfig(url="amqp://user:s3cret@localhost/"))

    assert "s3cret" not in repr(driver.config)
    assert "s3cret" not in repr(driver.config.address())


def test_the_operator_sees_who_we_are(rabbit_server, driver):
    assert "noria app:broker" in rabbit_server.rabbitmqctl("list_connections", "client_properties")


def round_trip(config):
    driver = AmqpDriver("app:broker", config)
    driver.open(unexpected)
    try:
        queue = declare(driver)
        publish(driver, queue, b"hello")
        _, receiver = subscribe(driver, queue)
        assert bodies(receiver.take(1)) == [b"hello"]
    finally:
        driver.close()


def test_amqplain_is_spoken(rabbit_server):
    round_trip(AmqpConfig(url=rabbit_server.url, auth_mechanism="AMQPLAIN"))


def test_tls_and_a_certificate_instead_of_a_password(new_rabbit_server):
    config = "auth_mechanisms.1 = EXTERNAL\nauth_mechanisms.2 = PLAIN\nssl_cert_login_from = common_name\n"
    server = new_rabbit_server(tls=True, plugins=["rabbitmq_auth_mechanism_ssl"], config=config)
    server.add_user("noria", "unused")
    authority = server.certificates.authority.read_text()
    identity = {
        "cert": server.certificates.client.read_text(),
        "key": server.certificates.client_key.read_text(),
    }

    round_trip(AmqpConfig(url=server.tls_url, tls=TlsConfig(ca=authority)))
    round_trip(
        AmqpConfig(url=server.tls_url, auth_mechanism="EXTERNAL", tls=TlsConfig(ca=authority, **identity))
    )
    assert "certificate" in refused(AmqpConfig(url=server.tls_url))
    round_trip(AmqpConfig(url=server.tls_url, tls=TlsConfig(insecure_skip_verify=True)))
    said = refused(AmqpConfig(url=server.tls_url, tls=TlsConfig(ca_env="NOT_SET_ANYWHERE")))
    assert "the environment has no NOT_SET_ANYWHERE" in said


# ---- queues ------------------------------------------------------------------------------------------


def test_a_queue_with_other_arguments_is_refused_with_both_sides(driver, raw):
    queue = new_message_id()
    raw.queue_declare(queue, durable=True, arguments={"x-max-length": 5})

    with pytest.raises(DriverRefused) as caught:
        driver.declare(QueueDeclaration(name=queue, options=AmqpQueueOptions(queue_expiry=60)))

    said = str(caught.value)
    assert queue in said
    assert "'x-expires': 60000" in said
    assert "PRECONDITION_FAILED" in said
    # And nothing else was harmed.
    assert driver.info(declare(driver)).ready == 0


def test_options_become_arguments(driver, rabbit_server):
    queue = declare(driver, message_ttl=60, queue_expiry=120, queue_type="quorum")

    arguments = rabbit_server.queue_arguments(queue)

    assert arguments["x-message-ttl"] == 60_000
    assert arguments["x-expires"] == 120_000
    assert arguments["x-queue-type"] == "quorum"
    assert rabbit_server.queue(queue)["durable"]


def test_the_driver_has_defaults_for_its_queues(rabbit_server):
    config = AmqpConfig(url=rabbit_server.url, default_queue_ttl=30, default_queue_expiry=10**9)
    with AmqpDriver("d", config) as driver:
        queue, own = declare(driver), declare(driver, message_ttl=5)

        assert rabbit_server.queue_arguments(queue)["x-message-ttl"] == 30_000
        assert rabbit_server.queue_arguments(queue)["x-expires"] == 2**31 - 1
        assert rabbit_server.queue_arguments(own)["x-message-ttl"] == 5000


def test_a_plain_queue_has_no_arguments_so_that_others_may_declare_it(driver, raw):
    queue = declare(driver, max_length=7)

    raw.queue_declare(queue, durable=True)


def test_a_queue_that_somebody_deleted_is_there_again_for_the_next_publish(driver, raw):
    queue = declare(driver)
    raw.queue_delete(queue)

    with pytest.raises(DriverUnavailable) as caught:
        publish(driver, queue, b"1", b"2")
    assert caught.value.accepted == 0
    assert "has no queue" in str(caught.value)
    publish(driver, queue, b"1", b"2")

    assert driver.info(queue).ready == 2


def test_a_queue_that_the_broker_deleted_after_its_last_consumer_is_there_for_the_next_one(driver):
    queue = declare(driver, auto_delete=True)
    first, _ = subscribe(driver, queue)
    first.close()
    assert first.ended.wait(PATIENCE)

    _, receiver = subscribe(driver, queue)
    publish(driver, queue, b"1")

    assert receiver.take_one().message.body == b"1"


def test_a_consumer_whose_queue_is_deleted_fails_its_driver(rabbit_server, raw):
    failure = Failure()
    driver = AmqpDriver("d", AmqpConfig(url=rabbit_server.url))
    driver.open(failure)
    queue = declare(driver)
    subscription, _ = subscribe(driver, queue)

    raw.queue_delete(queue)

    assert queue in str(failure.wait())
    assert subscription.is_closed
    driver.close()


def test_what_the_broker_refuses_to_store_is_not_accepted(driver, rabbit_server):
    queue = declare(driver)
    policy = '{"max-length": 2, "overflow": "reject-publish"}'
    rabbit_server.rabbitmqctl("set_policy", "--apply-to", "queues", "small", f"^{queue}$", policy)

    with pytest.raises(DriverUnavailable) as caught:
        publish(driver, queue, b"1", b"2", b"3", b"4", timeout=0)

    assert caught.value.accepted == 2
    assert "could not store" in str(caught.value)


def test_what_was_refused_takes_no_room(driver, raw):
    """Of a batch that is larger than a burst, most is not sent yet when the first refusal comes."""
    queue = declare(driver, max_length=1000)
    raw.queue_delete(queue)

    with pytest.raises(DriverUnavailable, match="has no queue"):
        publish(driver, queue, *numbered(900))
    publish(driver, queue, *numbered(900))

    assert driver.info(queue).ready == 900


def test_one_reason_too_long_for_a_frame_holds_up_none_that_move_with_it(driver):
    queue, dead = declare(driver), declare(driver)
    publish(driver, queue, *numbered(3))
    subscription, receiver = subscribe(driver, queue)
    deliveries = receiver.take(3)
    errors = ["short", "x" * 200_000, "short"]
    letters = [
        Message(delivery.message.id, delivery.message.body, {"x_dead_letter_error": error})
        for delivery, error in zip(deliveries, errors, strict=True)
    ]

    assert list(subscription.move_all(deliveries, dead, letters)) == [True] * 3
    assert subscription.flush(PATIENCE)
    _, second = subscribe(driver, dead)
    found = second.take(3)
    assert bodies(found) == numbered(3)
    assert [len(each.message.headers["x_dead_letter_error"]) for each in found] == [5, 1000, 5]


def test_headers_that_fit_into_no_frame_are_refused(driver):
    queue = declare(driver)

    with pytest.raises(BodyRefused, match="do not fit into a frame"):
        driver.publish(queue, [Message("1", b"", {"long": "x" * 200_000})], PATIENCE)

    publish(driver, queue, b"fine")


def test_a_name_that_is_too_long_is_refused(driver):
    with pytest.raises(DriverRefused, match="200 bytes"):
        driver.declare(QueueDeclaration(name="x" * 201))


# ---- consumers ---------------------------------------------------------------------------------------


def test_consumers_are_named_and_may_be_exclusive(rabbit_server):
    options = AmqpConsumerOptions(consumer_tag="worker", exclusive=True)
    with AmqpDriver("d", AmqpConfig(url=rabbit_server.url)) as driver:
        queue = declare(driver)
        driver.subscribe(queue, consumer="mine", credit=1, deliver=Receiver(), options=options)

        assert "worker-" in rabbit_server.rabbitmqctl("list_consumers", "consumer_tag")
        with pytest.raises(DriverUnavailable, match="exclusive"):
            driver.subscribe(queue, consumer="other", credit=1, deliver=Receiver())


def test_a_consumer_for_whom_no_channel_is_left_harms_no_other(rabbit_server):
    driver = AmqpDriver("d", AmqpConfig(url=rabbit_server.url, channel_max=4))
    driver.open(unexpected)
    queue = declare(driver)
    receivers = [subscribe(driver, queue)[1] for _ in range(3)]  # one is for questions

    with pytest.raises(DriverUnavailable, match="no channel is left of 4"):
        driver.subscribe(queue, consumer="too many", credit=1, deliver=Receiver())
    with pytest.raises(DriverUnavailable, match="no channel is left of 4"):
        driver.peek(queue, 1)

    publish(driver, queue, *numbered(3))
    assert eventually(lambda: all(receiver.waiting for receiver in receivers))
    driver.close()


def test_a_consumer_that_began_too_late_takes_nothing(rabbit_server, proxy_to, driver, monkeypatch):
    proxy = proxy_to(rabbit_server.port)
    slow = AmqpDriver("slow", AmqpConfig(url=f"amqp://guest:guest@127.0.0.1:{proxy.port}/", heartbeat=60))
    slow.open(unexpected)
    queue = declare(slow)
    driver.declare(QueueDeclaration(name=queue, options=AmqpQueueOptions()))
    monkeypatch.setattr(session, "ANSWER_PATIENCE", 0.2)

    proxy.freeze()
    nobody = Receiver()
    with pytest.raises(DriverUnavailable, match="no answer"):
        slow.subscribe(queue, consumer="late", credit=10, deliver=nobody)
    proxy.thaw()
    monkeypatch.undo()
    assert slow.info(queue).ready == 0  # whatever was held back has arrived
    publish(driver, queue, b"1")
    _, receiver = subscribe(driver, queue)

    assert receiver.take_one().message.body == b"1"
    assert nobody.waiting == 0
    slow.close()


def test_what_another_program_published_is_delivered(driver, raw):
    queue = declare(driver)
    properties = pika.BasicProperties(content_type="text/plain", headers={"colour": "blue"})
    raw.basic_publish("", queue, b"\x00from elsewhere", properties)

    _, receiver = subscribe(driver, queue)
    [delivery] = receiver.take(1)

    assert delivery.message.body == b"\x00from elsewhere"
    assert delivery.message.id
    assert delivery.message.headers["colour"] == "blue"
    assert delivery.message.headers["content_type"] == "text/plain"


def test_a_delay_longer_than_any_queue_takes_several_trips(driver, monkeypatch):
    monkeypatch.setattr(delay_steps, "LONGEST", 200)
    queue = declare(driver)
    publish(driver, queue, b"patient")
    _, receiver = subscribe(driver, queue)
    began = time.monotonic()

    nack(receiver.take_one(), delay=0.7)
    delivery = receiver.take_one()

    assert time.monotonic() - began >= 0.7
    assert delivery.attempt == 2
    assert delivery.message.headers == {}


def test_a_message_leaves_its_delay_only_when_it_is_safe_where_it_goes(driver, rabbit_server):
    """From a classic delay queue it was lost when the broker was killed at that moment."""
    queue = declare(driver)
    publish(driver, queue, b"1")
    subscription, receiver = subscribe(driver, queue)
    nack(receiver.take_one(), delay=1.0)
    assert subscription.flush(PATIENCE)

    delayed = rabbit_server.queue(f"{queue}.noria.delay.quorum.1000")

    assert delayed["type"] == "quorum"
    assert rabbit_server.queue_arguments(delayed["name"])["x-dead-letter-strategy"] == "at-least-once"
    assert receiver.take_one().attempt == 2


def test_delay_queues_of_what_does_not_survive_the_broker_go_away_by_themselves(driver, rabbit_server):
    queue = declare(driver, durable=False)
    publish(driver, queue, b"1")
    subscription, receiver = subscribe(driver, queue)
    nack(receiver.take_one(), delay=1.0)
    assert subscription.flush(PATIENCE)

    arguments = rabbit_server.queue_arguments(f"{queue}.noria.delay.1000")

    assert arguments["x-expires"] > arguments["x-message-ttl"] == 1000
    assert arguments["x-dead-letter-routing-key"] == queue


def test_a_deleted_delay_queue_is_made_again(driver, raw):
    queue = declare(driver)
    publish(driver, queue, b"1")
    _, receiver = subscribe(driver, queue)
    nack(receiver.take_one(), delay=0.1)
    again = receiver.take_one()
    raw.queue_delete(f"{queue}.noria.delay.quorum.100")

    nack(again, delay=0.1)

    assert receiver.take_one().attempt == 3


def test_a_quorum_queue_drops_nothing_and_takes_back_at_the_head(driver, rabbit_server):
    """RabbitMQ 4 drops what was delivered twenty times, unless it is told otherwise."""
    queue = declare(driver, queue_type="quorum", message_ttl=600)
    publish(driver, queue, b"1", b"2")
    _, receiver = subscribe(driver, queue, credit=1)

    for _ in range(25):
        delivery = receiver.take_one()
        assert delivery.message.body == b"1"
        release(delivery)

    for name in (queue, f"{queue}.noria.expired"):
        assert rabbit_server.queue_arguments(name)["x-delivery-limit"] == 2**31 - 1


def test_a_suspect_that_was_begun_and_given_back_counts_and_leaves_nothing_behind(driver, rabbit_server):
    queue = declare(driver)
    publish(driver, queue, b"1")
    first, receiver = subscribe(driver, queue)
    release(receiver.take_one())
    suspect = receiver.take_one()  # RabbitMQ does not say who gave it back

    suspect.subscription.note_start(suspect)
    suspect.started = True
    first.close()

    _, receiver = subscribe(driver, queue)
    again = receiver.take_one()
    assert (again.attempt, again.message.headers) == (2, {})
    assert eventually(
        lambda: f"{queue}.noria.suspects" not in rabbit_server.rabbitmqctl("list_queues", "name")
    )


def test_an_expired_message_is_handed_over_as_such_with_little_credit(driver):
    """Its own queue has a credit of its own in the broker, but not with the consumer."""
    queue = declare(driver, message_ttl=0.1)
    publish(driver, queue, b"old 1", b"old 2")
    assert eventually(lambda: driver.info(queue).ready == 2)
    threading.Event().wait(0.3)  # only time makes them old
    subscription, receiver = subscribe(driver, queue, credit=1)
    first = receiver.take_one()
    publish(driver, queue, b"young")

    assert first.is_expired
    assert len(subscription.unsettled()) == 1
    ack(first)
    second = receiver.take_one()
    ack(second)
    third = receiver.take_one()
    assert {second.message.body, third.message.body} == {b"old 2", b"young"}


def test_a_default_time_to_live_is_each_message_s_own(rabbit_server):
    config = AmqpConfig(url=rabbit_server.url, default_message_ttl=0.1)
    with AmqpDriver("d", config) as driver:
        queue = declare(driver)
        publish(driver, queue, b"old")
        threading.Event().wait(0.3)  # only time makes it old
        _, receiver = subscribe(driver, queue)

        assert receiver.take_one().is_expired


# ---- alarms and silence ------------------------------------------------------------------------------


def test_in_an_alarm_publishers_wait_and_consumers_go_on(new_rabbit_server):
    server = new_rabbit_server()
    with AmqpDriver("d", AmqpConfig(url=server.url)) as driver:
        queue = declare(driver)
        publish(driver, queue, *(str(n).encode() for n in range(20)))
        server.set_alarm()
        began = time.monotonic()
        with pytest.raises(DriverUnavailable):
            publish(driver, queue, b"the one that hears of it", timeout=0)
        with pytest.raises(DriverUnavailable, match="takes no messages now") as caught:
            publish(driver, queue, b"refused", timeout=0.2)
        assert caught.value.accepted == 0
        assert time.monotonic() - began < 5

        _, receiver = subscribe(driver, queue, credit=2)
        for _ in range(20):
            ack(receiver.take_one())

        server.clear_alarm()
        publish(driver, queue, b"welcome")
        assert b"welcome" in bodies(receiver.take(2))


def test_a_silent_connection_is_noticed_and_closing_it_is_bounded(rabbit_server, proxy_to):
    failure = Failure()
    line = proxy_to(rabbit_server.port)
    driver = AmqpDriver("d", AmqpConfig(url=f"amqp://127.0.0.1:{line.port}/", heartbeat=1))
    driver.open(failure)
    queue = declare(driver)
    subscription, _ = subscribe(driver, queue)

    line.freeze()

    assert "heartbeat" in str(failure.wait()).lower()
    assert subscription.is_closed
    with pytest.raises(DriverUnavailable):
        publish(driver, queue, b"x", timeout=0)
    began = time.monotonic()
    driver.close()
    assert time.monotonic() - began < PATIENCE


def test_closing_is_bounded_although_nobody_answers(rabbit_server, proxy_to):
    line = proxy_to(rabbit_server.port)
    driver = AmqpDriver("d", AmqpConfig(url=f"amqp://127.0.0.1:{line.port}/"))
    driver.open(unexpected)
    queue = declare(driver)
    publish(driver, queue, b"1")
    _, receiver = subscribe(driver, queue)
    nack(receiver.take_one(), delay=1)
    line.freeze()

    began = time.monotonic()
    driver.close()

    assert time.monotonic() - began < PATIENCE
