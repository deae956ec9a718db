"""The spool driver keeps every promise that its features name: `pytest` in this folder."""

import pytest
from spool_driver import Spool, SpoolConfig, SpoolDriver

from noria.actors.testing import DriverConformance


def lose_store(driver):
    """Nothing the driver does reaches its folder any more, and its lock is gone."""
    with driver._lock:
        driver._store.close()
        driver._store = Spool("/dev/null/nowhere")
        # What it has claimed has a path of its own, which still leads into the folder.
        driver._loss = OSError("the folder is gone")
    driver.ring()


class TestSpoolDriver(DriverConformance):
    several_processes = False

    @pytest.fixture
    def make_driver(self, tmp_path):
        return lambda: SpoolDriver("spool", SpoolConfig(path=str(tmp_path / "spool")))

    @pytest.fixture
    def abandon(self):
        return lose_store

    @pytest.fixture
    def cut(self):
        return lose_store
