"""Brokers die and lines break under load: publishers and consumers recover, and nothing that was accepted is lost."""

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from noria.actors import Runtime
from noria.actors.errors import QueueFull, QueueUnavailable
from reliability import backends

HANDLER = "import probe\ndef handler(body):\n    probe.record(body)\n"
PATIENCE = 60.0


class Load:
    """A thread that publishes numbers in small batches until it is told to end, and knows which were accepted."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.accepted: set[int] = set()
        self.refused = 0
        self._ending = threading.Event()
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            batch = list(itertools.islice(self._numbers, 10))
            try:
                self.runtime.publish_many("app:tasks", batch, timeout=1)
                accepted = len(batch)
            except (QueueFull, QueueUnavailable) as error:
                accepted = error.accepted
            with self._changed:
                self.refused += accepted < len(batch)
                self.accepted.update(batch[:accepted])
                self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Until so many more were accepted."""
        with self._changed:
            goal = len(self.accepted) + more
            assert self._changed.wait_for(lambda: len(self.accepted) >= goal, PATIENCE), (
                f"{len(self.accepted)} accepted, {self.refused} batches refused; tree: {self.runtime.tree()}"
            )

    def wait_for_refusal(self) -> None:
        """Until another publish gives up."""
        with self._changed:
            goal = self.refused + 1
            assert self._changed.wait_for(lambda: self.refused >= goal, PATIENCE), "no publish returns"

    def end(self) -> set[int]:
        """What was accepted; every publish has returned."""
        self._ending.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "a publish hangs"
        return self.accepted


@pytest.fixture(params=["redis", "amqp"])
def server(request):
    """A server that keeps what it has confirmed when it is killed, and its own one where it is."""
    if request.param == "redis":
        return request.getfixturevalue("new_redis_server")(durable=True)
    if "killed" in request.node.name:
        return request.getfixturevalue("new_rabbit_server")()
    return request.getfixturevalue("rabbit_server")


@pytest.fixture
def proxy(server, proxy_to):
    return proxy_to(server.port)


@pytest.fixture
def load(server, proxy, start, probe, tmp_path) -> Iterator[Load]:
    """A running application whose only way to its server is the proxy, under load."""
    url = server.url.replace(str(server.port), str(proxy.port))
    make: Callable[[str], str] = backends.redis if url.startswith("redis") else backends.amqp
    runtime = start(backends.application(make(url), tmp_path.name), HANDLER)
    load = Load(runtime)
    load.wait_for(50)
    yield load
    proxy.thaw()
    load.end()


def handled(probe, load: Load) -> None:
    """Everything that was accepted comes to a handler."""
    accepted = load.end()
    probe.wait_until(lambda records: accepted <= set(records), f"all of {len(accepted)} accepted messages")
    assert load.runtime.failures == {}


def test_a_server_that_is_killed_and_started_again_under_load(server, load, probe):
    server.settle()
    for _ in range(2):
        server.kill()
        server.restart()
        load.wait_for(50)

    handled(probe, load)


def test_connections_that_are_cut_again_and_again(proxy, load, probe):
    for _ in range(5):
        proxy.cut()
        load.wait_for(30)

    handled(probe, load)


def test_a_line_that_goes_dead_without_a_word(proxy, load, probe):
    """Half open: nothing comes through, and nobody says so. It is noticed, and no publish waits past its limit."""
    proxy.freeze()
    load.wait_for_refusal()
    proxy.cut()
    proxy.thaw()
    load.wait_for(50)

    handled(probe, load)


def test_a_slow_line_is_only_slow(proxy, load, probe):
    proxy.slow(0.02)
    load.wait_for(50)

    handled(probe, load)


def test_a_server_that_cannot_be_reached_for_a_while(proxy, load, probe):
    proxy.refuse()
    proxy.cut()
    load.wait_for_refusal()
    proxy.accept()
    load.wait_for(50)

    handled(probe, load)
