"""The servers of the tests do what the tests of the drivers expect of them."""

import contextlib
import socket
import ssl
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import boto3
import pika
import pytest
import redis
from pika.adapters.blocking_connection import BlockingChannel
from redis.backoff import NoBackoff
from redis.retry import Retry
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
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=server.port, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
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
    connection = pika.BlockingConnection(pika.URLParameters(rabbit_server.url))
    channel = connection.channel()
    channel.queue_declare(queue_name)
    seen = []
    connection.add_on_connection_blocked_callback(lambda *_: seen.append("blocked"))
    connection.add_on_connection_unblocked_callback(lambda *_: seen.append("unblocked"))

    rabbit_server.set_alarm()
    try:
        channel.basic_publish("", queue_name, b"late")
        connection.process_data_events(PATIENCE)
        assert seen == ["blocked"]
    finally:
        rabbit_server.clear_alarm()
    connection.process_data_events(PATIENCE)

    assert seen == ["blocked", "unblocked"]
    assert channel.basic_get(queue_name, auto_ack=True)[2] == b"late"
    connection.close()


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

    server.settle()
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


def test_the_lines_of_a_process_are_records(start_process):
    process = start_process(
        """
        import json, os, sys
        print(json.dumps({"heard": sys.argv[1:], "told": os.environ["TOLD"]}), flush=True)
        print("no JSON", flush=True)
        """,
        "one",
        2,
        TOLD="yes",
    )

    assert process.wait() == 0
    assert process.lines == [{"heard": ["one", "2"], "told": "yes"}, "no JSON"]


def test_a_process_that_ends_too_early_shows_its_errors(start_process):
    process = start_process("raise SystemExit('no luck')")

    with pytest.raises(AssertionError, match="no luck"):
        process.wait_for_line("never")


COUNTS = """
    import itertools
    for number in itertools.count():
        print(number, flush=True)
"""


def test_a_killed_process_is_gone_and_its_lines_stay(start_process):
    process = start_process(COUNTS)
    process.wait_for(lambda lines: len(lines) > 100)
    process.kill()

    assert not process.is_running
    assert process.wait() == -9
    assert process.lines == list(range(len(process.lines)))


def test_a_paused_process_goes_on_where_it_was(start_process):
    process = start_process(COUNTS)
    process.wait_for_line(10)
    process.pause()
    reached = len(process.lines)
    process.resume()

    process.wait_for(lambda lines: len(lines) > reached + 1000)


def test_a_terminated_process_may_say_goodbye(start_process):
    process = start_process(
        """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("goodbye", flush=True) or exit(3))
        print("ready", flush=True)
        while True:
            signal.pause()
        """
    )
    process.wait_for_line("ready")
    process.terminate()

    assert process.wait() == 3
    assert process.lines == ["ready", "goodbye"]


def test_no_server_outlives_a_killed_test_run(start_process, tmp_path):
    """The test run itself is played by a process: it starts Redis and is killed."""
    run = start_process(
        """
        import signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from servers import RedisServer
        server = RedisServer(Path(sys.argv[2]))
        server.start()
        print(server.port, flush=True)
        signal.pause()
        """,
        Path(__file__).parent,
        tmp_path / "redis",
    )
    (port,) = run.wait_for(lambda lines: len(lines) == 1)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as witness:
        run.kill()

        assert_ends(witness)


def assert_ends(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""


ABSENT = """
    def test_one(redis_server): ...
    def test_two(new_rabbit_server): ...
"""


@pytest.mark.parametrize(("required", "outcome"), [("0", "2 skipped"), ("1", "2 errors")])
def test_an_absent_server_skips_and_is_an_error_where_servers_are_required(tmp_path, required, outcome):
    (tmp_path / "test_absent.py").write_text(textwrap.dedent(ABSENT))
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-rsE", "-p", "servers.fixtures", "--rootdir", tmp_path, tmp_path],
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parent), "NORIA_REQUIRE_SERVERS": required},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome in finished.stdout
    assert "apt-get install redis-server" in finished.stdout
