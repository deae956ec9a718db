"""The servers as fixtures. One of each kind serves all tests of a process; a test that kills one makes its own.

Knows: pytest, and what to install when a server is missing. Must not know: who uses the fixtures.
"""

import importlib.util
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from .child import Server
from .moto import MotoServer
from .process import Process
from .proxy import TcpProxy
from .rabbit import RabbitServer, script
from .redis import RedisServer

S = TypeVar("S", bound=Server)


def need(*, present: bool, install: str) -> None:
    """Skips the test, or fails it where servers are required."""
    if present:
        return
    if os.environ.get("NORIA_REQUIRE_SERVERS") == "1":
        pytest.fail(f"NORIA_REQUIRE_SERVERS=1, but there is none; {install}", pytrace=False)
    pytest.skip(install)


def need_redis() -> None:
    need(
        present=shutil.which("redis-server") is not None, install="needs Redis: apt-get install redis-server"
    )


def need_rabbit() -> None:
    need(
        present=script("rabbitmq-server") is not None and shutil.which("epmd") is not None,
        install="needs RabbitMQ: apt-get install rabbitmq-server",
    )


def need_moto() -> None:
    need(
        present=importlib.util.find_spec("moto") is not None, install="needs moto: pip install 'moto[server]'"
    )


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis of all tests. Use keys of your own, and leave it running."""
    need_redis()
    yield from running(RedisServer(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """The RabbitMQ of all tests. Use queue names of your own, and leave it running and without an alarm."""
    need_rabbit()
    yield from running(RabbitServer(tmp_path_factory.mktemp("rabbit")))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    """The SQS of all tests. Use queue names of your own."""
    need_moto()
    server = MotoServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """`new_redis_server(durable=True, ...)`: one that this test may stop, kill and restart."""
    need_redis()
    yield from factory(RedisServer, tmp_path / "redis")


@pytest.fixture
def new_rabbit_server(tmp_path: Path) -> Iterator[Callable[..., RabbitServer]]:
    """`new_rabbit_server(tls=True, ...)`: one that this test may stop, kill and restart; it takes seconds to boot."""
    need_rabbit()
    yield from factory(RabbitServer, tmp_path / "rabbit")


@pytest.fixture
def proxy_to() -> Iterator[Callable[[int], TcpProxy]]:
    """`proxy_to(server.port)`: a way to this port of loopback that the test can cut, freeze and slow."""
    made: list[TcpProxy] = []

    def make(port: int) -> TcpProxy:
        made.append(TcpProxy(port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start_process(script, *arguments, VARIABLE="value")`: a path, or the text of a program; killed after the test."""
    made: list[Process] = []

    def start(script: str | Path, *arguments: object, **environment: str) -> Process:
        folder = tmp_path / "processes" / str(len(made))
        folder.mkdir(parents=True)
        if isinstance(script, str):
            path = folder / "program.py"
            path.write_text(textwrap.dedent(script))
            script = path
        made.append(Process(script, *arguments, folder=folder, environment=environment))
        return made[-1]

    yield start
    for process in made:
        process.kill()


def running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def factory(kind: Callable[..., S], folder: Path) -> Iterator[Callable[..., S]]:
    made: list[S] = []

    def start(**options: Any) -> S:
        server = kind(folder / str(len(made)), **options)
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.kill()  # nobody needs what it would still write
        server.stop()
