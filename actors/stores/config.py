"""`store.memory` in a definition file.

Knows: fields, defaults and limits. Must not know: what a store does with them.
"""

from typing import Final

from attrs import field, frozen

from ...registry import Duration, Entry, Registry, between
from ..lifecycle import Complaints, Lifecycle, check_service

DEFAULT_MAX_SIZE: Final = 10_000
DEFAULT_CLEANUP_INTERVAL: Final = 300.0


@frozen(kw_only=True)
class MemoryStoreConfig:
    """`store.memory`: values by key, in this process.

    Nothing of it has to be started, so `lifecycle` is checked and changes nothing.
    """

    max_size: int = between(0, default=DEFAULT_MAX_SIZE)
    cleanup_interval: Duration = between(0, default=DEFAULT_CLEANUP_INTERVAL)
    lifecycle: Lifecycle = field(factory=Lifecycle)

    @property
    def largest(self) -> int:
        """How many keys it holds; 0 is Wippy's way of writing the default."""
        return self.max_size or DEFAULT_MAX_SIZE

    @property
    def seconds_between_cleanups(self) -> float:
        """How often it looks for what has expired; 0 is the default, as above."""
        return self.cleanup_interval or DEFAULT_CLEANUP_INTERVAL


def check_store(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with a store's `lifecycle`."""
    yield from check_service(entry, registry)
