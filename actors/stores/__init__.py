"""Stores: values by key, for functions that have to remember something.

Knows: which kinds of stores there are. Must not know: who asks, and whether they may.
"""

from collections.abc import Mapping

from ...registry import Kind, Registry
from .config import MemoryStoreConfig, check_store
from .memory import MemoryStore

STORE_KINDS: tuple[Kind, ...] = (Kind("store.memory", MemoryStoreConfig, check_store),)


def stores_of(registry: Registry) -> Mapping[str, MemoryStore]:
    """Every store that is declared, empty."""
    return {
        str(entry.id): MemoryStore(
            str(entry.id), entry.config.largest, cleanup_interval=entry.config.seconds_between_cleanups
        )
        for entry in registry
        if isinstance(entry.config, MemoryStoreConfig)
    }


__all__ = ["STORE_KINDS", "MemoryStore", "MemoryStoreConfig", "stores_of"]
