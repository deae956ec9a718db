"""The servers of the tests do what the tests of the drivers expect of them."""

import ssl
import threading
import uuid

import boto3
import pika
import pytest
import redis
from pika.adapters.blocking_connection import BlockingChannel
from servers import NotStarted, RabbitServer, RedisServer

PATIENCE = 20.0


def redis_client(server: RedisServer, **options) -> redis.Redis:
    return redis.Redis.from_url(server.url, **options)


def channel_of(url: str) -> BlockingChannel:
    """A channel with confirms; closed with its connection."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.confirm_delivery()
    return channel


@pytest.fixture
def queue_name() -> str:
    return f"test_servers-{uuid.uuid4().hex}"


def test_redis_serves_all_tests(redis_server, queue_name):
    with redis_client(redis_server) as client:
        client.set(queue_name, "hello")

        assert client.get(queue_name) == b"hello"


def test_a_killed_durable_redis_comes_back_on_its_port_with_what_it_confirmed(new_redis_server):
    server = new_redis_server(durable=True)
    with redis_client(server) as client:
        client.set("kept", "yes")
        url = server.url
        server.kill()
        assert not server.is_running
        server.restart()

        assert server.url == url
        assert client.get("kept") == b"yes"


def test_redis_with_a_password_wants_it(new_redis_server):
    server = new_redis_server(password="sesame")
    with redis_client(server) as client:
        assert client.ping()
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_a_replica_of_redis_refuses_writes(new_redis_server):
    replica = new_redis_server(replica_of=new_redis_server(password="sesame"))

    with redis_client(replica) as client, pytest.raises(redis.exceptions.ReadOnlyError):
        client.set("key", "value")


def test_redis_with_tls_shows_a_certificate_of_its_authority(new_redis_server):
    server = new_redis_server(tls=True)

    with redis_client(server, ssl_ca_certs=str(server.certificates.authority)) as client:
        assert client.ping()
    with redis_client(server) as doubting, pytest.raises(redis.ConnectionError, match="CERTIFICATE"):
        doubting.ping()


def test_a_server_that_does_not_come_up_tells_why(new_redis_server):
    with pytest.raises(NotStarted, match="maxmemory-policy"):
        new_redis_server(config={"maxmemory-policy": "nonsense"})


def test_rabbit_serves_all_tests(rabbit_server: RabbitServer, queue_name):
    channel = channel_of(rabbit_server.url)
    channel.queue_declare(queue_name, durable=True, arguments={"x-max-length": 5})
    channel.basic_publish("", queue_name, b"hello")

    assert channel.basic_get(queue_name, auto_ack=True)[2] == b"hello"
    assert rabbit_server.queue_arguments(queue_name) == {"x-max-length": 5}
    assert rabbit_server.queue(queue_name)["durable"] is True
    channel.connection.close()


def test_an_alarm_of_rabbit_blocks_publishers_until_it_is_cleared(rabbit_server: RabbitServer, queue_name):
    channel = channel_of(rabbit_server.url)
    channel.queue_declare(queue_name)
    blocked, unblocked = [], threading.Event()
    channel.connection.add_on_connection_blocked_callback(lambda *_: blocked.append(True))
    channel.connection.add_on_connection_unblocked_callback(lambda *_: unblocked.set())

    rabbit_server.set_alarm()
    try:
        publish = pika.BasicProperties(delivery_mode=2)
        threading.Thread(target=rabbit_server.clear_alarm, daemon=True).start()
        channel.basic_publish("", queue_name, b"late", publish)
    finally:
        rabbit_server.clear_alarm()
    channel.connection.process_data_events(0)

    assert blocked
    assert channel.basic_get(queue_name, auto_ack=True)[2] == b"late"
    channel.connection.close()


def test_users_and_vhosts_of_rabbit(rabbit_server: RabbitServer, queue_name):
    rabbit_server.add_vhost("elsewhere")
    rabbit_server.add_user("ana", "secret", vhost="elsewhere")

    channel = channel_of(rabbit_server.url_for("ana", "secret", "elsewhere"))
    channel.queue_declare(queue_name)
    channel.connection.close()
    with pytest.raises(pika.exceptions.ProbableAccessDeniedError):
        channel_of(rabbit_server.url_for("ana", "secret"))
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        channel_of(rabbit_server.url_for("ana", "wrong", "elsewhere"))


def test_rabbit_closes_all_connections(rabbit_server: RabbitServer):
    channel = channel_of(rabbit_server.url)
    rabbit_server.close_all_connections("a test says so")

    with pytest.raises(pika.exceptions.ConnectionClosedByBroker, match="a test says so"):
        channel.connection.process_data_events(PATIENCE)


def test_a_killed_rabbit_comes_back_on_its_ports_with_what_it_confirmed(new_rabbit_server, queue_name):
    server = new_rabbit_server(tls=True)
    channel = channel_of(server.url)
    channel.queue_declare(queue_name, durable=True)
    channel.basic_publish("", queue_name, b"kept", pika.BasicProperties(delivery_mode=2))

    server.kill()
    assert not server.is_running
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        channel.connection.process_data_events(PATIENCE)
    server.restart()

    context = ssl.create_default_context(cafile=str(server.certificates.authority))
    parameters = pika.URLParameters(server.tls_url)
    parameters.ssl_options = pika.SSLOptions(context, "localhost")
    with pika.BlockingConnection(parameters) as connection:
        assert connection.channel().basic_get(queue_name, auto_ack=True)[2] == b"kept"


def test_moto_serves_all_tests_and_keeps_its_queues_over_a_restart(moto_server, queue_name):
    client = boto3.client(
        "sqs",
        endpoint_url=moto_server.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    url = client.create_queue(QueueName=queue_name)["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="hello")
    moto_server.restart()

    assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
    client.close()
