"""noria call: one function, from the shell."""

import json

import pytest

HANDLERS = """
import asyncio
from noria.actors import Reject, context, publish

def add(a, b=1):
    return {"sum": a + b}

async def wait(value):
    return value

def forward(body):
    publish("app:tasks", body)
    return context().principal.id if context().principal else None

class Own(Exception):
    pass

def fail_alone():
    raise Own("mine")

def fail():
    raise KeyError("nothing here")

def refuse():
    raise Reject("never")

def odd():
    return {1, 2}.__class__

class Shy:
    def __repr__(self):
        raise RuntimeError

def show(what):
    return {"not a number": float("nan"), "half": "\\ud800", "shy": Shy()}[what]

async def end(how):
    raise {"exit": SystemExit(3), "cancel": asyncio.CancelledError()}[how]
"""
FUNCTIONS = "".join(
    f"  - {{name: {name}, kind: function.python, source: file://handlers.py, method: {name}}}\n"
    for name in ("add", "wait", "forward", "fail", "refuse", "odd", "show", "end", "fail_alone")
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
    assert "is a queue.consumer, not a function; it calls app:" in noria("call", app, "worker").stderr


def test_a_result_that_is_no_json_is_shown_as_python_shows_it(noria, app):
    assert noria("call", app, "app:odd").stdout == "<class 'set'>\n"


@pytest.mark.parametrize(
    ("what", "shown"),
    [("not a number", "nan\n"), ("half", '"\\ud800"\n'), ("shy", "<")],
)
def test_whatever_it_returns_can_be_shown(noria, app, what, shown):
    result = noria("call", app, "show", json.dumps(what))

    assert result.exit_code == 0
    assert result.stdout.startswith(shown)


@pytest.mark.parametrize(("how", "told"), [("exit", "SystemExit: 3"), ("cancel", "CancelledError")])
def test_a_function_that_ends_more_than_itself_has_failed(noria, app, how, told):
    result = noria("call", app, "end", json.dumps(how))

    assert result.exit_code == 1
    assert f"app:end failed: {told}" in result.stderr.replace("asyncio.exceptions.", "")


@pytest.mark.parametrize("argument", ["[" * 50_000, "NaN", "{'a': 1}"])
def test_an_argument_that_is_no_json_is_told_in_a_line(noria, app, argument):
    result = noria("call", app, "wait", argument)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: argument 1, " in result.stderr
    assert max(map(len, result.stderr.splitlines())) < 200


def test_what_the_function_raises_is_told_with_its_place(noria, app):
    result = noria("call", app, "app:fail")

    assert result.exit_code == 1
    assert "app:fail failed: KeyError: 'nothing here'" in result.stderr
    assert "(app/handlers.py:" in result.stderr
    assert "app:fail_alone failed: Own: mine" in noria("call", app, "fail_alone").stderr
    assert "app:refuse failed: Reject: never" in noria("call", app, "app:refuse").stderr


def test_an_unknown_function_names_the_nearest(noria, app):
    result = noria("call", app, "app:ad")

    assert result.exit_code == 2
    assert "function not found; did you mean app:add?" in result.stderr
    assert (
        "app:worker is a queue.consumer, not a function; it calls app:" in noria("call", app, "worker").stderr
    )


def test_arguments_are_json(noria, app):
    result = noria("call", app, "app:wait", "later")

    assert result.exit_code == 2
    assert """a text needs quotes inside quotes: '"later"'""" in result.stderr


def test_a_call_as_a_consumer_is_authorised_for_its_principal(noria, app):
    denied = noria("call", app, "app:add", "1", "--as", "app:worker")
    unknown = noria("call", app, "app:add", "1", "--as", "app:workr")

    assert denied.exit_code == 1
    assert "app:add" in denied.stderr
    assert unknown.exit_code == 2
    assert "consumer not found; did you mean app:worker?" in unknown.stderr


def test_a_function_can_publish_and_no_consumer_takes_it(noria, app):
    assert json.loads(noria("call", app, "app:forward", "1").stdout) is None


def test_what_a_function_logs_and_prints_in_lua_is_shown(run, application):
    script = """
        local logger = require("logger")
        return function(who)
          print("hello", who)
          logger.info("greeted", {who = who})
          logger.debug("not at this level")
        end
    """
    definition = """
namespace: app
entries:
  - {name: greet, kind: function.lua, source: file://greet.lua, modules: [logger]}
"""
    app = application(definition, **{"greet.lua": script})
    code, stdout, stderr = run("call", app, "greet", '"Ada"')

    assert (code, stdout) == (0, "null\n")
    [printed, logged] = stderr.splitlines()
    assert "info  hello\tAda" in printed
    assert "info  greeted  who=Ada location=app:greet:5" in logged

    (app / ".noria.yaml").write_text("logger: {format: json, level: debug}\n")
    lines = [json.loads(line) for line in run("call", app, "greet", '"Ada"')[2].splitlines()]
    assert [line["text"] for line in lines if line["logger"] == "noria.lua"][-1] == "not at this level"


def test_modules_of_the_application_are_found(run, application):
    definition = """
namespace: app
entries:
  - {name: mine, kind: function.python, module: my_functions}
"""
    app = application(definition, **{"my_functions.py": "def handler(number): return number + 1\n"})

    assert run("call", app, "mine", "1")[:2] == (0, "2\n")


def test_a_negative_number_is_an_argument_and_a_typo_is_none(noria, app):
    assert json.loads(noria("call", app, "add", "-1", "-0.5").stdout) == {"sum": -1.5}
    assert "No such option '--form'" in noria("call", app, "add", "1", "--form=x").stderr
