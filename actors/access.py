"""The queues of an application without running it: what the commands on messages stand on.

Knows: how entries become drivers and queues, and that a driver is opened when the first of its queues is needed. Must
not know: actors, handlers, policies.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Self

from ..registry import Bus, Entry, EntryID, Registry, read_options
from .codecs import CODECS
from .driver import Driver, DriverConfig
from .entries import QueueConfig, backend_name
from .queue import DeadLetter, Queue, QueueSettings

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


def drivers_of(registry: Registry, kept: Mapping[EntryID, Driver] = NOTHING) -> dict[EntryID, Driver]:
    """Every driver that is declared; those that are not kept are new, and connected to nothing."""
    return {
        entry.id: kept.get(entry.id) or entry.config.driver.from_entry(entry, registry)
        for entry in registry
        if isinstance(entry.config, DriverConfig)
    }


def queues_of(
    registry: Registry, drivers: Mapping[EntryID, Driver], bus: Bus, kept: Mapping[str, Queue] = NOTHING
) -> dict[str, Queue]:
    """Every queue that is declared, with its dead-letter queue; those that are not kept are new, and not open."""
    entries = [entry for entry in registry if entry.kind == "queue.queue"]
    queues = {
        str(entry.id): kept.get(str(entry.id)) or _queue(entry, registry, drivers, bus) for entry in entries
    }
    for entry in entries:
        if str(entry.id) in kept:
            continue
        config: QueueConfig = entry.config
        if config.dead_letter is not None:
            target = queues[str(config.dead_letter.queue)]
            queues[str(entry.id)].dead_letter = DeadLetter(
                queue=target, max_attempts=config.dead_letter.max_attempts
            )
    return queues


def _queue(entry: Entry, registry: Registry, drivers: Mapping[EntryID, Driver], bus: Bus) -> Queue:
    config: QueueConfig = entry.config
    driver = drivers[config.driver]
    given = config.options_for(registry[config.driver].kind)
    settings = QueueSettings(
        name=backend_name(entry, driver.features),
        codec=CODECS[config.codec],
        options=read_options(given, driver.queue_options)[0],
        redelivery=config.redelivery.backoff(),
        publish_timeout=config.publish_timeout,
    )
    return Queue(entry.id, driver, settings, bus)


class QueueAccess:
    """Opens queues straight through their drivers, and closes them all at the end. Starts no actor, loads no handler.

    with QueueAccess(registry) as access:
        access.open("app:tasks").publish([{"id": 1}])

    Args:
        registry: what is declared.
        looking: nothing will be published or taken, so a backend that takes no changes now will do.

    Attributes:
        queues: every queue by its ID; only those that `open` returned can be used.
    """

    def __init__(self, registry: Registry, *, looking: bool = False) -> None:
        self._is_looking = looking
        self.registry = registry
        drivers = drivers_of(registry)
        self.queues: Mapping[str, Queue] = queues_of(registry, drivers, Bus())
        self._opened: list[Driver] = []
        self._lost: dict[str, BaseException] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every driver. What was taken and not settled goes back. Safe to call twice."""
        while self._opened:
            self._opened[-1].close()
            self._opened.pop()

    def open(self, queue_id: str) -> Queue:
        """Declare a queue, and first its dead-letter queue, on its opened driver.

        Raises:
            KeyError: no such queue.
            DriverUnavailable: the backend cannot be reached.
            DriverRefused: it does not take us, or not this queue.
        """
        queue = self.queues[queue_id]
        if not queue.is_declared:
            if queue.dead_letter is not None and queue.dead_letter.queue.driver is queue.driver:
                self.open(str(queue.dead_letter.queue.id))
            self._open_driver(queue.driver)
            queue.open()
        return queue

    def _open_driver(self, driver: Driver) -> None:
        if driver not in self._opened:
            # Before it is open: a Ctrl-C in between must not leave it open.
            self._opened.append(driver)
            open_it = driver.open_to_look if self._is_looking else driver.open
            open_it(partial(self._lost.__setitem__, driver.name))

    def lost(self, queue: Queue) -> BaseException | None:
        """Why its driver has lost its backend, or None. Nobody reopens it: whoever used it begins again."""
        return self._lost.get(queue.driver.name)

    def driver_entry(self, queue: Queue) -> Entry:
        """What declares the driver of a queue."""
        config: QueueConfig = self.registry[queue.id].config
        return self.registry[config.driver]

    def codec_of(self, queue: Queue) -> str:
        """The name of a queue's codec."""
        config: QueueConfig = self.registry[queue.id].config
        return config.codec

    def dead_letters_from(self, queue: Queue) -> list[str]:
        """The queues whose dead letters come to this one."""
        return [
            id_
            for id_, other in self.queues.items()
            if other.dead_letter is not None and other.dead_letter.queue is queue
        ]
