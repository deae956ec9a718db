"""Stores: values by key, for functions that have to remember something.

Knows: which kinds of stores there are. Must not know: who asks, and whether they may.
"""

from collections.abc import Mapping

from ...registry import Entry, Kind, Registry
from .config import MemoryStoreConfig, check_store
from .memory import MemoryStore

STORE_KINDS: tuple[Kind, ...] = (Kind("store.memory", MemoryStoreConfig, check_store),)


def stores_of(registry: Registry, kept: Mapping[str, MemoryStore]) -> Mapping[str, MemoryStore]:
    """Every store that is declared; those that are not kept are empty."""
    return {
        # Not `kept.get(...) or`: a store that holds nothing is false, and somebody may be about to put something in.
        str(entry.id): kept[str(entry.id)] if str(entry.id) in kept else _store(entry)
        for entry in registry
        if isinstance(entry.config, MemoryStoreConfig)
    }


def _store(entry: Entry) -> MemoryStore:
    config: MemoryStoreConfig = entry.config
    return MemoryStore(str(entry.id), config.largest, cleanup_interval=config.seconds_between_cleanups)


__all__ = ["STORE_KINDS", "MemoryStore", "MemoryStoreConfig", "stores_of"]
