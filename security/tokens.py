"""Token stores: who acts and what it may, kept under a text that whoever holds it can come back with.

    token = tokens.create(Principal("alice"), scope, expiration=3600)
    found = tokens.validate(token)
    found.principal, found.scope

Knows: how a token is written and signed, what is kept of it, and for how long it is good (`spec/security.md` 8). Must
not know: which stores there are, who may ask. The text of a token is a secret: it is in no error, no repr and no log.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs

from ..registry import EntryID, NoriaError, Registry
from .entries import TokenStoreConfig
from .errors import TokenExpired, TokenInvalid, TokenOutdated, TokenRefused, TokenRevoked, TokenUnknown
from .policies import Policies
from .principals import Meta, Principal, frozen_copy
from .scopes import Scope
from .token_records import TokenRecord, canonical, plain, revoked_record

log = logging.getLogger(__name__)

# So long after its end, a store can still tell a token that has expired from one that never was.
REMEMBERED: Final = 3600.0
# Texts drawn for one token before the store counts as used up; a second one is only needed where they are very short.
DRAWS: Final = 16
LONGEST: Final = 4096

_SHAPE: Final = re.compile(r"(?P<text>[A-Za-z0-9_-]+={0,2})(?:\.(?P<signature>[A-Za-z0-9_-]+={0,2}))?")


class Kept(Protocol):
    """A value in a key-value store."""

    @property
    def value(self) -> Any:
        """Plain data."""

    @property
    def expires(self) -> float:
        """When it is gone, on the store's monotonic clock."""


