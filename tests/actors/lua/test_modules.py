"""The modules that scripts may require, each function with what it returns and how it refuses."""

import logging
import re

import pytest

from noria.actors.functions.lua.faults import LuaError

APP = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: other, kind: queue.queue, driver: memory}
  - name: f
    kind: function.lua
    source: file://f.lua
    modules: [queue, funcs, json, ctx, env, uuid, logger]
  - {name: p, kind: function.python, source: file://p.py}
"""
PYTHON = """
from noria.actors import Retry, call, context

def handler(*arguments):
    if arguments == ("retry",):
        raise Retry("later", delay=1)
    if arguments == ("call",):
        return call("app:f")
    return {"got": list(arguments), "values": dict(context().values)}
"""


@pytest.fixture
def run(begin):
    """Runs a body as `app:f`, in an application with two queues and a Python function."""

    def make(body, *arguments, more=""):
        runtime = begin(
            APP + more,
            f__lua='local queue, funcs, json = require("queue"), require("funcs"), require("json")\n'
            'local ctx, env, uuid = require("ctx"), require("env"), require("uuid")\n'
            f"return function(...)\n{body}\nend",
            p__py=PYTHON,
        )
        return runtime.call("app:f", *arguments)

    return make


def refusal(expression):
    return f"""
    local value, err = {expression}
    return {{ tostring(value), err:kind(), err:message(), tostring(err:retryable()) }}
    """


def test_publish_and_info(run):
    assert (
        run("""
        assert(queue.publish("app:tasks", { n = 1 }, { priority = 3, flag = true, list = {} }) == true)
        assert(queue.publish("app:tasks", nil))
        assert(queue.publish("app:tasks", false, "no table, no headers"))
        return queue.info("app:tasks").message_count
    """)
        == 3
    )


REFUSED = {
    "queue.publish()": ("Invalid", "queue ID required"),
    "queue.publish('', 1)": ("Invalid", "queue ID required"),
    "queue.publish('app:tasks')": ("Invalid", "message data required"),
    "queue.publish('app:tasks', {})": ("Invalid", "message data cannot be empty"),
    "queue.publish('app:task', 1)": (
        "Internal",
        "publish failed: queue not found: app:task, did you mean app:tasks?",
    ),
    "queue.publish('app:tasks', '\\255')": ("Internal", "publish failed: cannot publish to app:tasks: "),
    "queue.message()": ("Invalid", "no delivery found in context"),
    "queue.info('')": ("Invalid", "queue ID required"),
    "queue.info('app:task')": ("Internal", "queue not found: app:task, did you mean app:tasks?"),
    "funcs.call()": ("Invalid", "function ID required"),
    "funcs.call('p')": ("Invalid", "namespace required in function ID"),
    "funcs.call('app:')": ("Invalid", "name required in function ID"),
    "funcs.call('app:q')": ("NotFound", "function not found: app:q"),
    "json.decode(nil)": ("Invalid", "json.decode: expected a text, found nil"),
    "json.decode('')": ("Invalid", "json.decode: the text is empty"),
    "json.decode('{')": ("Internal", "json.decode: "),
    "json.encode('\\255')": ("Internal", "cannot encode: a string is not UTF-8"),
    "ctx.get('')": ("Invalid", "expected a key"),
    "ctx.get('nobody')": ("NotFound", "key not found: nobody"),
    "env.get('')": ("Invalid", "expected the name of a variable"),
    "env.get('NORIA_NOBODY')": ("NotFound", "variable not found: NORIA_NOBODY"),
    "uuid.parse('x')": ("Invalid", "not a UUID: x"),
    "uuid.v5('x', 'y')": ("Invalid", "not a UUID: x"),
    "uuid.format(uuid.v4(), 'long')": ("Invalid", "no format long: standard, simple or urn"),
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused_is_nil_and_an_error_of_its_kind(run, expression):
    kind, message = REFUSED[expression]

    found = run(refusal(expression))

    assert found[:2] == ["nil", kind]
    assert found[2].startswith(message)
    assert found[3] == "false"


def test_the_message_of_a_handler(begin, probe):
    runtime = begin(
        APP
        + "  - {name: c, kind: queue.consumer, queue: tasks, func: f, lifecycle: {auto_start: true}}\n"
        + "  - {name: d, kind: queue.consumer, queue: other, func: q, lifecycle: {auto_start: true}}\n"
        + "  - {name: q, kind: function.python, source: file://q.py}\n",
        f__lua="""
        local queue = require("queue")
        local before
        return function(body)
          local message = assert(queue.message())
          local headers = message:headers()
          local released = before and select(2, before:id()):message() .. " " .. tostring(before)
          before = message
          assert(queue.publish("app:other", {
            id = message:id(), kind = message:header("kind"), absent = tostring(message:header("absent")),
            same = headers.kind, text = tostring(message), released = released,
          }))
        end
        """,
        p__py=PYTHON,
        q__py="import probe\ndef handler(body):\n    probe.record(body)",
    )
    first = runtime.publish("app:tasks", 1, {"kind": "greeting"})
    probe.wait(1)
    runtime.publish("app:tasks", 2)

    one, two = probe.wait(2)

    assert one == {
        "id": first,
        "kind": "greeting",
        "absent": "nil",
        "same": "greeting",
        "text": f"queue.Message{{id={first}}}",
    }
    assert two["released"] == "queue.Message released queue.Message{released}"


def test_calls_go_both_ways_and_pass_plain_data(run):
    assert run("return funcs.call('app:p', 1, { 'x' })") == {"got": [1, ["x"]], "values": {}}


def test_python_calls_lua(begin):
    runtime = begin(APP, f__lua="return function() return 'from lua' end", p__py=PYTHON)

    assert runtime.call("app:p", "call") == "from lua"


def test_what_python_raises_tells_whether_to_try_again(run):
    assert run("local _, err = funcs.call('app:p', 'retry') return { err:message(), err:retryable() }") == [
        "later",
        True,
    ]


DENIED = """
  - {name: guarded, kind: function.lua, source: file://guarded.lua, modules: [funcs, queue]}
  - name: may_be_called
    kind: security.policy
    policy: {actions: funcs.call, resources: "app:guarded", effect: allow}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: guarded
    lifecycle: {auto_start: true, security: {actor: {id: worker}, policies: [may_be_called]}}
"""


def test_what_the_principal_may_not_do_is_denied(begin, caplog):
    caplog.set_level(logging.INFO, logger="noria.lua")
    runtime = begin(
        APP + DENIED,
        f__lua="return function() end",
        p__py=PYTHON,
        guarded__lua="""
        local funcs, queue = require("funcs"), require("queue")
        return function()
          for _, call in ipairs({
            function() return funcs.call("app:p") end,
            function() return queue.publish("app:other", 1) end,
            function() return queue.publish() end,
          }) do
            local value, err = call()
            print(tostring(value), err:kind(), err:message())
          end
        end
        """,
    )

    runtime.publish("app:tasks", 1)
    runtime.wait_idle(20)

    assert [record.getMessage() for record in caplog.records if record.name == "noria.lua"] == [
        "nil\tPermissionDenied\tnot allowed: app:p",
        "nil\tPermissionDenied\tnot allowed: app:other",
        "nil\tPermissionDenied\tnot allowed: queue.publish",
    ]


JSON = {
    "nil": "null",
    "{}": "[]",
    "{ 1, 2, { a = true } }": '[1,2,{"a":true}]',
    "1 / 0": "null",
    "0 / 0": "null",
    "1.0": "1.0",
    "'é'": '"é"',
}


@pytest.mark.parametrize("literal", JSON)
def test_json_writes(run, literal):
    assert run(f"return json.encode({literal})") == JSON[literal]


@pytest.mark.parametrize("literal", ["{ 1, nil, 3 }", "{ 1, a = 2 }", "print"])
def test_json_does_not_write_what_has_no_form_in_it(run, literal):
    found = run(refusal(f"json.encode({literal})"))

    assert found[0] == "nil"
    assert "cannot become plain data" in found[2]


def test_json_reads_and_leaves_alone_what_is_read_already(run):
    assert run("return { json.decode('{\"a\": [1, null, 2.5]}'), json.decode({ b = 1 }) }") == [
        {"a": [1, None, 2.5]},
        {"b": 1},
    ]


def test_the_logger_takes_a_dot_and_a_colon(begin, caplog):
    caplog.set_level(logging.DEBUG, logger="noria.lua")
    runtime = begin(
        APP,
        f__lua="""
        local logger = require("logger")
        return function()
          logger.info("dot", { n = 1, list = { 1, 2 }, f = print and nil })
          logger:warn("colon", { error = errors.new("bad") })
          logger:with({ a = 1 }):named("part"):error("with", { b = 2, [1] = "ignored" })
          logger.debug("%s is no format")
          print("two", nil, 2)
        end
        """,
        p__py=PYTHON,
    )

    runtime.call("app:f")

    found = [(r.levelname, r.getMessage(), r.fields) for r in caplog.records if r.name == "noria.lua"]
    assert found == [
        ("INFO", "dot", {"n": 1, "list": [1, 2], "location": "app:f:4"}),
        ("WARNING", "colon", {"error": "bad", "location": "app:f:5"}),
        ("ERROR", "with", {"a": 1, "b": 2, "named": "part", "location": "app:f:6"}),
        ("DEBUG", "%s is no format", {"location": "app:f:7"}),
        ("INFO", "two\tnil\t2", {"location": "app:f:8"}),
    ]


def test_what_cannot_be_logged_as_data_is_logged_as_text(run, caplog):
    caplog.set_level(logging.INFO, logger="noria.lua")
    run("local t = {} t.t = t require('logger').info('odd', { t = t, f = print, mixed = { 1, a = 2 } })")

    [record] = [record for record in caplog.records if record.name == "noria.lua"]
    assert re.match(r"(builtin: |)function: ", record.fields["f"])
    assert record.fields["mixed"] == {"1": 1, "a": 2}


def test_a_logger_needs_a_name(run):
    with pytest.raises(LuaError, match="name cannot be empty"):
        run("require('logger'):named('')")


def test_uuids(run):
    assert run("""
        local found = {}
        for _, version in ipairs({ "v1", "v4", "v7" }) do
          local id = uuid[version]()
          found[#found + 1] = uuid.version(id) .. uuid.variant(id) .. tostring(uuid.validate(id))
        end
        local dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        found[4], found[5] = uuid.v3(dns, "a"), uuid.v5(dns, "a")
        found[6], found[7] = uuid.format(dns, "simple"), uuid.format(dns, "urn")
        found[8] = tostring(uuid.validate("x")) .. tostring(uuid.parse(uuid.v7()).timestamp > 1e9)
        return found
    """) == [
        "1RFC4122true",
        "4RFC4122true",
        "7RFC4122true",
        "4c104dd0-4821-30d5-9ce3-0e7a1f8b7c0d",
        "4f3f2898-69e3-5a0d-820a-c4e87987dbce",
        "6ba7b8109dad11d180b400c04fd430c8",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "falsetrue",
    ]


def test_the_environment(run, monkeypatch):
    monkeypatch.setenv("NORIA_TEST", "one")
    monkeypatch.setenv("NORIA_SET", "")

    assert run("""
        assert(env.set("NORIA_SET", "two"))
        return { env.get("NORIA_TEST"), env.get("NORIA_SET"), env.get_all().NORIA_TEST }
    """) == ["one", "two", "one"]


def test_errors(run):
    assert run("""
        local cause = errors.new({ message = "gone", kind = errors.NOT_FOUND, retryable = false, details = { n = 1 } })
        local wrapped = errors.wrap(cause, "reading")
        local text = errors.wrap("plain", "reading")
        return {
          wrapped:message(), wrapped:kind(), wrapped:retryable(), wrapped:details().n, tostring(wrapped),
          text:kind(), tostring(text:retryable()), tostring(text),
          errors.is(wrapped, errors.NOT_FOUND), errors.is("gone", errors.NOT_FOUND), errors.new("x"):kind(),
          cause .. "!", "!" .. cause, tostring(errors.new({ message = "m", details = {} }):details()),
          errors.call_stack(cause).frames[1].line, errors.call_stack(cause).thread, errors.RATE_LIMITED,
        }
    """) == [
        *("gone", "NotFound", False, 1, "reading: gone", "", "nil", "reading: plain", True, False, ""),
        *("gone!", "!gone", "nil", 5, "main", "RateLimited"),
    ]


@pytest.mark.parametrize(
    "body", ["errors.new()", "errors.new({})", "errors.wrap({}, 'x')", "errors.new('x').kind()"]
)
def test_errors_are_made_of_a_message(run, body):
    with pytest.raises(LuaError, match="expected"):
        run(body)
