"""Token stores: what a token stands for, how long it is good, and everything that must not be accepted."""

import base64
import hashlib
import hmac
import re
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.stores import MemoryStore
from noria.actors.stores.errors import StoreFull
from noria.registry import EntryID, NoriaError
from noria.security import Policies, Policy, Principal, Scope, TokenStore
from noria.security.errors import (
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenOutdated,
    TokenRefused,
    TokenRevoked,
    TokenUnknown,
)
from noria.security.principals import frozen_copy
from noria.security.token_records import DEEPEST
from noria.security.tokens import REMEMBERED

ALICE = Principal("alice", {"role": "clerk", "teams": ["red", "blue"], "limits": {"day": 10}})
KEY = b"a key of some length"
START = 1_700_000_000.0


def policy(name, effect="allow", actions="*"):
    return Policy(EntryID("app", name), effect, actions, "*", None)


READ = policy("read", actions="doc.read")
WRITE = policy("write", actions="doc.write")
NOT_AT_NIGHT = policy("not_at_night", "deny", "doc.write")


class World:
    """A token store with clocks that only the test moves, and policies that it may replace."""

    def __init__(self, key=KEY, max_size=1000, **settings):
        self.wall, self.uptime = START, 50.0
        self.policies = Policies([READ, WRITE, NOT_AT_NIGHT], {})
        self.store = MemoryStore("app:kept", max_size, clock=lambda: self.uptime)
        self.tokens = self.token_store(key, **settings)

    def token_store(self, key, **settings):
        return TokenStore(
            "app:tokens",
            self.store,
            policies=lambda: self.policies,
            key=key,
            clock=lambda: self.wall,
            monotonic=lambda: self.uptime,
            **settings,
        )

    def create(self, *policies, **options):
        return self.tokens.create(ALICE, Scope(policies or (READ,)), **options)

    def passes(self, seconds):
        self.wall += seconds
        self.uptime += seconds


@pytest.fixture
def world():
    return World()


@pytest.fixture
def keyless():
    return World(key=None)


def text_of(token):
    return token.partition(".")[0]


# ---- what a token stands for -----------------------------------------------------------------------------


def test_a_token_stands_for_who_it_was_made_for_and_the_policies_of_its_scope(world):
    token = world.create(READ, WRITE, expiration=60, meta={"device": {"name": "phone", "tags": ["a"]}})
    found = world.tokens.validate(token)

    assert (found.principal, found.created, found.expires) == (ALICE, START, START + 60)
    assert found.principal.meta == ALICE.meta
    assert found.scope.policies() == (READ, WRITE)
    assert found.meta == {"device": {"name": "phone", "tags": ("a",)}}


def test_a_token_is_random_bytes_in_base64_and_its_signature_a_hash_of_that_text(world):
    token, signature = world.create().split(".")

    assert len(base64.urlsafe_b64decode(token)) == 32
    assert base64.urlsafe_b64decode(signature) == hmac.new(KEY, token.encode(), hashlib.sha256).digest()


def test_without_a_key_a_token_is_not_signed(keyless):
    token = keyless.create()

    assert len(base64.urlsafe_b64decode(token)) == 32
    assert keyless.tokens.validate(token).principal == ALICE


def test_token_length_is_the_number_of_random_bytes():
    assert len(base64.urlsafe_b64decode(World(key=None, token_length=7).create())) == 7


def test_what_is_kept_is_plain_data_with_ids_of_policies_and_without_the_signature_of_the_token(world):
    token = world.create(READ, NOT_AT_NIGHT, expiration=60, meta={"a": (1, None)})
    kept = dict(world.store.get(text_of(token)).value)

    assert kept.pop("signature") != token.partition(".")[2]
    assert kept == {
        "actor_id": "alice",
        "actor_meta": {"role": "clerk", "teams": ["red", "blue"], "limits": {"day": 10}},
        "scope_policies": ["app:not_at_night", "app:read"],
        "deny_policies": ["app:not_at_night"],
        "created": START,
        "expires": START + 60,
        "meta": {"a": [1, None]},
    }


