"""What docs/security.md shows works as it says."""

import pathlib
import re

import pytest
import yaml

from noria.actors.entries import KINDS as ACTOR_KINDS
from noria.registry import load
from noria.security import KINDS, Guard, Policies, Principal
from noria.security.conditions import OPERATORS
from noria.security.context import CallContext, enter, leave
from noria.security.expression import Expression
from noria.security.expression_functions import FUNCTIONS, PREDICATES

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "security.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


APPLICATIONS = [block for block in blocks("yaml") if block.startswith("version:")]


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "handlers.py").write_text("def handler(body): ...\n")

    def load_block(text):
        (tmp_path / "app.yaml").write_text(text)
        return load(tmp_path, [*KINDS, *ACTOR_KINDS])

    return load_block


def test_every_yaml_block_is_an_application_or_the_settings():
    assert len(APPLICATIONS) == 5
    assert [yaml.safe_load(block) for block in blocks("yaml") if block not in APPLICATIONS] == [
        {"security": {"strict_mode": True}}
    ]


@pytest.mark.parametrize("text", APPLICATIONS, ids=lambda text: yaml.safe_load(text)["namespace"])
def test_an_application_of_the_page_loads(text, loaded):
    assert len(Policies.from_registry(loaded(text))) > 0


def application(namespace):
    return next(text for text in APPLICATIONS if yaml.safe_load(text)["namespace"] == namespace)


@pytest.mark.parametrize(
    ("headers", "outcome"), [({"tenant": "red"}, "allow"), ({"tenant": "blue"}, "deny"), ({}, "allow")]
)
def test_the_first_policy_does_what_the_page_says(loaded, headers, outcome):
    registry = loaded(application("shop"))
    block = registry["shop:billing"].config.lifecycle.security
    scope = Policies.from_registry(registry).scope_of(block, "shop")
    meta = {"message": {"headers": headers}}

    assert scope.evaluate(block.principal(), "funcs.call", "shop:bill", meta).outcome == outcome


def test_the_explanation_on_the_page_is_the_one_that_is_printed(loaded):
    registry = loaded(application("shop"))
    block = registry["shop:billing"].config.lifecycle.security
    scope = Policies.from_registry(registry).scope_of(block, "shop")

    for explanation in scope.explain(
        block.principal(), "funcs.call", "shop:bill", {"message": {"headers": {"tenant": "red"}}}
    ):
        assert f"    {explanation}\n" in PAGE


def test_an_unclassified_document_is_treated_as_confidential(loaded):
    policies = Policies.from_registry(loaded(application("archive")))
    [policy] = policies

    scope = policies.scope(policies=[policy.id])
    decisions = [
        scope.evaluate(Principal("a"), "store.key.get", "x", meta).outcome
        for meta in ({}, {"classification": "open"})
    ]

    assert decisions == ["deny", "undefined"]


@pytest.mark.parametrize("line", [line for block in blocks("expr") for line in block.splitlines()])
def test_an_expression_of_the_page_compiles(line):
    assert Expression(line).text == line


def test_every_operator_and_function_is_on_the_page():
    assert all(f"`{name}" in PAGE for name in (*OPERATORS, *FUNCTIONS, *PREDICATES))


def test_the_python_of_the_page_runs(capsys):
    _tokens, handler, audit, hot_path = blocks("python")
    spaces = {}
    exec(handler, spaces)
    exec(audit, spaces)
    guard = spaces["guard"]
    token = enter(CallContext(Principal("billing", {"limit": 10}), None, guard))

    assert spaces["bill"]({"total": 11, "id": "order-1"}) is None

    leave(token)
    exec(hot_path, {"guard": guard, "check": guard.prepare(None, None, "read", "x")})
    spaces["stop"]()
    assert "'deny'" in capsys.readouterr().out
    assert isinstance(guard, Guard)


def test_the_tokens_of_the_page_work(tmp_path, monkeypatch, capsys):
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "app.yaml").write_text(application("desk"))
    monkeypatch.chdir(tmp_path)
    code = blocks("python")[0]

    exec(code, {})

    [said] = re.findall(r"print\(error\)  # (.*)", code)
    assert capsys.readouterr().out == f"{said}\n"
