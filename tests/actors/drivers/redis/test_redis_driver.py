"""What only the Redis driver promises: its keys, its entries, what its server can do to it."""

import re
import threading
from pathlib import Path

import pytest
import redis
from attrs import evolve
from servers.ports import free_port

from noria.actors.delivery import Message
from noria.actors.drivers.redis import RedisConfig, RedisDriver
from noria.actors.drivers.redis.keys import QueueKeys
from noria.actors.drivers.tls import TlsConfig
from noria.actors.errors import DriverRefused, DriverUnavailable, QueueFull
from noria.actors.testing import PATIENCE
from noria.actors.testing.harness import (
    ack,
    bodies,
    declare,
    declare_again,
    eventually,
    messages,
    nack,
    numbered,
    publish,
    release,
    subscribe,
)

LEASE = 2.0


class Failures:
    """What a driver says of its end."""

    def __init__(self):
        self.errors = []
        self._has_failed = threading.Event()

    def __call__(self, error):
        self.errors.append(error)
        self._has_failed.set()

    def wait(self):
        assert self._has_failed.wait(PATIENCE), "the driver did not notice"
        [error] = self.errors
        return error


def made(server, **options):
    options = {"url": server.url, "lease": LEASE, "socket_timeout": 2.0, **options}
    return RedisDriver("app:redis", RedisConfig(**options))


@pytest.fixture
def driver(redis_server, request):
    with made(redis_server, prefix=request.node.name) as driver:
        yield driver


@pytest.fixture
def client(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


def keys_of(driver, queue):
    return QueueKeys(driver.config.prefix, queue)


# ---- keys and entries --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tasks", "a{b}c", "}{", "{}", "%7B", "mañana/1"])
def test_all_keys_of_a_queue_live_in_one_slot_of_a_cluster(client, name):
    keys = QueueKeys("noria", name)

    assert {redis.crc.key_slot(key.encode()) for key in keys.all} == {keys.slot}


def test_queues_whose_names_look_alike_have_keys_of_their_own():
    names = ["a{b}", "a%7Bb%7D", "a", "{a}", "A"]

    assert len({key for name in names for key in QueueKeys("noria", name).all}) == 5 * len(names)


def test_nothing_is_left_of_a_queue_but_its_stream(driver, client):
    queue = declare(driver)
    publish(driver, queue, *numbered(5))
    subscription, receiver = subscribe(driver, queue)
    first, second, third, *rest = receiver.take(5)
    nack(first)
    nack(second, 0.01)
    release(third)
    ack(*rest, *receiver.take(3))
    assert subscription.flush(PATIENCE)
    subscription.close()

    keys = keys_of(driver, queue)
    assert eventually(
        lambda: client.keys(f"{keys.stream.partition(':stream')[0]}*") == [keys.stream.encode()]
    )
    assert client.xlen(keys.stream) == 0
    assert client.xpending(keys.stream, "noria")["pending"] == 0


def test_an_entry_can_be_read_with_the_tools_of_redis(driver, client):
    queue = declare(driver)
    driver.publish(queue, [Message("m-1", b"\x00body", {"tenant": "a", "n": 1})], 1)

    [(_, fields)] = client.xrange(keys_of(driver, queue).stream)

    assert fields == {b"id": b"m-1", b"headers": b'{"tenant":"a","n":1}', b"body": b"\x00body"}


@pytest.mark.parametrize(
    "headers", [{}, {"headers": "no json"}, {"headers": "[1]"}, {"id": "mine", "more": "x"}]
)
def test_an_entry_made_by_hand_is_delivered(driver, client, headers):
    queue = declare(driver)
    entry_id = client.xadd(keys_of(driver, queue).stream, {"body": "by hand", **headers})

    _, receiver = subscribe(driver, queue)
    delivery = receiver.take_one()

    assert delivery.message.body == b"by hand"
    assert delivery.message.id == headers.get("id", entry_id.decode())
    kept = {"no json": "no json", "[1]": [1]}.get(headers.get("headers"))
    assert delivery.message.headers.get("headers") == kept


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": "many", "published": "yesterday"},
        {"attempts": "9" * 5000, "published": "-1"},
        {"headers": "[" * 100_000},
        {"headers": b"\xff"},
    ],
)
def test_strange_values_in_an_entry_made_by_hand_stop_nobody(driver, client, fields):
    queue = declare(driver)
    stream = keys_of(driver, queue).stream
    client.xadd(stream, {"body": "by hand", **fields})
    client.xadd(stream, {"id": b"\xff", "headers": "", "body": "with an id"})

    assert len(driver.peek(queue, 10)) == 2
    _, receiver = subscribe(driver, queue)
    first, second = receiver.take(2)

    assert (first.message.body, first.attempt) == (b"by hand", 1)
    assert second.message.body == b"with an id"
    nack(first)
    ack(second, receiver.take_one())
    assert eventually(lambda: driver.info(queue).message_count == 0)


