"""The memory store: values that live as long as their runtime.

Knows: keys, versions, expiry, how many keys there may be. Must not know: Lua, permissions.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .errors import KeyTaken, StoreFull, VersionChanged


@frozen(kw_only=True)
class Stored:
    """One value, and what is known about it.

    Attributes:
        key: its key.
        value: plain data that nobody may change: it is handed out as it is.
        version: grows with every write to its store, so no value, and no key that was deleted meanwhile, has one twice.
        expires: when it is gone, on the store's clock; infinity for never.
    """

    key: str
    value: Any
    version: int
    expires: float


@frozen(kw_only=True)
class Page:
    """Some values in the order of their keys, and whether more come after them."""

    items: tuple[Stored, ...]
    has_more: bool


class MemoryStore:
    """Values by key, in this process. Thread-safe; every verb is atomic.

    It has no thread: what has expired is never seen again, and its memory comes back when its key is used, when room is
    needed, and otherwise with the first use after each cleanup interval.

    Args:
        id: its registry ID, for errors.
        max_size: how many keys it may hold.
        cleanup_interval: seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  (every entry has one)
        max_size: int,
        *,
        cleanup_interval: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = id
        self._max_size = max_size
        self._interval = cleanup_interval
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, Stored] = {}
        self._version = 0
        # Nothing expires before this: a full store need not be searched each time somebody tries.
        self._first_expiry = math.inf
        self._next_cleanup = clock() + cleanup_interval

    def set_bounds(self, max_size: int, cleanup_interval: float) -> None:
        """How many keys it may hold, and seconds between cleanups, from now on. What is there stays."""
        with self._lock:
            self._max_size, self._interval = max_size, cleanup_interval

    def get(self, key: str) -> Stored | None:
        """What is there; None if nothing is, or it has expired."""
        with self._lock:
            return self._live(key, self._begin())

    def put(
        self,
        key: str,
        value: Any,
        *,
        ttl: float | None = None,
        only_if_absent: bool = False,
        if_version: int | None = None,
    ) -> Stored:
        """Store a value, in the place of what is there.

        Args:
            key: any text.
            value: plain data that is not changed any more.
            ttl: seconds that it lives; None: for ever.
            only_if_absent: only where nothing is.
            if_version: only in the place of this version.

        Raises:
            KeyTaken, VersionChanged: the condition does not hold.
            StoreFull: it is a new key, and there is no room.
        """
        with self._lock:
            now = self._begin()
            there = self._live(key, now)
            if only_if_absent and there is not None:
                raise KeyTaken(self.id, key)
            version = None if there is None else there.version
            if if_version is not None and version != if_version:
                raise VersionChanged(self.id, key, if_version, version)
            if there is None and len(self._entries) >= self._max_size:
                self._make_room(now)
            self._version += 1
            expires = math.inf if ttl is None else now + ttl
            stored = Stored(key=key, value=value, version=self._version, expires=expires)
            self._first_expiry = min(self._first_expiry, expires)
            self._entries[key] = stored
            return stored

    def delete(self, key: str) -> bool:
        """Whether there was something to delete."""
        with self._lock:
            there = self._live(key, self._begin())
            if there is not None:
                del self._entries[key]
            return there is not None

    def list(self, *, prefix: str = "", after: str = "", limit: int) -> Page:
        """At most `limit` values whose keys begin so and come after that one, in the order of keys."""
        with self._lock:
            now = self._begin()
            keys = sorted(
                key
                for key, stored in self._entries.items()
                if stored.expires > now and key > after and key.startswith(prefix)
            )
            return Page(items=tuple(self._entries[key] for key in keys[:limit]), has_more=len(keys) > limit)

    def __len__(self) -> int:
        """How many keys it holds, what has expired and was not noticed yet included."""
        return len(self._entries)

    # ---- under the lock ------------------------------------------------------------------------------

    def _begin(self) -> float:
        """What time it is; and once in each interval, a cleanup."""
        now = self._clock()
        if now >= self._next_cleanup:
            self._next_cleanup = now + self._interval
            self._clean(now)
        return now

    def _live(self, key: str, now: float) -> Stored | None:
        stored = self._entries.get(key)
        if stored is not None and stored.expires <= now:
            del self._entries[key]
            return None
        return stored

    def _make_room(self, now: float) -> None:
        self._clean(now)
        if len(self._entries) >= self._max_size:
            raise StoreFull(self.id, self._max_size)

    def _clean(self, now: float) -> None:
        if now < self._first_expiry:
            return
        self._entries = {key: stored for key, stored in self._entries.items() if stored.expires > now}
        self._first_expiry = min((stored.expires for stored in self._entries.values()), default=math.inf)
