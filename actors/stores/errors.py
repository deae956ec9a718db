"""What a store refuses.

Knows: the keys and versions that it is about. Must not know: who wanted to write.
"""

from ..errors import ActorsError


class StoreFull(ActorsError):
    """There is no room for another key. What is there can be overwritten, and room comes when something expires.

    Attributes:
        store: its registry ID.
        max_size: how many keys it holds.
    """

    retryable = True

    def __init__(self, store: str, max_size: int) -> None:
        super().__init__(f"store is full: {store} holds {max_size} keys (max_size)")
        self.store = store
        self.max_size = max_size


class KeyTaken(ActorsError):
    """A value was to be stored only where none is, and there is one.

    Attributes:
        store: the store's registry ID.
        key: the key.
    """

    def __init__(self, store: str, key: str) -> None:
        super().__init__(f"{store} has a value for the key {key!r} already")
        self.store = store
        self.key = key


class VersionChanged(ActorsError):
    """A value was to be stored only over a certain version, and there is another one, or none.

    Attributes:
        store: the store's registry ID.
        key: the key.
        expected: the version that was asked for.
        found: the version that is there; None for no value.
    """

    def __init__(self, store: str, key: str, expected: int, found: int | None) -> None:
        there = "no value" if found is None else f"version {found}"
        super().__init__(f"{store} has {there} for the key {key!r}, not version {expected}")
        self.store = store
        self.key = key
        self.expected = expected
        self.found = found
