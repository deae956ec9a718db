"""The promises of a driver as tests, for our drivers and for yours (docs/drivers.md).

    class TestShelf(DriverConformance):
        @pytest.fixture
        def make_driver(self, tmp_path):
            return lambda: ShelfDriver("shelf", ShelfConfig(path=str(tmp_path)))

Knows: pytest, which the extra `noria[testing]` installs. Must not know: any driver.
"""

import pkgutil

import pytest

# Before the modules are imported: their asserts are to say what they found.
pytest.register_assert_rewrite(*(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")))

from .conformance import DriverConformance  # noqa: E402
from .harness import PATIENCE, Receiver  # noqa: E402

__all__ = ["PATIENCE", "DriverConformance", "Receiver"]