def test_the_age_of_a_message_begins_when_it_was_published_not_when_it_was_put_back(driver):
    queue = declare(driver, message_ttl=0.4)
    publish(driver, queue, b"old")
    _, receiver = subscribe(driver, queue)
    delivery = receiver.take_one()
    assert not delivery.is_expired

    nack(delivery, 0.2)
    delivery = receiver.take_one()
    assert not delivery.is_expired
    nack(delivery, 0.25)

    assert receiver.take_one().is_expired


def test_a_large_batch_goes_through_the_scripts_in_pieces(driver):
    queue = declare(driver)
    publish(driver, queue, *numbered(2500))
    subscription, receiver = subscribe(driver, queue, credit=3000)
    taken = receiver.take(2500)
    assert bodies(taken) == numbered(2500)

    release(*taken[:1500])
    ack(*taken[1500:])
    again = receiver.take(1500)
    assert bodies(again) == numbered(1500)
    for delivery in again:
        nack(delivery, 3600)
    assert subscription.flush(PATIENCE)

    assert driver.info(queue).delayed == 1500
    assert driver.purge(queue) == 1500


def test_large_messages_are_looked_at_a_few_at_a_time(driver, monkeypatch):
    """In every state, and each once: ready at the head, ready, delayed, in flight."""
    queue = declare(driver)
    publish(driver, queue, *[b"%03d" % number + b"x" * 100_000 for number in range(200)])
    subscription, receiver = subscribe(driver, queue, credit=120)
    taken = receiver.take(120)
    for delivery in taken[40:80]:
        nack(delivery, delay=3600)
    subscription.pause()
    assert subscription.flush(PATIENCE)
    release(*taken[:40])
    assert subscription.flush(PATIENCE)
    session = driver._session(driver._queue(queue))
    pages, ask = [], session.ask

    def ask_and_count(command):
        reply = ask(command)
        pages.append(len(reply[0]))
        return reply

    monkeypatch.setattr(session, "ask", ask_and_count)
    found = driver.peek(queue, 1000)

    assert [each.state for each in found] == ["ready"] * 120 + ["delayed"] * 40 + ["in_flight"] * 40
    numbers = [int(each.message.body[:3]) for each in found]
    assert numbers[:120] == [*range(40), *range(120, 200)]
    assert sorted(numbers[120:160]) == [*range(40, 80)]  # which are due within the same millisecond
    assert numbers[160:] == [*range(80, 120)]
    assert max(pages) <= 11
    assert [each.message.id for each in driver.peek(queue, 150)] == [each.message.id for each in found[:150]]


def test_small_messages_are_looked_at_in_few_trips(driver):
    queue = declare(driver)
    driver.publish(queue, messages(*numbered(10_001)), 5)

    assert [each.message.body for each in driver.peek(queue, 20_000)] == numbered(10_000)


def test_who_waits_for_room_does_not_send_everything_again_and_again(driver, client):
    queue = declare(driver, max_length=1)
    publish(driver, queue, b"first")
    before = client.info("stats")["total_net_input_bytes"]

    with pytest.raises(QueueFull) as caught:
        publish(driver, queue, *[b"x" * 100_000] * 10, timeout=0.5)

    assert caught.value.accepted == 0
    assert client.info("stats")["total_net_input_bytes"] - before < 3_000_000


