"""What a token store keeps of a token, as plain data.

Knows: names and types of its fields. Must not know: keys, signatures, clocks, policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import attrs

from ..registry import EntryID, NoriaError

DEEPEST: Final = 64


@attrs.frozen(kw_only=True)
class TokenRecord:
    """One token: Wippy's fields, and `deny_policies`.

    Attributes:
        actor_id, actor_meta: who acts with it.
        scope_policies: the IDs of its policies.
        deny_policies: those of them that denied when it was made.
        created, expires: seconds since 1970.
        meta: what was said about the token itself.
        revoked: when it was taken back, and then nothing else is known about it; or None.
    """

    actor_id: str
    actor_meta: Mapping[str, Any]
    scope_policies: list[str]
    deny_policies: list[str]
    created: float
    expires: float
    meta: Mapping[str, Any]
    revoked: float | None = None

    def as_data(self) -> dict[str, Any]:
        """What is stored."""
        return attrs.asdict(self, recurse=False, filter=lambda field, _value: field.name != "revoked")

    @classmethod
    def of(cls, data: Any) -> Self | None:
        """The record of what was stored; None for what no token store has written."""
        match data:
            case {"revoked": int() | float() as revoked, "expires": int() | float() as expires}:
                return cls(
                    actor_id="",
                    actor_meta={},
                    scope_policies=[],
                    deny_policies=[],
                    created=0.0,
                    expires=expires,
                    meta={},
                    revoked=revoked,
                )
            case {
                "actor_id": str() as actor_id,
                "actor_meta": Mapping() as actor_meta,
                "scope_policies": list() as scope_policies,
                "deny_policies": list() as deny_policies,
                "created": int() | float() as created,
                "expires": int() | float() as expires,
                "meta": Mapping() as meta,
            } if _are_ids(scope_policies) and _are_ids(deny_policies):
                return cls(
                    actor_id=actor_id,
                    actor_meta=actor_meta,
                    scope_policies=scope_policies,
                    deny_policies=deny_policies,
                    created=created,
                    expires=expires,
                    meta=meta,
                )
        return None


def revoked_record(revoked: float, expires: float) -> dict[str, Any]:
    """What is left of a token that was taken back: enough to say so."""
    return {"revoked": revoked, "expires": expires}


def _are_ids(texts: list[Any]) -> bool:
    try:
        return all(isinstance(text, str) and EntryID.parse(text) is not None for text in texts)
    except NoriaError:
        return False


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """A deep copy of plain data: dictionaries with named fields, lists, texts, numbers, bools, None, bytes.

    Raises:
        ValueError: with the path of what is something else; values are not repeated.
    """
    if depth > DEEPEST:
        raise ValueError(f"{path} is more than {DEEPEST} levels deep")
    match value:
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError(f"expected only texts as keys of {path}")
            return {str(key): plain(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        case str():
            # Without what else a text may know, such as the placeholder that it came from.
            return str(value)
        case None | bool() | int() | float() | bytes():
            return value
    raise ValueError(f"expected plain data, and {path} is of type {type(value).__name__}")


def canonical(data: Mapping[str, Any]) -> str:
    """The same ASCII text for the same plain data, and another one for other data: what can be signed.

    Raises:
        ValueError: it is no plain data, or a number in it has more digits than Python writes.
    """
    return ascii(_ordered(plain(data, "record")))


def _ordered(value: Any) -> Any:
    """Mappings as tuples, which plain data has none of, in the order of their keys."""
    match value:
        case dict():
            return tuple((key, _ordered(value[key])) for key in sorted(value))
        case list():
            return [_ordered(item) for item in value]
    return value
