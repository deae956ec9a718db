"""The token stores of `security`: opening one, and what its methods do.

Knows: which action each verb needs, how arguments must look, of which kind each error is. Must not know: how a token is
written or kept.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from .....security import Principal, Scope, TokenStore
from .....security.errors import TokenError, TokenExpired, TokenRevoked, TokenUnknown
from ..faults import INTERNAL, INVALID, NOT_FOUND, PERMISSION_DENIED, LuaError, invalid
from .access import current_runtime, is_allowed
from .arguments import metadata, required, required_id
from .time import parse_duration

EXPIRED: Final = "Expired"
REVOKED: Final = "Revoked"
OPTIONS: Final = ("expiration", "meta")

_KINDS: Final[tuple[tuple[type[TokenError], str], ...]] = (
    (TokenUnknown, NOT_FOUND),
    (TokenExpired, EXPIRED),
    (TokenRevoked, REVOKED),
    (TokenError, INVALID),
)


class Secret(str):
    """A token as policies see it: the text, which does not show when the metadata of a decision is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<a token>"


def _require(action: str, store: str, **meta: str) -> None:
    if not is_allowed(action, store, meta):
        raise invalid(f"not allowed: {action} on {store}")


# ---- stores ----------------------------------------------------------------------------------------------


def open_tokens(id_: Any = None) -> str:
    """Whether there is such a token store, and it may be used; its ID."""
    wanted = str(required_id(id_, "token store"))
    if not is_allowed("security.token_store.get", wanted):
        raise LuaError(
            f"not allowed: security.token_store.get on {wanted}", kind=PERMISSION_DENIED, retryable=False
        )
    _find(wanted)
    return wanted


def _find(id_: str) -> TokenStore:
    runtime = current_runtime()
    if runtime is None:
        raise LuaError("no runtime to have token stores of", kind=INTERNAL, retryable=False)
    found = runtime.token_stores.get(id_)
    if found is not None:
        return found
    entry = runtime.registry.get(id_)
    if entry is None:
        raise LuaError(f"there is no entry {id_}", kind=NOT_FOUND, retryable=False)
    raise invalid(f"not a token store: {id_} is a {entry.kind}")


# ---- tokens ----------------------------------------------------------------------------------------------


def create(id_: str, principal: Principal, scope: Scope, options: Any = None) -> str:
    """A new token."""
    given = _options(options)
    expiration, meta = _expiration(given.get("expiration")), metadata(given.get("meta"))
    _require("security.token.create", id_, actor=principal.id)
    with _faults():
        return _find(id_).create(principal, scope, expiration=expiration, meta=meta)


def validate(id_: str, token: Any = None) -> dict[str, Any]:
    """The actor and the scope that a token stands for."""
    text = _token(token)
    _require("security.token.validate", id_, token=text)
    with _faults():
        found = _find(id_).validate(text)
    return {
        "actor": {"id": found.principal.id, "meta": found.principal.meta},
        "scope": [str(policy.id) for policy in found.scope],
    }


def revoke(id_: str, token: Any = None) -> bool:
    """Take a token back."""
    text = _token(token)
    _require("security.token.revoke", id_, token=text)
    with _faults():
        _find(id_).revoke(text)
    return True


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except TokenError as error:
        kind = next(kind for cls, kind in _KINDS if isinstance(error, cls))
        raise LuaError(str(error), kind=kind, retryable=False) from error


# ---- arguments -------------------------------------------------------------------------------------------


def _token(given: Any) -> Secret:
    return Secret(required(given, "token"))


def _options(given: Any) -> Mapping[str, Any]:
    """A table of options. One that nobody knows is an error: a typo must not make a token last longer."""
    if given is None or given == []:
        return {}
    if not isinstance(given, dict):
        raise invalid("expected a table of options")
    for name in given:
        if name not in OPTIONS:
            raise invalid(f"unknown option {name}: known are {', '.join(OPTIONS)}")
    return given


def _expiration(given: Any) -> float | None:
    """Seconds of a duration, as a text or in milliseconds; None and 0 are the store's default."""
    if given is None:
        return None
    if isinstance(given, str):
        return parse_duration(given) / 1_000_000_000
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise invalid('expected an expiration such as "15m", or in milliseconds')
    return given / 1000
