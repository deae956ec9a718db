"""Our drivers through the conformance suite, and any other one:
`pytest tests/actors/drivers/test_driver_conformance.py --driver package.module:callable`.
"""

import importlib
from collections.abc import Callable
from functools import partial

import pytest
import redis
from attrs import evolve, frozen
from servers.proxy import TcpProxy

from noria.actors.aws import AwsConfig
from noria.actors.driver import Driver
from noria.actors.drivers.amqp import AmqpConfig, AmqpDriver, AmqpQueueOptions
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.drivers.redis import RedisConfig, RedisDriver
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver
from noria.actors.drivers.sqs import SqsConfig, SqsDriver
from noria.actors.drivers.sqs.options import SqsConsumerOptions, SqsQueueOptions
from noria.actors.errors import DriverUnavailable
from noria.actors.testing import PATIENCE, DriverConformance
from noria.registry import EntryID


@frozen
class Backend:
    """How the suite gets a driver.

    Attributes:
        make: an unopened driver. Called again in the same test, it makes another one on the same backend.
        abandon: lets a driver die as with its process (DriverConformance.abandon).
        cut: takes its backend away (DriverConformance.cut).
        lease: after how many seconds a dead one's deliveries return (DriverConformance.lease).
    """

    make: Callable[[pytest.FixtureRequest], Driver]
    abandon: Callable[[pytest.FixtureRequest, Driver], None] | None = None
    cut: Callable[[pytest.FixtureRequest, Driver], None] | None = None
    lease: float = 0.0


def make_sqlite(request: pytest.FixtureRequest) -> SqliteDriver:
    return SqliteDriver("sqlite", SqliteConfig(path=str(request.getfixturevalue("tmp_path") / "queues.db")))


def lose_sqlite(_request: pytest.FixtureRequest, driver: Driver) -> None:
    """Its thread ends on the spot: nothing more reaches the file, and the kernel sees that nobody listens any more."""

    def end(_check: Callable[[], None]) -> float:
        raise DriverUnavailable("sqlite", "the test took it away")

    assert isinstance(driver, SqliteDriver)
    session = driver._session
    assert session is not None
    session._rounds.work = end  # type: ignore[method-assign]
    session.ring()
    session._io._thread.join(PATIENCE)


SQS_LEASE = 3.0


@frozen(kw_only=True)
class ShortLeases(SqsQueueOptions):
    default_visibility_timeout: float = SQS_LEASE


@frozen(kw_only=True)
class ShortPolls(SqsConsumerOptions):
    wait_time: float = 1.0


class SqsOnTheLine(SqsDriver):
    """Reaches its server through a line that can be cut, and is whole again when the driver opens again."""

    queue_options = ShortLeases
    consumer_options = ShortPolls

    def __init__(self, line: TcpProxy) -> None:
        config = SqsConfig(config=EntryID("test", "aws"), endpoint=f"http://127.0.0.1:{line.port}")
        aws = AwsConfig(region="eu-west-1", access_key_id="any", secret_access_key="any")
        super().__init__("sqs", config, aws=aws)
        self.line = line

    def open(self, failed: Callable[[BaseException], None]) -> None:
        self.line.accept()
        super().open(failed)


def make_sqs(request: pytest.FixtureRequest) -> SqsOnTheLine:
    server, proxy_to = request.getfixturevalue("moto_server"), request.getfixturevalue("proxy_to")
    return SqsOnTheLine(proxy_to(server.port))


def cut_the_line(_request: pytest.FixtureRequest, driver: Driver) -> None:
    driver.line.refuse()
    driver.line.cut()


REDIS_LEASE = 2.0


def make_redis(request: pytest.FixtureRequest) -> RedisDriver:
    """With keys for each test."""
    server, prefix = request.getfixturevalue("redis_server"), request.node.name
    return RedisDriver("redis", RedisConfig(url=server.url, prefix=prefix, lease=REDIS_LEASE))


def abandon_redis(_request: pytest.FixtureRequest, driver: Driver) -> None:
    """Its threads end at connections that are shut, and tell nobody."""
    assert isinstance(driver, RedisDriver)
    assert driver._nodes is not None
    for session in driver._nodes.sessions:
        session.is_over = True
        session._close_links()


