"""noria call: one function, from the shell."""

import json

import pytest

HANDLERS = """
from noria.actors import Reject, context, publish

def add(a, b=1):
    return {"sum": a + b}

async def wait(value):
    return value

def forward(body):
    publish("app:tasks", body)
    return context().principal.id if context().principal else None

def fail():
    raise KeyError("nothing here")

def refuse():
    raise Reject("never")

def odd():
    return {1, 2}.__class__
"""
FUNCTIONS = "".join(
    f"  - {{name: {name}, kind: function.python, source: file://handlers.py, method: {name}}}\n"
    for name in ("add", "wait", "forward", "fail", "refuse", "odd")
)


@pytest.fixture
def app(application, policies, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "secret")
    return application(policies + FUNCTIONS, handlers=HANDLERS + "\ndef handler(body): pass\n")


def test_the_result_is_printed_as_json(noria, app):
    result = noria("call", app, "app:add", "2", "3")

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"sum": 5})
    assert json.loads(noria("call", app, "app:wait", '"later"').stdout) == "later"


def test_a_bare_name_is_enough_where_only_one_has_it(noria, app):
    assert json.loads(noria("call", app, "add", "2").stdout) == {"sum": 3}

    denied = noria("call", app, "add", "2", "--as", "worker")
    assert "may not funcs.call on 'app:add'" in denied.stderr
    assert "function not found: worker" in noria("call", app, "worker").stderr


def test_a_result_that_is_no_json_is_shown_as_python_shows_it(noria, app):
    assert noria("call", app, "app:odd").stdout == "<class 'set'>\n"


def test_what_the_function_raises_is_told_with_its_place(noria, app):
    result = noria("call", app, "app:fail")

    assert result.exit_code == 1
    assert "app:fail failed: KeyError: 'nothing here'" in result.stderr
    assert "handlers.py:" in result.stderr
    assert "never" in noria("call", app, "app:refuse").stderr


def test_an_unknown_function_names_the_nearest(noria, app):
    result = noria("call", app, "app:ad")

    assert result.exit_code == 1
    assert "function not found: app:ad, did you mean app:add?" in result.stderr


def test_arguments_are_json(noria, app):
    result = noria("call", app, "app:wait", "later")

    assert result.exit_code == 2
    assert """a text needs quotes inside quotes: '"later"'""" in result.stderr


def test_a_call_as_a_consumer_is_authorised_for_its_principal(noria, app):
    denied = noria("call", app, "app:add", "1", "--as", "app:worker")
    unknown = noria("call", app, "app:add", "1", "--as", "app:workr")

    assert denied.exit_code == 1
    assert "app:add" in denied.stderr
    assert "consumer not found: app:workr, did you mean app:worker?" in unknown.stderr


def test_a_function_can_publish_and_no_consumer_takes_it(noria, app):
    assert json.loads(noria("call", app, "app:forward", "1").stdout) is None
