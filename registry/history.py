"""History: the versions that a registry has had (spec, registry 5.5).

Knows: which registry was which version, and what it came from. Does not know: what runs.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Final

import attrs

from .changes import Change
from .errors import VersionNotFound
from .registry import Registry

#: How many versions are kept; of older ones only the numbers are known.
KEPT: Final = 100


@attrs.frozen(kw_only=True, eq=False)
class Version:
    """A registry at one moment.

    Attributes:
        number: 0 is what was loaded; every change is one more than the highest there was.
        parent: the number of the version that was changed; None for the first.
        registry: what was declared then.
        changes: what made it from its parent.
    """

    number: int
    parent: int | None
    registry: Registry
    changes: tuple[Change, ...] = ()


class History:
    """The versions of an application's registry, in memory: they are gone with the process. Thread-safe.

    The oldest are forgotten when there are more than 100; the current one never is.
    """

    def __init__(self, registry: Registry) -> None:
        self._lock = threading.Lock()
        self._current = Version(number=0, parent=None, registry=registry)
        self._versions = {0: self._current}
        self._numbers = itertools.count(1)

    @property
    def current(self) -> Version:
        """The version that holds now."""
        return self._current

    @property
    def versions(self) -> tuple[Version, ...]:
        """Those that are kept, oldest first."""
        with self._lock:
            return tuple(self._versions.values())

    def __getitem__(self, number: int) -> Version:
        """The version of a number. Raises VersionNotFound."""
        with self._lock:
            found = self._versions.get(number)
            if found is None:
                raise VersionNotFound(number, min(self._versions), max(self._versions))
            return found

    def add(self, registry: Registry, changes: Iterable[Change]) -> Version:
        """What came of the current version by these changes; it is the current one from now on."""
        with self._lock:
            version = Version(
                number=next(self._numbers),
                parent=self._current.number,
                registry=registry,
                changes=tuple(changes),
            )
            self._versions[version.number] = self._current = version
            if len(self._versions) > KEPT:
                del self._versions[min(self._versions)]
            return version

    def go_to(self, number: int) -> Version:
        """Make an earlier or later version the current one. Raises VersionNotFound."""
        version = self[number]
        with self._lock:
            self._versions[number] = self._current = version
        return version
