"""Token stores in definition files: what each field does, and what is refused where."""

import base64
import re
from pathlib import Path

import attrs
import pytest
import yaml

from noria.actors.entries import KINDS as ACTOR_KINDS
from noria.actors.stores import MemoryStore
from noria.registry import ConfigurationError, EntryID, load
from noria.registry.fields import BETWEEN
from noria.registry.values import parse_duration
from noria.security import KINDS, Policies, Principal, Scope, TokenStore, token_stores_of
from noria.security.entries import TokenStoreConfig

ALICE = Principal("alice")
PAGE = Path(__file__).parents[2] / "docs" / "security.md"

FILE = "namespace: app\nentries:\n  - {name: kept, kind: store.memory}\n  - name: tokens\n    kind: security.token_store\n"


@pytest.fixture
def loaded(tmp_path):
    def load_fields(*lines, store="kept", more="", environ=None):
        text = FILE + "".join(f"    {line}\n" for line in (f"store: {store}", *lines, more))
        (tmp_path / "app.yaml").write_text(text)
        return load(tmp_path, [*KINDS, *ACTOR_KINDS], environ=environ or {})

    return load_fields


def token_store_of(registry):
    stores = {"app:kept": MemoryStore("app:kept", 10)}
    policies = Policies.from_registry(registry)
    return token_stores_of(registry, stores, lambda: policies)["app:tokens"]


def is_signed_with(token, key):
    text, _, signature = token.partition(".")
    return signature == TokenStore._signature(key, text)


def test_what_is_left_out_has_its_default(loaded):
    registry = loaded()
    store = token_store_of(registry)
    token = store.create(ALICE, Scope())
    found = store.validate(token)

    assert "." not in token
    assert len(base64.urlsafe_b64decode(token)) == 32
    assert found.expires - found.created == 86_400
    assert registry["app:tokens"].dependencies == (EntryID("app", "kept"),)


def test_every_field_counts(loaded):
    registry = loaded(
        "token_length: 16", "default_expiration: 7d", "token_key: '${env:KEY}'", environ={"KEY": "k1"}
    )
    store = token_store_of(registry)
    token = store.create(ALICE, Scope())
    found = store.validate(token)

    assert is_signed_with(token, b"k1")
    assert len(base64.urlsafe_b64decode(token.partition(".")[0])) == 16
    assert found.expires - found.created == 604_800


def test_the_old_way_to_name_a_variable_goes_before_the_key(loaded, monkeypatch, caplog):
    monkeypatch.setenv("OLD_TOKEN_KEY", "k2")
    both = token_store_of(loaded("token_key: k1", "token_key_env: OLD_TOKEN_KEY"))
    alone = token_store_of(loaded("token_key_env: OLD_TOKEN_KEY"))
    assert is_signed_with(both.create(ALICE, Scope()), b"k2")
    assert is_signed_with(alone.create(ALICE, Scope()), b"k2")

    monkeypatch.delenv("OLD_TOKEN_KEY")
    other = token_store_of(loaded("token_key: k1", "token_key_env: OLD_TOKEN_KEY"))
    assert is_signed_with(other.create(ALICE, Scope()), b"k1")
    assert caplog.messages == [
        "app:tokens: the environment variable OLD_TOKEN_KEY is not set; token_key signs tokens instead"
    ]


def test_a_key_is_not_shown(loaded):
    registry = loaded("token_key: '${env:KEY}'", environ={"KEY": "very secret"})

    assert "very secret" not in repr(registry["app:tokens"]) + repr(registry["app:tokens"].config)


EMPTY = "expected a key, found an empty text; leave the field out for tokens without signature"
NO_STORE = 'expected an entry of kind store.memory, found "app:tokens", which is a security.token_store'
NO_TIME = (
    'expected a duration such as "1h30m", "250ms" or a number of seconds, of at least 0.001 seconds, found 0'
)
WRONG = {
    "store: nowhere": '6:12: app:tokens: store: there is no entry "app:nowhere"',
    "store: tokens": f"6:12: app:tokens: store: {NO_STORE}",
    "token_length: 0": "7:19: app:tokens: token_length: expected an integer from 1 to 1024, found 0",
    "default_expiration: 0": f"7:25: app:tokens: default_expiration: {NO_TIME}",
    "token_key: 918273": (
        "7:16: app:tokens: token_key: expected text, found a number, which is not shown; put it in quotes"
    ),
    "token_key: ''": f"7:16: app:tokens: token_key: {EMPTY}",
    "token_key: ${env:EMPTY}": "7:16: app:tokens: token_key: not valid: the value of ${env:EMPTY}",
    "token_key_env: NO_SUCH": "7:20: app:tokens: token_key_env: the environment variable NO_SUCH is not set",
    "token_key_env: EMPTY_ONE": "7:20: app:tokens: token_key_env: the environment variable EMPTY_ONE is empty",
    "token_kye: x": '7:5: app:tokens: token_kye: unknown field; did you mean "token_key"?',
}


@pytest.mark.parametrize(("line", "problem"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_with_a_token_store_is_told_at_its_place(loaded, monkeypatch, line, problem):
    monkeypatch.setenv("EMPTY_ONE", "")
    monkeypatch.delenv("NO_SUCH", raising=False)
    name, _, value = line.partition(": ")
    with pytest.raises(ConfigurationError) as caught:
        loaded(environ={"EMPTY": ""}, **({"store": value} if name == "store" else {"more": line}))

    [told] = caught.value.problems
    assert f"{told.line}:{told.column}: {told.message}" == problem


def test_every_field_is_on_the_page_with_its_default_and_limits():
    [table] = re.findall(
        r"^\| Field \| Type \| Default \| Limits \| Meaning \|\n\|.*\n((?:\|.*\n)+)",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    fields = attrs.fields(TokenStoreConfig)

    assert [row[0] for row in rows] == [field.name for field in fields]
    for (name, kind, default, limits, _), field in zip(rows, fields, strict=True):
        bounds = field.metadata.get(BETWEEN)
        if default == "required":
            assert field.default is attrs.NOTHING, name
        elif default == "none":
            assert field.default is None, name
        else:
            shown = parse_duration(default) if kind == "duration" else yaml.safe_load(default)
            assert shown == field.default, name
        if bounds is not None:
            low = "1 ms" if kind == "duration" else bounds.low
            assert limits == (f"at least {low}" if bounds.high is None else f"{low} to {bounds.high}"), name