def test_connections_bear_the_name_of_their_driver(driver, client):
    names = [each["name"] for each in client.client_list()]

    assert sum(name.startswith("noria:app:redis:") for name in names) >= 2


# ---- what the server can do --------------------------------------------------------------------------


def test_scripts_that_were_flushed_are_loaded_again(driver, client):
    queue = declare(driver)
    publish(driver, queue, b"1")
    _, receiver = subscribe(driver, queue)
    first = receiver.take_one()

    client.script_flush()
    publish(driver, queue, b"2", b"3")
    ack(first, *receiver.take(2))

    assert eventually(lambda: driver.info(queue).message_count == 0)


def test_a_queue_that_was_deleted_is_there_again_after_a_restart(driver, client):
    driver.close()
    failures = Failures()
    driver.open(failures)
    queue = declare(driver)
    subscribe(driver, queue)

    client.delete(*keys_of(driver, queue).all)
    failures.wait()
    driver.close()
    driver.open(failures)
    declare_again(driver, queue)

    publish(driver, queue, b"x")
    assert bodies(subscribe(driver, queue)[1].take(1)) == [b"x"]


def test_a_process_that_was_away_for_longer_than_its_lease_fails_and_changes_nothing(
    driver, client, redis_server
):
    driver.close()
    failures = Failures()
    driver.open(failures)
    queue = declare(driver)
    publish(driver, queue, b"x")
    subscription, receiver = subscribe(driver, queue)
    late = receiver.take_one()
    with made(redis_server, prefix=driver.config.prefix) as other:
        declare_again(other, queue)
        keys = keys_of(driver, queue)
        client.zadd(keys.leases, dict.fromkeys(client.zrange(keys.leases, 0, -1), 1))
        _, heirs = subscribe(other, queue)
        inherited = heirs.take_one()

        assert late.claim()
        subscription.ack([late])

        assert "lease" in str(failures.wait())
        assert inherited.is_suspect
        assert other.info(queue).in_flight == 1


def test_what_was_read_without_a_lease_comes_back(driver, client):
    """As by a process that was stopped for longer than its lease, just before it read; or by hand."""
    queue = declare(driver)
    publish(driver, queue, b"x", b"y")
    keys = keys_of(driver, queue)
    client.xreadgroup("noria", "stopped@1-1", {keys.stream: ">"}, count=1)

    _, receiver = subscribe(driver, queue)
    first = receiver.take_one()
    client.xreadgroup("noria", "stopped@1-1", {keys.stream: ">"})
    publish(driver, queue, b"z")
    client.xreadgroup("noria", "stopped@1-1", {keys.stream: ">"})
    second, third = receiver.take(2)

    assert sorted(bodies([first, second, third])) == [b"x", b"y", b"z"]
    assert first.is_suspect
    assert driver.info(queue).in_flight == 3


def test_what_was_held_comes_back_when_somebody_removes_the_leases(driver, client):
    driver.close()
    failures = Failures()
    driver.open(failures)
    queue = declare(driver)
    publish(driver, queue, b"x")
    subscribe(driver, queue)[1].take_one()

    client.delete(keys_of(driver, queue).leases)
    failures.wait()
    driver.close()
    driver.open(failures)
    declare_again(driver, queue)

    assert bodies(subscribe(driver, queue)[1].take(1)) == [b"x"]


def test_an_entry_whose_lease_is_gone_does_not_begin(driver, client):
    queue = declare(driver)
    publish(driver, queue, b"x")
    subscription, receiver = subscribe(driver, queue)
    delivery = receiver.take_one()
    client.delete(keys_of(driver, queue).leases)

    with pytest.raises(DriverUnavailable):
        subscription.note_start(delivery)


