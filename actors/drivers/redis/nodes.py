"""Which server keeps which queue: one that keeps all, or the nodes of a cluster.

Knows: sessions, slots. Must not know: what is said in a session.

A cluster that moves slots, or promotes a replica, answers with an error; the driver is lost then, and looks again who keeps
what when it is opened again.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from attrs import evolve

from ...errors import DriverRefused, DriverUnavailable
from .queue import RedisQueue
from .session import Session

if TYPE_CHECKING:
    from .config import RedisConfig

Failed = Callable[[DriverRefused | DriverUnavailable], None]


class Nodes:
    """A session with every node that keeps queues. If one is lost, all are.

    Args:
        driver: its registry ID.
        config: the URL is that of any node.
        instance: which of all processes this is.
        failed: told once, if a node is lost before `close`.

    Raises:
        RedisError, OSError: no connection.
        DriverRefused: a server that would lose messages.
    """

    def __init__(self, driver: str, config: "RedisConfig", *, instance: str, failed: Failed) -> None:
        self._driver = driver
        self._config = config
        self._instance = instance
        self._failed = failed
        self._lock = threading.Lock()
        self._is_opening = True
        self.problem: DriverRefused | DriverUnavailable | None = None
        self.sessions: list[Session] = []
        self._by_slots: list[tuple[range, Session]] = []
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        self._is_opening = False
        if self.problem is not None:
            self._end(self.problem)

    @property
    def is_over(self) -> bool:
        """Whether a node was lost."""
        return self.problem is not None

    def of(self, queue: RedisQueue) -> Session:
        """The session with the node that keeps this queue.

        Raises:
            DriverUnavailable: no node does.
        """
        for slots, session in self._by_slots:
            if queue.keys.slot in slots:
                return session
        problem = DriverUnavailable(self._driver, f"no node of the cluster keeps the slot of {queue.name}")
        self._lose(problem)  # to look again
        raise problem

    def close(self) -> None:
        """End them all."""
        for session in self.sessions:
            session.close()

    def _connect(self) -> None:
        first = self._session(self._config)
        if not first.is_cluster:
            self._by_slots = [(range(1 << 14), first)]
            return
        by_name = {first.ask(("CLUSTER", "MYID")): first}
        for start, end, (host, port, name, *_), *_replicas in first.ask(("CLUSTER", "SLOTS")):
            if name not in by_name:
                by_name[name] = self._session(at(self._config, (host or b"").decode(), port))
            self._by_slots.append((range(start, end + 1), by_name[name]))

    def _session(self, config: "RedisConfig") -> Session:
        made = Session(self._driver, config, instance=self._instance, of=self.of, failed=self._lose)
        self.sessions.append(made)
        return made

    def _lose(self, problem: DriverRefused | DriverUnavailable) -> None:
        with self._lock:
            if self.problem is not None:
                return
            self.problem = problem
        if not self._is_opening:
            self._end(problem)

    def _end(self, problem: DriverRefused | DriverUnavailable) -> None:
        for session in self.sessions:
            session.lose(problem)
        self._failed(problem)


def at(config: "RedisConfig", host: str, port: int) -> "RedisConfig":
    """The same for another node; the one that does not know its own address is where we are already."""
    parts = urlsplit(config.url)
    user, separator, _ = parts.netloc.rpartition("@")
    name = host or parts.hostname or ""
    address = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return evolve(config, url=urlunsplit(parts._replace(netloc=f"{user}{separator}{address}")))