def test_what_is_said_about_a_token_is_copied(world):
    meta = {"tags": ["a"]}
    token = world.create(meta=meta)
    meta["tags"].append("b")

    assert world.tokens.validate(token).meta == {"tags": ("a",)}


def test_a_scope_without_policies_stays_one_that_allows_nothing(world):
    found = world.tokens.validate(world.tokens.create(ALICE, Scope()))

    assert found.scope is not None
    assert not found.scope.evaluate(found.principal, "doc.read", "doc:1").allowed


# ---- policies of now -------------------------------------------------------------------------------------


def test_policies_are_those_of_now_also_when_they_were_replaced(world):
    token = world.create(READ)
    stricter = policy("read", "deny", "doc.*")
    world.policies = Policies([stricter], {})

    assert world.tokens.validate(token).scope.policies() == (stricter,)


def test_a_policy_that_allowed_and_is_gone_is_left_out(world):
    token = world.create(READ, WRITE)
    world.policies = Policies([READ], {})
    assert world.tokens.validate(token).scope.policies() == (READ,)

    world.policies = Policies([], {})
    left = world.tokens.validate(token).scope
    assert left.policies() == ()
    assert not left.evaluate(ALICE, "doc.read", "doc:1").allowed


def test_a_token_whose_denying_policy_is_gone_is_refused(world):
    token = world.create(WRITE, NOT_AT_NIGHT)
    before = world.policies
    world.policies = Policies([WRITE], {})

    with pytest.raises(TokenOutdated) as caught:
        world.tokens.validate(token)
    assert caught.value.policies == ("app:not_at_night",)
    assert str(caught.value).endswith("what is not declared now: app:not_at_night")

    world.policies = before
    assert world.tokens.validate(token).scope.policies() == (NOT_AT_NIGHT, WRITE)


def test_an_outdated_token_can_be_revoked(world):
    token = world.create(NOT_AT_NIGHT)
    world.policies = Policies([], {})
    world.tokens.revoke(token)

    with pytest.raises(TokenRevoked):
        world.tokens.validate(token)


def test_no_token_is_made_with_a_policy_that_is_not_declared(world):
    with pytest.raises(TokenRefused, match="the policy app:own is not declared"):
        world.create(READ, policy("own", "deny"))

    assert len(world.store) == 0


# ---- how long a token is good ----------------------------------------------------------------------------


@pytest.mark.parametrize("expiration", [None, 0, 0.0])
def test_without_an_expiration_the_default_counts(expiration):
    world = World(default_expiration=90.0)
    token = world.create(expiration=expiration)

    assert world.tokens.validate(token).expires == START + 90


def test_a_token_is_good_until_its_end_and_then_it_has_expired(world):
    token = world.create(expiration=60)
    world.passes(59.9)
    assert world.tokens.validate(token)

    world.passes(0.1)
    for verb in (world.tokens.validate, world.tokens.revoke):
        with pytest.raises(TokenExpired) as caught:
            verb(token)
        assert caught.value.expires == START + 60


@pytest.mark.parametrize("clock", ["wall", "uptime"])
def test_a_token_ends_by_the_wall_clock_and_by_the_clock_of_its_store(world, clock):
    token = world.create(expiration=60)
    setattr(world, clock, getattr(world, clock) + 60)

    with pytest.raises(TokenExpired):
        world.tokens.validate(token)


def test_setting_the_clock_back_does_not_bring_a_token_back(world):
    token = world.create(expiration=60)
    world.passes(60)
    world.wall -= 1_000_000

    with pytest.raises(TokenExpired):
        world.tokens.validate(token)


def test_long_after_its_end_a_token_is_forgotten(world):
    token = world.create(expiration=60)
    world.passes(60 + REMEMBERED - 1)
    with pytest.raises(TokenExpired):
        world.tokens.validate(token)

    world.passes(1)
    with pytest.raises(TokenUnknown):
        world.tokens.validate(token)


def test_a_negative_expiration_makes_a_token_that_has_expired_already(world):
    token = world.create(expiration=-5)

    with pytest.raises(TokenExpired) as caught:
        world.tokens.validate(token)
    assert caught.value.expires == START - 5