def test_nobody_takes_the_answers_of_a_publisher_that_was_interrupted(driver, monkeypatch):
    driver.close()
    failures = Failures()
    driver.open(failures)
    queue = declare(driver)
    socket = driver._session(driver._queues[queue])._callers._link._socket
    read, answers = socket.read_response, []

    def interrupted():
        if len(answers) == 1:
            raise KeyboardInterrupt
        answers.append(read())
        return answers[-1]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish(driver, queue, *numbered(2500))

    with pytest.raises(DriverUnavailable):
        publish(driver, queue, b"x")
    assert isinstance(failures.wait(), DriverUnavailable)
    driver.close()
    driver.open(failures)
    declare_again(driver, queue)
    publish(driver, queue, b"x")
    assert driver.info(queue).ready > 0


def test_a_consumer_that_is_refused_for_now_leaves_no_connection(new_redis_server):
    server = new_redis_server()
    with made(server) as driver, redis.Redis.from_url(server.url) as client:
        queue = declare(driver)
        before = len(client.client_list())
        client.config_set("min-replicas-to-write", 1)

        for _ in range(3):
            with pytest.raises(DriverUnavailable, match="replicas"):
                subscribe(driver, queue)

        assert eventually(lambda: len(client.client_list()) == before)
        client.config_set("min-replicas-to-write", 0)
        publish(driver, queue, b"x")
        assert bodies(subscribe(driver, queue)[1].take(1)) == [b"x"]


def test_nobody_is_there_is_worth_another_try(new_redis_server):
    server = new_redis_server()
    server.stop()
    driver = made(server)

    with pytest.raises(DriverUnavailable, match="Connection refused"):
        driver.open(Failures())


@pytest.mark.parametrize("password", ["wrong-secret", ""])
def test_a_wrong_password_is_refused_for_good_and_not_told(new_redis_server, password):
    server = new_redis_server(password="right-secret")
    driver = made(server, url=f"redis://:{password}@127.0.0.1:{server.port}/0")

    with pytest.raises(DriverRefused) as caught:
        driver.open(Failures())

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(driver.config)


def test_rights_that_are_missing_are_refused_for_good(new_redis_server):
    server = new_redis_server()
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@read"])

    with pytest.raises(DriverRefused, match=r"(?i)perm"):
        made(server, url=f"redis://reader:any@127.0.0.1:{server.port}/0").open(Failures())


def test_the_rights_that_the_page_names_are_enough(new_redis_server):
    server = new_redis_server()
    page = (Path(__file__).parents[4] / "docs/drivers/redis.md").read_text()
    [rights] = re.findall(r"needs `([^`]*\+@stream[^`]*)`", page)
    [keys] = re.findall(r"its keys: `([^`]*)`", page)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "app", "on", "nopass", keys, *rights.split())
    failures = Failures()
    driver = made(server, url=f"redis://app:any@127.0.0.1:{server.port}/0")
    driver.open(failures)
    queue, dead = declare(driver), declare(driver)
    publish(driver, queue, *numbered(5))
    subscription, receiver = subscribe(driver, queue)
    acked, nacked, delayed, released, moved = receiver.take(5)

    ack(acked)
    nack(nacked)
    nack(delayed, 3600)
    release(released)
    assert moved.claim()
    assert subscription.move(moved, dead, moved.message)
    receiver.take(2)
    subscription.pause()
    subscription.close()
    assert eventually(lambda: driver.info(queue).ready == 2)
    assert len(driver.peek(queue, 10)) == driver.purge(queue) == 3

    driver.close()
    assert failures.errors == []


def test_a_replica_is_worth_another_try(new_redis_server):
    primary = new_redis_server()
    replica = new_redis_server(replica_of=primary)
    failures = Failures()
    driver = made(replica)
    driver.open(failures)

    with pytest.raises(DriverUnavailable, match="read only replica"):
        declare(driver)

    assert isinstance(failures.wait(), DriverUnavailable)
    driver.close()


