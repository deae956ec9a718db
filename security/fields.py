"""Where a condition looks: `actor.meta.team`, `meta.size`, `action`.

Knows: the paths of `spec/security.md` 2.2 and the request they are read from. Does not compare anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .errors import ConditionError, did_you_mean
from .principals import Request

ROOTS = ("actor", "meta", "action", "resource")


@attrs.frozen(eq=False)
class Field:
    """A path that was understood. Immutable and thread-safe.

    Attributes:
        path: As it was written.
        read: Its value in a request; None when it is missing. Raises ConditionError for an anonymous principal.
        uses_meta: Whether it looks at the metadata of the request.
    """

    path: str
    read: Callable[[Request], Any]
    uses_meta: bool


def compile_field(path: str) -> Field:
    """Turn a path into a function that reads it.

    Args:
        path: `actor.id`, `actor.meta[.key…]`, `meta.key[.key…]`, `action`, `resource`; anything else is one literal
            key of the request's metadata, dots included.

    Raises:
        ConditionError: The path says too little (`actor`, `meta`) or names what a principal does not have.
    """
    root, *keys = path.split(".")
    match root, keys:
        case "action", _:
            return Field(path, lambda request: request.action, uses_meta=False)
        case "resource", _:
            return Field(path, lambda request: request.resource, uses_meta=False)
        case "actor" | "meta", _ if not keys or not all(keys):
            raise ConditionError(f"the field {path!r} says too little; expected {root}.{_EXPECTED[root]}")
        case "actor", ["id", *_]:
            return Field(path, _principal_id, uses_meta=False)
        case "actor", ["meta", *rest]:
            return Field(path, _principal_meta(tuple(rest)), uses_meta=False)
        case "actor", [other, *_]:
            hint = did_you_mean(other, ("id", "meta"))
            raise ConditionError(f"an actor has id and meta, not {other!r}{hint}")
        case "meta", _:
            return Field(path, lambda request: nested(request.meta, tuple(keys)), uses_meta=True)
    return Field(path, lambda request: request.meta.get(path), uses_meta=True)


_EXPECTED = {"actor": "id or actor.meta.<key>", "meta": "<key>"}


def nested(value: Any, keys: tuple[str, ...]) -> Any:
    """Follow keys into nested mappings; None as soon as one is absent or the way leads through something else."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _principal_id(request: Request) -> Any:
    _refuse_anonymous(request)
    return request.principal.id


def _principal_meta(keys: tuple[str, ...]) -> Callable[[Request], Any]:
    def read(request: Request) -> Any:
        _refuse_anonymous(request)
        return nested(request.principal.meta, keys)

    return read


def _refuse_anonymous(request: Request) -> None:
    if not request.principal.id and not request.principal.meta:
        raise ConditionError("the actor has neither an id nor meta")