@pytest.mark.parametrize(
    "expiration", [float("inf"), float("-inf"), float("nan"), 10**400, -(10**400), "15m", True]
)
def test_an_expiration_that_is_no_time_is_refused(world, expiration):
    with pytest.raises(TokenRefused, match="expected an expiration in seconds"):
        world.create(expiration=expiration)


# ---- taking back -----------------------------------------------------------------------------------------


def test_a_revoked_token_is_told_from_one_that_never_was(world):
    token, other = world.create(expiration=60), world.create(expiration=60)
    world.passes(10)
    world.tokens.revoke(token)

    for verb in (world.tokens.validate, world.tokens.revoke):
        with pytest.raises(TokenRevoked) as caught:
            verb(token)
        assert caught.value.revoked == START + 10
    assert world.tokens.validate(other)


def test_of_a_revoked_token_nothing_is_kept_but_when_and_it_is_forgotten_when_it_would_have_been(world):
    token = world.create(expiration=60)
    world.passes(10)
    world.tokens.revoke(token)
    assert world.store.get(text_of(token)).value == {"revoked": START + 10, "expires": START + 60}

    world.passes(50 + REMEMBERED)
    with pytest.raises(TokenUnknown):
        world.tokens.validate(token)


def test_revoking_checks_the_signature(world):
    token = world.create()
    text, signature = token.split(".")
    other = World(key=b"another key").tokens

    for wrong in (text, f"{text}.{signature[::-1]}", f"{text}.{other._signature(b'another key', text)}"):
        with pytest.raises(TokenInvalid):
            world.tokens.revoke(wrong)
    assert world.tokens.validate(token)


def test_a_token_can_be_revoked_in_a_full_store():
    world = World(max_size=1)
    token = world.create()
    world.tokens.revoke(token)

    with pytest.raises(TokenRevoked):
        world.tokens.validate(token)


# ---- what is no good token -------------------------------------------------------------------------------

ALPHABET = st.sampled_from("ABCXYZabcxyz0189-_=.+/ \n\0é☃")


@given(position=st.integers(0, 88), put=ALPHABET)
def test_any_changed_character_of_token_or_signature_is_refused(position, put):
    world = World()
    token = world.create()
    at = position % len(token)
    changed = token[:at] + put + token[at + 1 :]
    if changed == token:
        return

    for verb in (world.tokens.validate, world.tokens.revoke):
        with pytest.raises(TokenInvalid):
            verb(changed)
    assert world.tokens.validate(token)


@given(position=st.integers(0, 43), put=ALPHABET)
def test_without_a_key_a_changed_token_is_none(position, put):
    world = World(key=None)
    token = world.create()
    changed = token[:position] + put + token[position + 1 :]
    if changed == token:
        return

    with pytest.raises((TokenInvalid, TokenUnknown)):
        world.tokens.validate(changed)


@pytest.mark.parametrize("key", [KEY, None])
@given(text=st.text() | st.binary() | st.none() | st.integers())
def test_nothing_else_is_a_token_and_nothing_else_is_raised(key, text):
    world = World(key=key)
    world.create()

    with pytest.raises((TokenInvalid, TokenUnknown)):
        world.tokens.validate(text)


@given(cut=st.integers(0, 88), more=st.text(max_size=3))
def test_a_part_of_a_token_or_more_than_it_is_refused(cut, more):
    world = World()
    token = world.create()

    for wrong in {token[: cut % len(token)], token[cut % len(token) :], token + more, more + token} - {token}:
        with pytest.raises(TokenInvalid):
            world.tokens.validate(wrong)