def test_replicas_that_are_asked_for_have_to_have_a_message(new_redis_server):
    primary = new_redis_server()
    with made(primary, replicas=1, socket_timeout=0.5) as driver:
        queue = declare(driver)
        with pytest.raises(DriverUnavailable, match="0 of 1 replicas") as caught:
            publish(driver, queue, b"x")
        assert caught.value.accepted == 0

        new_redis_server(replica_of=primary)
        assert eventually(lambda: has_replica(primary))
        publish(driver, queue, b"y")


def has_replica(server):
    with redis.Redis.from_url(server.url) as client:
        replica = client.info("replication").get("slave0", {})
        return replica.get("state") == "online"


def test_a_server_that_may_throw_messages_away_is_refused(new_redis_server):
    server = new_redis_server(config={"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"})

    with pytest.raises(DriverRefused, match="maxmemory-policy noeviction"):
        made(server).open(Failures())


def test_without_memory_nothing_new_is_accepted_and_what_is_there_can_be_settled(new_redis_server):
    server = new_redis_server()
    failures = Failures()
    driver = made(server)
    driver.open(failures)
    queue, dead = declare(driver), declare(driver)
    publish(driver, queue, *numbered(5))
    subscription, receiver = subscribe(driver, queue)
    acked, nacked, delayed, released, moved = receiver.take(5)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1mb")

        for count in (1, 2):
            with pytest.raises(DriverUnavailable, match="out of memory") as caught:
                publish(driver, queue, *numbered(count))
            assert caught.value.accepted == 0
        declare_again(driver, queue)
        ack(acked)
        nack(nacked)
        nack(delayed, 3600)
        release(released)
        assert moved.claim()
        assert subscription.move(moved, dead, moved.message)
        assert subscription.flush(PATIENCE)
        receiver.take(2)
        client.config_set("maxmemory", "0")

    publish(driver, queue, b"again")
    assert bodies(receiver.take(1)) == [b"again"]
    assert failures.errors == []
    driver.close()


def test_a_server_that_does_not_answer_is_noticed_and_does_not_hold_up_a_close(
    redis_server, proxy_to, request
):
    line = proxy_to(redis_server.port)
    driver = made(
        redis_server, url=f"redis://127.0.0.1:{line.port}/0", prefix=request.node.name, socket_timeout=0.5
    )
    failures = Failures()
    driver.open(failures)
    queue = declare(driver)
    publish(driver, queue, b"held")
    subscription, receiver = subscribe(driver, queue)
    receiver.take_one()

    line.freeze()
    with pytest.raises(DriverUnavailable):
        publish(driver, queue, b"x", timeout=0)

    assert isinstance(failures.wait(), DriverUnavailable)
    assert subscription.is_closed
    before = set(threading.enumerate())
    driver.close()
    assert not [thread for thread in before if thread.name.startswith("noria-redis") and thread.is_alive()]


def test_a_close_does_not_wait_for_a_server_that_hangs(redis_server, proxy_to, request):
    line = proxy_to(redis_server.port)
    driver = made(
        redis_server, url=f"redis://127.0.0.1:{line.port}/0", prefix=request.node.name, socket_timeout=600.0
    )
    driver.open(Failures())
    queue = declare(driver)
    for _ in range(30):
        subscribe(driver, queue)

    line.freeze()
    closing = threading.Thread(target=driver.close)
    closing.start()
    closing.join(PATIENCE)

    assert not closing.is_alive()


# ---- TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    from servers import RedisServer
    from servers.fixtures import need_redis, running

    need_redis()
    yield from running(RedisServer(tmp_path_factory.mktemp("redis-tls"), tls=True))


def test_messages_go_through_tls(tls_server):
    tls = TlsConfig(ca=tls_server.certificates.authority.read_text(), server_name="localhost")

    with made(tls_server, tls=tls) as driver:
        queue = declare(driver)
        publish(driver, queue, b"secret")
        assert bodies(subscribe(driver, queue)[1].take(1)) == [b"secret"]


