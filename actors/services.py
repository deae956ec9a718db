"""The actors around drivers and queues: thin shells that give them a supervised life.

Knows: open, close, and how to tell a supervisor that a backend was lost. Must not know: messages, consumers.
"""

import threading
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .driver import Driver
from .errors import DriverUnavailable
from .queue import Queue
from .supervision import Control, Supervised


class Lease:
    """Whoever opened something last may close it.

    Drivers and queues outlive their actors. An actor that was given up, and ends late, must not close what its
    successor has opened meanwhile. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: object = None

    def take(self, holder: object) -> None:
        """From now on it is this one's to close."""
        with self._lock:
            self._holder = holder

    def give_back(self, holder: object, close: Callable[[], None]) -> None:
        """Close it, if nobody else has taken it since."""
        with self._lock:
            if self._holder is holder:
                close()
                self._holder = None


@frozen
class BackendLost(Control):
    """To a driver's actor, from the driver: the connection is gone."""

    error: BaseException


class DriverActor(Supervised):
    """Opens a driver, and fails when the driver says that its backend is lost: reconnecting is supervision."""

    def __init__(self, driver: Driver, lease: Lease) -> None:
        super().__init__()
        self._driver = driver
        self._lease = lease

    def setup(self) -> None:
        """Connect."""
        self._lease.take(self)
        self._driver.open(lambda error: self.actor_ref.tell(BackendLost(error)))

    def on_receive(self, message: Any) -> Any:
        """Fail with what the driver reported."""
        match message:
            case BackendLost(error=error):
                raise DriverUnavailable(self._driver.name) from error
            case _:
                return super().on_receive(message)

    def teardown(self, error: BaseException | None) -> None:
        """Disconnect."""
        del error
        self._lease.give_back(self, self._driver.close)


class QueueActor(Supervised):
    """Declares a queue and lets publishers in, as long as its driver runs."""

    def __init__(self, queue: Queue, lease: Lease) -> None:
        super().__init__()
        self._queue = queue
        self._lease = lease

    def setup(self) -> None:
        """Declare the queue."""
        self._lease.take(self)
        self._queue.open()

    def teardown(self, error: BaseException | None) -> None:
        """Make publishers wait."""
        del error
        self._lease.give_back(self, self._queue.close)

    def figures(self) -> dict[str, Any]:
        """What the tree shows of it. Thread-safe."""
        return self._queue.figures()