def test_other_texts_for_the_same_bytes_are_refused(world):
    text, signature = world.create().split(".")
    # The last letter before the padding has two bits that decoding ignores.
    alike = [
        signature[:-2] + letter + "="
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if base64.urlsafe_b64decode(signature[:-2] + letter + "=") == base64.urlsafe_b64decode(signature)
    ]

    assert len(alike) == 4
    for other in {*alike, signature.rstrip("="), f"{signature}="} - {signature}:
        with pytest.raises(TokenInvalid, match="its signature is wrong"):
            world.tokens.validate(f"{text}.{other}")


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "it does not look like one"),
        ("abcd.abcd.abcd", "it does not look like one"),
        (".abcd", "it does not look like one"),
        ("abcd.", "it does not look like one"),
        ("abcd\n", "it does not look like one"),
        ("a" * 5000, "it does not look like one"),
        ("abcd", "it is not signed, and this store has a key (token_key)"),
        ("abcd.abcd", "its signature is wrong"),
    ],
)
def test_what_is_wrong_with_a_token_is_told_without_the_token(world, token, problem):
    with pytest.raises(TokenInvalid) as caught:
        world.tokens.validate(token)

    assert str(caught.value) == f"app:tokens: the token is invalid: {problem}"
    assert caught.value.problem == problem


def test_a_signed_token_where_no_key_is_is_told_as_that(world):
    token = world.create()
    keyless = world.token_store(None)

    for verb in (keyless.validate, keyless.revoke):
        with pytest.raises(
            TokenInvalid, match=re.escape("it is signed, and this store has no key (token_key)")
        ):
            verb(token)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        5,
        [],
        {},
        {"actor_id": "root"},
        {"revoked": "yes", "expires": 5},
        {
            "actor_id": "root",
            "actor_meta": {},
            "scope_policies": ["no ID"],
            "deny_policies": [],
            "created": 1,
            "expires": 9e9,
            "meta": {},
        },
        {
            "actor_id": "root",
            "actor_meta": {},
            "scope_policies": [5],
            "deny_policies": [],
            "created": 1,
            "expires": 9e9,
            "meta": {},
        },
    ],
)
def test_what_somebody_else_has_put_into_the_store_is_no_token(keyless, value):
    keyless.store.put("abcd", value)

    with pytest.raises(TokenUnknown):
        keyless.tokens.validate("abcd")


# ---- who may write to the store under it -----------------------------------------------------------------


def test_with_a_key_what_is_kept_is_signed_and_what_is_changed_there_is_no_token(world):
    token = world.create(READ)
    kept = world.store.get(text_of(token)).value

    for changed in (
        {"actor_id": "root"},
        {"actor_meta": {**kept["actor_meta"], "role": "root"}},
        {"scope_policies": ["app:read", "app:write"]},
        {"scope_policies": []},
        {"expires": kept["expires"] + 1},
        {"created": kept["created"] - 1},
        {"meta": {"a": 1}},
        {"signature": None},
        {"signature": "é"},
        {"signature": token.partition(".")[2]},
        {"meta": {5: "no plain data"}},
        {"meta": {"digits": 10**5000}},
    ):
        world.store.put(text_of(token), {**kept, **changed})
        for verb in (world.tokens.validate, world.tokens.revoke):
            with pytest.raises(TokenUnknown):
                verb(token)

    world.store.put(text_of(token), kept, ttl=1e6)
    assert world.tokens.validate(token).principal == ALICE


def test_with_a_key_what_is_kept_of_a_token_is_good_for_no_other_one(world):
    mine, other = world.create(READ), world.create(WRITE)

    world.store.put(text_of(mine), world.store.get(text_of(other)).value, ttl=1e6)

    with pytest.raises(TokenUnknown):
        world.tokens.validate(mine)


def test_nobody_can_deny_a_policy_its_denial_in_what_is_kept(world):
    token = world.create(READ, NOT_AT_NIGHT)
    kept = world.store.get(text_of(token)).value

    world.store.put(text_of(token), {**kept, "scope_policies": ["app:read"], "deny_policies": []})

    with pytest.raises(TokenUnknown):
        world.tokens.validate(token)