class KeyValueStore(Protocol):
    """What a token store needs of the store that it keeps its tokens in. Thread-safe; every verb is atomic."""

    def get(self, key: str, /) -> Kept | None:
        """What is there; None if nothing is, or it has expired."""

    def put(
        self, key: str, value: Any, /, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> object:
        """Store a value for some seconds; a NoriaError where it cannot."""


@attrs.frozen(kw_only=True)
class Token:
    """What a token that is good stands for.

    Attributes:
        principal: who acts with it.
        scope: the policies that it was made with, as they are now.
        created: when it was made, in seconds since 1970.
        expires: when it ends, likewise.
        meta: what was said about the token itself when it was made; read-only.
    """

    principal: Principal
    scope: Scope
    created: float
    expires: float
    meta: Mapping[str, Any] = attrs.field(converter=frozen_copy)


class TokenStore:
    """Makes tokens, tells what they stand for, takes them back. Thread-safe.

    A token ends by the wall clock, and also by the store's clock, which nobody can set back.

    Args:
        id: its registry ID, for errors.
        store: where tokens are kept.
        policies: the policies of now; asked each time, for they may be replaced.
        key: signs every token, and what is kept of it; None: neither is signed.
        token_length: random bytes of a token.
        default_expiration: seconds.
        clock: seconds since 1970.
        monotonic: the clock of `store`.
        random: draws so many bytes.
    """

    def __init__(  # noqa: PLR0913  (its settings, and three things that tests replace)
        self,
        id: str,  # noqa: A002  (every entry has one)
        store: KeyValueStore,
        *,
        policies: Callable[[], Policies],
        key: bytes | None = None,
        token_length: int = 32,
        default_expiration: float = 86_400.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.id = id
        self._store = store
        self._policies = policies
        self._key = key
        self._length = token_length
        self._default_expiration = default_expiration
        self._clock = clock
        self._monotonic = monotonic
        self._random = random

    def create(
        self,
        principal: Principal,
        scope: Scope,
        *,
        expiration: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        """A new token. It is shown once, here; the store cannot tell the signed text again.

        Args:
            principal: who will act with it.
            scope: the policies that it will be under; only their IDs are kept.
            expiration: seconds; None and 0: the default of this store; below 0: it has expired as it is made.
            meta: plain data about the token itself.

        Raises:
            TokenRefused: something cannot be kept: what is no plain data, a policy that is not declared.
            NoriaError: whatever the store under it raises, such as that it is full.
        """
        lasting = self._lasting(expiration)
        now = self._clock()
        record = TokenRecord(
            actor_id=principal.id,
            actor_meta=self._plain(principal.meta, "actor.meta"),
            scope_policies=self._declared(scope),
            deny_policies=[str(policy.id) for policy in scope if policy.effect == "deny"],
            created=now,
            expires=now + lasting,
            meta=self._plain(meta or {}, "meta"),
        )
        for _ in range(DRAWS):
            text = urlsafe_b64encode(self._random(self._length)).decode("ascii")
            if self._put_new(text, record, max(lasting, 0.0) + REMEMBERED):
                return text if self._key is None else f"{text}.{self._signature(self._key, text)}"
        raise self._refusal("every text that was drawn is a token already: raise token_length")

    def validate(self, token: str) -> Token:
        """What a token stands for.

        Raises:
            TokenInvalid: it is no token of this store, or its signature is wrong.
            TokenUnknown: there is no such token, or it ended long ago.
            TokenExpired, TokenRevoked: it was good once.
            TokenOutdated: it was made under a policy that denies, and that policy is not declared any more.
        """
        record = self._good(self._text_of(token))[0]
        return Token(
            principal=Principal(record.actor_id, record.actor_meta),
            scope=self._scope(record),
            created=record.created,
            expires=record.expires,
            meta=record.meta,
        )

    def revoke(self, token: str) -> None:
        """Take a token back: from now on it is good for nothing.

        Raises:
            TokenInvalid, TokenUnknown, TokenExpired, TokenRevoked: as for `validate`; there is nothing to take back.
        """
        text = self._text_of(token)
        record, left = self._good(text)
        self._store.put(text, revoked_record(self._clock(), record.expires), ttl=left)

    # ---- the text ------------------------------------------------------------------------------------

    def _text_of(self, token: str) -> str:
        """The part of a token that it is kept under; with a key, only if its signature is right."""
        # Everything is compared as text: base64 has several texts for the same bytes.
        found = _SHAPE.fullmatch(token) if isinstance(token, str) and len(token) <= LONGEST else None
        if found is None:
            raise TokenInvalid(self.id, "it does not look like one")
        text, signature = found["text"], found["signature"]
        if self._key is None:
            if signature is not None:
                raise TokenInvalid(self.id, "it is signed, and this store has no key (token_key)")
        elif signature is None:
            raise TokenInvalid(self.id, "it is not signed, and this store has a key (token_key)")
        elif not hmac.compare_digest(self._signature(self._key, text), signature):
            raise TokenInvalid(self.id, "its signature is wrong")
        return text

    @staticmethod
    def _signature(key: bytes, text: str) -> str:
        return urlsafe_b64encode(hmac.digest(key, text.encode("ascii"), "sha256")).decode("ascii")

    # ---- the record ----------------------------------------------------------------------------------

    def _put_new(self, text: str, record: TokenRecord, ttl: float) -> bool:
        """False when there is a token of this text, which must never get another's rights."""
        try:
            self._store.put(text, self._sealed(text, record), ttl=ttl, only_if_absent=True)
        except NoriaError:
            if self._store.get(text) is None:
                raise
            return False
        return True

    def _sealed(self, text: str, record: TokenRecord) -> dict[str, Any]:
        """What is stored: with a key, nobody else can write it, nor move it under another text."""
        data = record.as_data()
        if self._key is None:
            return data
        try:
            return {**data, "signature": self._seal(self._key, text, record)}
        except ValueError as error:
            raise self._refusal(str(error)) from None

    def _own(self, text: str, data: Any) -> TokenRecord | None:
        """The record of what is stored, if this store has written it; that a token was revoked, anybody may say."""
        record = TokenRecord.of(data)
        if record is None or self._key is None or record.revoked is not None:
            return record
        given = data.get("signature")
        try:
            expected = self._seal(self._key, text, record)
        except ValueError:
            return None
        is_own = isinstance(given, str) and given.isascii() and hmac.compare_digest(expected, given)
        return record if is_own else None

    def _seal(self, key: bytes, text: str, record: TokenRecord) -> str:
        # No token has a blank in it: so this is never the signature of one.
        return self._signature(key, f"{text} {canonical(record.as_data())}")

    def _good(self, text: str) -> tuple[TokenRecord, float]:
        """The record of a token that may be used, and the seconds that the store will still know of it."""
        kept = self._store.get(text)
        record = None if kept is None else self._own(text, kept.value)
        if kept is None or record is None:
            raise TokenUnknown(self.id)
        if record.revoked is not None:
            raise TokenRevoked(self.id, record.revoked)
        left = kept.expires - self._monotonic()
        if record.expires <= self._clock() or left <= REMEMBERED:
            raise TokenExpired(self.id, record.expires)
        return record, left

    def _scope(self, record: TokenRecord) -> Scope:
        policies = self._policies()
        vanished = [id_ for id_ in record.deny_policies if policies.get(EntryID.parse(id_)) is None]
        if vanished:
            # Without it the scope would allow more than it did when the token was made.
            raise TokenOutdated(self.id, tuple(vanished))
        found = (policies.get(EntryID.parse(id_)) for id_ in record.scope_policies)
        return Scope(policy for policy in found if policy is not None)

    def _declared(self, scope: Scope) -> list[str]:
        policies = self._policies()
        for policy in scope:
            if policies.get(policy.id) is None:
                raise self._refusal(f"the policy {policy.id} is not declared, and only IDs are kept")
        return [str(policy.id) for policy in scope]

    def _lasting(self, expiration: float | None) -> float:
        is_number = isinstance(expiration, int | float) and not isinstance(expiration, bool)
        # Compared, because `math.isfinite` stumbles over an integer that is no float.
        if expiration is not None and not (is_number and abs(expiration) <= sys.float_info.max):
            raise self._refusal("expected an expiration in seconds")
        return float(expiration) if expiration else self._default_expiration

    def _plain(self, value: Meta, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = plain(value, name)
        except ValueError as error:
            raise self._refusal(str(error)) from None
        return found

    def _refusal(self, problem: str) -> TokenRefused:
        return TokenRefused(self.id, problem)


def token_stores_of(
    registry: Registry, stores: Mapping[str, KeyValueStore], policies: Callable[[], Policies]
) -> Mapping[str, TokenStore]:
    """Every token store that is declared, by its ID.

    Args:
        registry: What is declared.
        stores: The key-value stores, by ID.
        policies: The policies of now.
    """
    return {
        str(entry.id): _token_store(str(entry.id), entry.config, stores, policies)
        for entry in registry
        if isinstance(entry.config, TokenStoreConfig)
    }


def _token_store(
    id_: str,
    config: TokenStoreConfig,
    stores: Mapping[str, KeyValueStore],
    policies: Callable[[], Policies],
) -> TokenStore:
    variable = config.token_key_env
    if variable is not None and variable not in os.environ:
        log.warning(
            "%s: the environment variable %s is not set; token_key signs tokens instead", id_, variable
        )
    return TokenStore(
        id_,
        stores[str(config.store)],
        policies=policies,
        key=config.key(),
        token_length=config.token_length,
        default_expiration=config.default_expiration,
    )
