"""The time between connecting to a server and closing the connection, or losing it.

Knows: connections, threads, who is subscribed. Must not know: which queues are declared.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...delivery import Delivery, Message
from ...errors import DriverRefused, DriverUnavailable
from . import scripts
from .callers import Callers
from .entries import arguments_of
from .errors import LeaseLost
from .link import LOST, Command, Link, checked, is_for_now, translated
from .queue import RedisQueue
from .reader import LONGEST_BLOCK, Reader
from .settler import Settler
from .subscription import RedisSubscription

if TYPE_CHECKING:
    from .config import RedisConfig

# How many messages a publishing script gets: the server does nothing else meanwhile.
PUBLISH_BATCH = 500
# How long a close waits for the server to take back what was held.
CLOSE_PATIENCE = 3.0


class Session:
    """Connected to the server. Ends once: by `close`, or by `lose`.

    Args:
        driver: its registry ID.
        config: where and how long.
        instance: which of all processes this is.
        of: the session of a queue, this one or that of another node.
        failed: told once, if the server is lost before `close`.

    Raises:
        DriverUnavailable, DriverRefused: no connection, or a server that would lose messages.
    """

    def __init__(
        self,
        driver: str,
        config: "RedisConfig",
        *,
        instance: str,
        of: "Callable[[RedisQueue], Session]",
        failed: Callable[[DriverRefused | DriverUnavailable], None],
    ) -> None:
        self.driver = driver
        self.config = config
        # What `CLIENT LIST` shows.
        self._client_name = f"noria:{driver}:{instance}".replace(" ", "_")
        self.problem: DriverRefused | DriverUnavailable | None = None
        self.is_over = False
        self._is_closing = False
        self._failed = failed
        self._lock = threading.Lock()
        self._server_offset = 0.0
        self.is_cluster = False
        self._of = of
        self._readers: dict[RedisSubscription, Reader] = {}
        self._links: list[Link] = []
        try:
            first = self._connect()
            self._check_server(first)
            self._callers = Callers(first, self.lose)
            self.settler = Settler(self, self._connect())
        except BaseException:
            self._close_links()
            raise
        self.settler.thread.start()

    # ---- asking --------------------------------------------------------------------------------------

    def ask(self, command: Command) -> Any:
        """The answer to a command.

        Raises:
            DriverUnavailable: lost, or refused for now.
            DriverRefused: refused for good.
        """
        return self._answer(self.run([command])[0])

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands, each of which may be an error.

        Raises:
            DriverUnavailable: lost.
        """
        if self.is_over:
            raise self._unavailable()
        try:
            return self._callers.run(commands)
        except LOST as error:
            raise self._unavailable(error) from error

    def _answer(self, reply: Any) -> Any:
        """Raises what the server refused; unless that was for now, this session is of no use any more."""
        try:
            return checked(reply)
        except LOST as error:
            if not is_for_now(error):
                self.lose(error)
            raise translated(self.driver, error) from error

    def _unavailable(self, error: BaseException | None = None) -> DriverUnavailable:
        problem = self.problem
        if problem is None and error is not None:
            problem = translated(self.driver, error)
        return DriverUnavailable(self.driver, "" if problem is None else problem.problem)

    # ---- verbs ---------------------------------------------------------------------------------------

    def create_group(self, queue: RedisQueue) -> None:
        """Make sure that the queue is there.

        Raises:
            DriverUnavailable: lost.
        """
        self.ask(scripts.DECLARE.on(queue.keys.all))

    def store(self, queue: RedisQueue, messages: Sequence[Message]) -> int:
        """Store messages as far as there is room; how many, from the first.

        Raises:
            DriverUnavailable: with `.accepted`.
        """
        limit = queue.options.max_length
        accepted = 0
        step = PUBLISH_BATCH if limit else len(messages)
        for start in range(0, len(messages), step):
            batch = messages[start : start + step]
            stored = self._store(queue, batch, limit, accepted)
            accepted += stored
            if stored < len(batch):
                break
        return accepted

    def _store(self, queue: RedisQueue, messages: Sequence[Message], limit: int, before: int) -> int:
        commands = publishing(queue, messages, limit)
        if self.config.replicas:
            milliseconds = int(self.config.socket_timeout * 500)
            commands.append(("WAIT", self.config.replicas, milliseconds))
        accepted = 0
        try:
            replies = self.run(commands)
            if self.config.replicas:
                self._check_copies(replies.pop())
            for reply in replies:
                stored = self._answer(reply)
                accepted += stored if isinstance(stored, int) else 1
        except DriverUnavailable as error:
            error.accepted = before + accepted
            raise
        return accepted

    def _check_copies(self, reply: Any) -> None:
        copies: int = self._answer(reply)
        if copies < self.config.replicas:
            raise DriverUnavailable(
                self.driver, f"only {copies} of {self.config.replicas} replicas have the message"
            )

    def move(
        self,
        deliveries: Sequence[Delivery],
        source: RedisSubscription,
        target: RedisQueue,
        messages: Sequence[Message],
    ) -> list[bool]:
        """Of each, whether it is out of the one queue, and in the other if it was still ours."""
        try:
            if self.is_cluster and source.queue.keys.slot != target.keys.slot:
                return self._store_then_remove(deliveries, source, target, messages)
            keys = (*source.queue.keys.all, target.keys.stream)
            limit = target.options.max_length
            replies = self.run(
                [
                    scripts.MOVE.on(keys, source.name, delivery.receipt, limit, *arguments_of((message,)))
                    for delivery, message in zip(deliveries, messages, strict=True)
                ]
            )
        except (DriverRefused, DriverUnavailable):
            return [False] * len(deliveries)
        return [self._is_moved(reply) for reply in replies]

    def _is_moved(self, reply: Any) -> bool:
        try:
            return bool(self._answer(reply))
        except (DriverRefused, DriverUnavailable):
            return False

    def _store_then_remove(
        self,
        deliveries: Sequence[Delivery],
        source: RedisSubscription,
        target: RedisQueue,
        messages: Sequence[Message],
    ) -> list[bool]:
        """In a cluster, two queues may live on two nodes, and no script reaches both."""
        count = self._of(target).store(target, messages)
        if count:
            receipts = (delivery.receipt for delivery in deliveries[:count])
            self.ask(scripts.ACK.on(source.queue.keys.all, source.name, *receipts))
        return [number < count for number in range(len(deliveries))]

    def subscribe(self, subscription: RedisSubscription) -> None:
        """Begin to fetch.

        Raises:
            DriverUnavailable: lost.
        """
        try:
            link = self._connect(patience=LONGEST_BLOCK)
            reader = Reader(subscription, link, self.reader_ended)
        except LOST as error:
            raise self._unavailable(error) from error
        terms = (subscription.name, int(self.config.lease * 1000), subscription.limit)
        try:
            self.ask(scripts.JOIN.on(subscription.queue.keys.all, *terms))
        except BaseException:
            link.close()
            raise
        with self._lock:
            self._readers = {**self._readers, subscription: reader}
            is_over = self.is_over
        if is_over:
            subscription.lose()
            raise self._unavailable()
        subscription.queue.renew_at = 0.0
        reader.thread.start()
        self.settler.ring()

    # ---- subscriptions -------------------------------------------------------------------------------

    def readers(self) -> list[tuple[RedisSubscription, Reader]]:
        """Who is subscribed."""
        return list(self._readers.items())

    def wake(self, subscription: RedisSubscription) -> None:
        """It has said something, or has credit."""
        reader = self._readers.get(subscription)
        if reader is not None:
            reader.thread.ring()
            self.settler.ring()

    def is_looking(self, subscription: RedisSubscription) -> bool:
        """Whether its reader is about to fetch something that a pause should wait for."""
        reader = self._readers.get(subscription)
        return reader is not None and reader.is_looking and not self._is_closing

    def forget(self, subscription: RedisSubscription) -> None:
        """It has left."""
        with self._lock:
            self._readers = {
                each: reader for each, reader in self._readers.items() if each is not subscription
            }
        subscription.left.set()

    # ---- time ----------------------------------------------------------------------------------------

    def server_time(self) -> float:
        """Milliseconds of the server's clock, counted on by ours since it last said."""
        return self._server_offset + time.monotonic() * 1000

    def set_server_time(self, milliseconds: int) -> None:
        """It has just said."""
        self._server_offset = milliseconds - time.monotonic() * 1000

    # ---- the end -------------------------------------------------------------------------------------

    def ended(self, error: BaseException | None) -> None:
        """A thread of ours has ended."""
        if error is not None:
            self.lose(error)

    def reader_ended(self, error: BaseException | None) -> None:
        """A reader has ended, perhaps because its subscription did."""
        self.ended(error)
        self.settler.ring()

    def lose(self, error: BaseException) -> None:
        """The server is gone, or of no use: everybody hears of it now. Any thread."""
        with self._lock:
            if self.is_over:
                return
            self.is_over = True
            self.problem = self._translated(error)
        self._release_everybody()
        self.settler.ring()
        self._failed(self.problem)

    def _translated(self, error: BaseException) -> DriverRefused | DriverUnavailable:
        if isinstance(error, DriverRefused | DriverUnavailable):
            return error
        if isinstance(error, LeaseLost):
            return DriverUnavailable(self.driver, str(error))
        return translated(self.driver, error)

    def close(self) -> None:
        """Give everything back, as far as the server answers."""
        deadline = time.monotonic() + CLOSE_PATIENCE
        self._is_closing = True
        subscriptions = [subscription for subscription, _ in self.readers()]
        if not self.is_over:
            for subscription in subscriptions:
                subscription.close()
            for subscription in subscriptions:
                subscription.left.wait(max(0.0, deadline - time.monotonic()))
            self.settler.thread.stop(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self.is_over = True
        self._release_everybody()
        for thread in (self.settler.thread, *(reader.thread for _, reader in self.readers())):
            thread.stop(1.0)

    def _close_links(self) -> None:
        for link in self._links:
            link.close()

    def _release_everybody(self) -> None:
        self._close_links()
        for subscription, reader in self.readers():
            subscription.lose()
            subscription.left.set()
            reader.thread.ring()
            subscription.queue.tell_of_room()

    # ---- the beginning -------------------------------------------------------------------------------

    def _connect(self, *, patience: float = 0.0) -> Link:
        link = Link(self.config, name=self._client_name, patience=patience)
        with self._lock:
            self._links = [each for each in self._links if not each.is_closed] + [link]
        if self.is_over:
            link.close()
        return link

    def _check_server(self, link: Link) -> None:
        """Raises DriverRefused where Redis may throw away what it has accepted."""
        seconds, microseconds = link.ask(("TIME",))
        self.set_server_time(int(seconds) * 1000 + int(microseconds) // 1000)
        self.is_cluster = b"cluster_enabled:1" in link.ask(("INFO", "cluster"))
        [reply] = link.run([("CONFIG", "GET", "maxmemory*")])
        if isinstance(reply, Exception):  # whoever may not ask has to know
            return
        settings = dict(zip(reply[::2], reply[1::2], strict=True))
        policy = settings.get(b"maxmemory-policy", b"").decode()
        if settings.get(b"maxmemory", b"0") != b"0" and policy.startswith("allkeys-"):
            raise DriverRefused(
                self.driver,
                f"Redis throws messages away when its memory is full (maxmemory-policy {policy}):"
                " set maxmemory-policy noeviction",
            )


def publishing(queue: RedisQueue, messages: Sequence[Message], limit: int) -> list[Command]:
    """What stores messages: scripts that answer how many they stored, or a plain XADD for one that need not ask."""
    if len(messages) == 1 and not limit:
        message_id, headers, body = arguments_of(messages)
        return [("XADD", queue.keys.stream, "*", "id", message_id, "headers", headers, "body", body)]
    return [
        scripts.PUBLISH.on(queue.keys.all, limit, *arguments_of(messages[start : start + PUBLISH_BATCH]))
        for start in range(0, len(messages), PUBLISH_BATCH)
    ]