@pytest.mark.parametrize(
    "meta",
    [
        {
            "text": "ñ\ud800",
            "bytes": b"\xff",
            "none": None,
            "bool": True,
            "list": [1, 1.5, float("inf"), float("nan")],
        },
        {"b": {"y": 1, "x": 2}, "a": [{}, []]},
    ],
)
def test_every_plain_data_can_be_signed_and_comes_back_in_any_order(world, meta):
    token = world.create(meta=meta)
    kept = world.store.get(text_of(token)).value

    world.store.put(text_of(token), dict(reversed(kept.items())), ttl=1e6)

    assert repr(world.tokens.validate(token).meta) == repr(frozen_copy(meta))


def test_what_cannot_be_signed_is_refused(world):
    with pytest.raises(TokenRefused):
        world.create(meta={"digits": 10**5000})


# ---- making tokens ---------------------------------------------------------------------------------------


def test_a_text_that_is_taken_is_never_given_again():
    drawn = iter([b"a", b"a", b"a", b"b"])
    world = World(key=None, random=lambda _length: next(drawn))

    first, second = world.create(), world.tokens.create(Principal("bob"), Scope())

    assert first != second
    assert world.tokens.validate(first).principal == ALICE


def test_when_every_text_is_taken_it_says_what_to_do():
    world = World(random=lambda _length: b"a")
    world.create()

    with pytest.raises(TokenRefused, match="raise token_length"):
        world.create()


def test_a_full_store_is_told_by_the_store_and_may_be_tried_again():
    world = World(max_size=1)
    world.create(expiration=1)

    with pytest.raises(StoreFull) as caught:
        world.create()
    assert caught.value.retryable

    world.passes(1 + REMEMBERED)
    assert world.create()


def _cycle():
    meta = {}
    meta["self"] = meta
    return meta


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"a": object()}, "expected plain data, and meta.a is of type object"),
        ({"a": [1, {2}]}, "expected plain data, and meta.a[1] is of type set"),
        ({"a": {5: "x"}}, "expected only texts as keys of meta.a"),
        (_cycle(), "levels deep"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_place(world, meta, problem):
    with pytest.raises(TokenRefused, match=re.escape(problem)):
        world.create(meta=meta)


def test_a_principal_with_what_is_no_plain_data_gets_no_token(world):
    with pytest.raises(TokenRefused, match=re.escape("actor.meta.key is of type object")):
        world.tokens.create(Principal("eve", {"key": object()}), Scope())


def test_data_may_be_deep_but_not_deeper(world):
    meta = {}
    for _ in range(DEEPEST - 1):
        meta = {"a": meta}

    assert world.create(meta=meta)


def test_threads_that_create_and_revoke_do_not_disturb_each_other(world):
    barrier, errors = Barrier(4), []

    def work():
        barrier.wait()
        try:
            for _ in range(50):
                token = world.create()
                world.tokens.validate(token)
                world.tokens.revoke(token)
        except NoriaError as error:
            errors.append(error)

    threads = [Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert errors == []
    assert len(world.store) == 200


# ---- secrets ---------------------------------------------------------------------------------------------


def test_no_error_and_no_repr_tells_a_token_or_a_key(world):
    token = world.create(expiration=60)
    told = [repr(world.tokens), repr(world.tokens.validate(token))]

    def refused(verb, given):
        with pytest.raises(TokenError) as caught:
            verb(given)
        error = caught.value
        assert not error.retryable
        told.append(f"{error!r} {error} {vars(error)} {error.__cause__!r} {error.__context__!r}")

    refused(world.tokens.validate, token[:-3])
    refused(world.token_store(None).validate, token)
    world.tokens.revoke(token)
    refused(world.tokens.validate, token)
    world.passes(60 + REMEMBERED)
    refused(world.tokens.validate, token)
    expired = world.create(expiration=-1)
    refused(world.tokens.validate, expired)

    for secret in (text_of(token), text_of(expired), KEY.decode()):
        assert secret not in " ".join(told)


def test_a_full_store_does_not_tell_the_token():
    world = World(max_size=1, random=lambda length: b"a" * length)
    with pytest.raises(TokenRefused) as caught:
        [world.create() for _ in range(2)]

    text = base64.urlsafe_b64encode(b"a" * 32).decode()
    assert text not in f"{caught.value} {caught.value.__context__} {caught.value.__cause__}"