def cut_redis(request: pytest.FixtureRequest, driver: Driver) -> None:
    """The server shuts its connections, which bear its name."""
    assert isinstance(driver, RedisDriver)
    with redis.Redis.from_url(request.getfixturevalue("redis_server").url) as client:
        for each in client.client_list():
            if each["name"].endswith(driver._instance):
                client.client_kill_filter(_id=each["id"])


class AmqpOnTheLine(AmqpDriver):
    """Reaches its server through a line that can be cut, and is whole again when the driver opens again."""

    def __init__(self, line: TcpProxy) -> None:
        super().__init__("amqp", AmqpConfig(url=f"amqp://guest:guest@127.0.0.1:{line.port}/"))
        self.line = line

    def open(self, failed: Callable[[BaseException], None]) -> None:
        self.line.accept()
        super().open(failed)


def make_amqp(request: pytest.FixtureRequest) -> AmqpDriver:
    """With a line only where it is to be cut: it has threads that outlive the driver."""
    server = request.getfixturevalue("rabbit_server")
    if "cut" not in request.fixturenames and "abandon" not in request.fixturenames:
        return AmqpDriver("amqp", AmqpConfig(url=server.url))
    return AmqpOnTheLine(request.getfixturevalue("proxy_to")(server.port))


@frozen(kw_only=True)
class QuorumOptions(AmqpQueueOptions):
    queue_type: str = "quorum"


@pytest.fixture(scope="session")
def quorum_vhost(rabbit_server):
    """Its own, for some of the suite's queues are called as those of the classic ones."""
    rabbit_server.add_vhost("quorum")
    return "quorum"


def make_quorum(request: pytest.FixtureRequest) -> AmqpDriver:
    """As above, with quorum queues: their order is not promised, nor that it is as before after a release."""
    driver = make_amqp(request)
    driver.config = evolve(driver.config, vhost=request.getfixturevalue("quorum_vhost"))
    driver.queue_options = QuorumOptions
    driver.features = evolve(driver.features, ordered=False, returns_to_head=False)
    return driver


# A driver of ours adds its line here, and its functions above.
# `request.getfixturevalue("redis_server")`, `("tmp_path")` and the like say where its backend is.
OURS = {
    "memory": Backend(lambda _request: MemoryDriver()),
    "amqp": Backend(make_amqp, abandon=cut_the_line, cut=cut_the_line),
    "amqp-quorum": Backend(make_quorum, abandon=cut_the_line, cut=cut_the_line),
    "sqs": Backend(make_sqs, abandon=cut_the_line, cut=cut_the_line, lease=SQS_LEASE),
    "redis": Backend(make_redis, abandon=abandon_redis, cut=cut_redis, lease=REDIS_LEASE),
    "sqlite": Backend(make_sqlite, abandon=lose_sqlite, cut=lose_sqlite),
}


def pytest_generate_tests(metafunc):
    if "driver_name" in metafunc.fixturenames:
        metafunc.parametrize("driver_name", metafunc.config.getoption("--driver") or OURS)


def from_elsewhere(name: str) -> Backend:
    module, _, attribute = name.partition(":")
    make = getattr(importlib.import_module(module), attribute)
    return Backend(lambda _request: make())


class TestDriver(DriverConformance):
    @pytest.fixture
    def backend(self, driver_name):
        return OURS.get(driver_name) or from_elsewhere(driver_name)

    @pytest.fixture
    def make_driver(self, backend, request):
        return lambda: backend.make(request)

    @pytest.fixture
    def lease(self, backend):
        return backend.lease

    @pytest.fixture
    def abandon(self, backend, driver_name, request):
        if backend.abandon is None:
            assert driver_name not in OURS or driver_name == "memory", "a durable driver of ours proves this"
            pytest.skip(f"nothing says how {driver_name} dies")
        return partial(backend.abandon, request)

    @pytest.fixture
    def cut(self, backend, driver_name, request):
        if backend.cut is None:
            pytest.skip(f"nothing says how {driver_name} loses its backend")
        return partial(backend.cut, request)
