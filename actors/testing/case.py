"""What a driver's tests give to the suite: how to make one, how it dies, how it loses its backend.

Knows: fixtures. Must not know: any driver, any promise.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from ..driver import Driver
from .harness import declare

MakeDriver = Callable[[], Driver]
DoTo = Callable[[Driver], None]


class DriverCase:
    """The fixtures of the suite. A driver's tests define `make_driver`, and the others as far as they can.

    Attributes:
        several_processes: whether two drivers may be open on one backend at once. Asked only of drivers that are
            durable or shared.
    """

    several_processes: ClassVar[bool] = True

    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        """Makes a driver that is not open yet. All of one test have the same backend, which is empty before it."""
        pytest.fail("define the fixture make_driver: it returns a callable that makes a driver")

    @pytest.fixture
    def lease(self) -> float:
        """After how many seconds a backend returns what a dead process held, as set up in the tests; 0: at once."""
        return 0.0

    @pytest.fixture
    def abandon(self) -> DoTo:
        """Lets a driver die as with its process: no farewell, no heartbeats, connections shut, locks gone.

        Its leases have to run out: make them short. It is closed later all the same, which must not hang.
        """
        pytest.skip("its tests do not say how it dies: define the fixture abandon")

    @pytest.fixture
    def cut(self) -> DoTo:
        """Takes its backend away from an open driver; the backend is there again when the driver is opened again."""
        pytest.skip("its tests do not say how it loses its backend: define the fixture cut")

    @pytest.fixture
    def driver(self, make_driver: MakeDriver) -> Iterator[Driver]:
        """The driver, open."""
        with make_driver() as driver:
            yield driver

    @pytest.fixture
    def another(self, driver: Driver, make_driver: MakeDriver) -> Iterator[Driver]:
        """A second one on the same backend, open at the same time, as in another process."""
        if not (driver.features.durable or driver.features.shared):
            pytest.skip(f"{type(driver).__name__} lives in one process")
        if not self.several_processes:
            pytest.skip(f"{type(driver).__name__} is for one process at a time")
        with make_driver() as another:
            yield another

    @pytest.fixture
    def queue(self, driver: Driver) -> str:
        """An empty queue without options."""
        return declare(driver)