def test_tls_is_used_where_the_entry_asks_for_it(tls_server):
    tls = TlsConfig(enabled=True, ca=tls_server.certificates.authority.read_text())

    with made(tls_server, url=tls_server.url.replace("rediss", "redis"), tls=tls) as driver:
        declare(driver)


@pytest.mark.parametrize("change", [{"ca": ""}, {"server_name": "elsewhere"}])
def test_a_certificate_that_proves_nothing_is_refused_for_good(tls_server, change):
    tls = TlsConfig(ca=tls_server.certificates.authority.read_text())

    with pytest.raises(DriverRefused, match=r"(?i)certificate"):
        made(tls_server, tls=evolve(tls, **change)).open(Failures())


# ---- a cluster ---------------------------------------------------------------------------------------


@pytest.fixture
def cluster(new_redis_server):
    """Two nodes with half of the slots each."""
    # Otherwise a node talks to others at its port and 10,000: where the kernel takes ports for outgoing connections from.
    talks_at = [free_port() for _ in range(2)]
    servers = [
        new_redis_server(config={"cluster-enabled": "yes", "cluster-port": str(port)}) for port in talks_at
    ]
    clients = [redis.Redis.from_url(server.url) for server in servers]
    for client, slots in zip(clients, ((0, 8191), (8192, 16383)), strict=True):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
    clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", servers[1].port, talks_at[1])
    for client in clients:
        assert eventually(lambda client=client: client.cluster("INFO")["cluster_state"] == "ok")
        assert eventually(lambda client=client: len(client.execute_command("CLUSTER SLOTS")) == 2)
        client.close()
    return servers


def declare_on(driver, *, low, **options):
    """A queue on the node with the low slots, or on the other one."""
    while True:
        queue = declare(driver, **options)
        if (keys_of(driver, queue).slot < 8192) is low:
            return queue


@pytest.mark.parametrize(("low", "dead_low"), [(False, False), (True, False)])
def test_every_verb_works_in_a_cluster(cluster, low, dead_low):
    with made(cluster[0]) as driver:
        queue, dead = declare_on(driver, low=low), declare_on(driver, low=dead_low, max_length=1)
        driver.publish(queue, messages(*numbered(6)), 1)
        subscription, receiver = subscribe(driver, queue)
        acked, nacked, delayed, released, moved, unmoved = receiver.take(6)

        ack(acked)
        nack(nacked, 0.01)
        nack(delayed, 3600)
        release(released)
        assert moved.claim()
        assert subscription.move(moved, dead, moved.message)
        assert not subscription.move(unmoved, dead, unmoved.message)
        assert subscription.flush(PATIENCE)
        receiver.take(2)

        assert driver.info(dead).ready == 1
        assert [each.state for each in driver.peek(queue, 10)] == [
            "delayed",
            "in_flight",
            "in_flight",
            "in_flight",
        ]
        assert driver.purge(queue) == 1
        subscription.close()
        assert eventually(lambda: driver.info(queue).ready == 3)


def test_a_node_that_is_lost_ends_all_and_a_slot_that_has_moved_is_found_again(cluster):
    failures = Failures()
    driver = made(cluster[1])
    driver.open(failures)
    queue, other = declare_on(driver, low=True), declare_on(driver, low=False)
    publish(driver, other, b"x")
    first, _ = subscribe(driver, queue)
    second, receiver = subscribe(driver, other)
    receiver.take_one()

    cluster[0].kill()

    assert isinstance(failures.wait(), DriverUnavailable)
    assert first.is_closed
    assert second.is_closed
    driver.close()
    cluster[0].start()
    slot = keys_of(driver, queue).slot
    with redis.Redis.from_url(cluster[1].url) as client:
        name = client.cluster("MYID")
    for server in cluster:
        with redis.Redis.from_url(server.url) as client:
            assert eventually(lambda client=client: client.cluster("INFO")["cluster_state"] == "ok")
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
    with driver:
        declare_again(driver, queue)
        publish(driver, queue, b"moved")
        with redis.Redis.from_url(cluster[1].url) as client:
            assert client.xlen(keys_of(driver, queue).stream) == 1
