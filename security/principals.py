"""Who acts, and what a policy gets to see of a request.

Knows: plain data. Does not know policies, queues or threads. A Principal is what YAML calls `actor`; the word actor
is kept for things with an inbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

NO_META: Final[Mapping[str, Any]] = MappingProxyType({})

Meta = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


def frozen_copy(value: Any) -> Any:
    """A deep copy of plain data that nobody can change: mappings become read-only, lists become tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen_copy(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen_copy(item) for item in value)
    return value


def plain_copy(value: Any) -> Any:
    """The opposite: dictionaries that can be changed, and pickled; tuples stay as they are."""
    if isinstance(value, Mapping):
        return {key: plain_copy(item) for key, item in value.items()}
    return tuple(plain_copy(item) for item in value) if isinstance(value, tuple) else value


@attrs.frozen
class Principal:
    """Whoever acts: an identity and what is known about it. Immutable, hashable by its id, thread-safe.

    Policies call it `actor`, as Wippy's do: `actor.id`, `actor.meta.role`.

    Attributes:
        id: The identity, such as `consumer:orders`.
        meta: Plain data about it, copied and read-only; lists become tuples.
    """

    id: str
    meta: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen_copy, hash=False)

    def __reduce__(self) -> tuple[type[Principal], tuple[str, Any]]:
        """For pickling, which read-only views refuse."""
        return Principal, (self.id, plain_copy(self.meta))


class Request:
    """One question to the policies: may this principal do this action on this resource?

    Metadata may be a mapping or a function without arguments that builds one; the function is called at most once,
    and only when a policy looks. Used by one thread at a time.
    """

    __slots__ = ("_meta", "action", "principal", "resource")

    def __init__(self, principal: Principal, action: str, resource: str, meta: Meta = None) -> None:
        self.principal = principal
        self.action = action
        self.resource = resource
        self._meta = meta

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata of the request; an empty mapping when there is none."""
        meta = self._meta
        if meta is None:
            return NO_META
        if not isinstance(meta, Mapping):
            meta = self._meta = meta()
        return meta
