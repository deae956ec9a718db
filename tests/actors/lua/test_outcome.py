"""How a Lua handler ends, what its errors tell, and how long it may go on."""

import re
import textwrap
import time

import pytest

from noria.actors.calling import new_context
from noria.actors.events import MessageAcked, MessageDeadLettered, MessageFailed
from noria.actors.functions.lua.faults import LuaError, LuaLimit
from noria.security.context import enter, leave

CONSUMED = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory, redelivery: {initial_delay: 1h, max_delay: 1h}}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [queue, funcs]}
  - {name: worker, kind: queue.consumer, queue: tasks, func: f, lifecycle: {auto_start: true}}
"""

ACKED = {
    "nothing": "return",
    "nil": "return nil",
    "a value": "return 1",
    "true": "return true",
    "nil and nil": "return nil, nil",
    "nil and false": "return nil, false",
    "a value and no error": "return 1, nil",
    "a value and a number": "return 1, 2",
    "a value and true": "return 1, true",
    "a function, which nobody asked for": "return print",
    "a table in itself, likewise": "local t = {} t.t = t return t",
}
NACKED = {
    "an error": "return nil, 'no'",
    "an error and a value": "return 1, 'no'",
    "an error object": "return nil, errors.new('no')",
    "an error of its own kind": "return nil, { code = 'no' }",
    "false": "return false",
    "a raised text": "error('no')",
    "a raised object": "error(errors.new('no'))",
    "a raised table": "error({ code = 'no' })",
    "a module that is not listed": "require('js' .. 'on')",
    "a name that nobody defined": "undefined_function()",
}


@pytest.mark.parametrize("body", ACKED.values(), ids=ACKED)
def test_what_means_ack(begin, events, body):
    runtime = begin(CONSUMED, f__lua=f"return function()\n{body}\nend")
    endings = events(runtime, MessageAcked, MessageFailed)

    runtime.publish("app:tasks", {})

    assert type(endings.wait(1)[0]) is MessageAcked


@pytest.mark.parametrize("body", NACKED.values(), ids=NACKED)
def test_what_means_nack(begin, events, body):
    runtime = begin(CONSUMED, f__lua=f"return function()\n{body}\nend")
    endings = events(runtime, MessageAcked, MessageFailed)

    runtime.publish("app:tasks", {})

    assert type(endings.wait(1)[0]) is MessageFailed


def test_false_is_a_value_for_who_calls(lua):
    assert lua("return false")() is False


def test_a_message_that_the_handler_settled_stays_settled(begin, events):
    runtime = begin(
        CONSUMED,
        f__lua="""
        local queue = require("queue")
        return function()
          local message = queue.message()
          assert(message:ack())
          local again, err = message:nack()
          error(tostring(again) .. " " .. err:kind() .. " " .. err:message())
        end
        """,
    )
    failures = events(runtime, MessageFailed)

    runtime.publish("app:tasks", {})
    runtime.wait_idle(20)

    assert (failures.records, runtime.info("app:tasks")["message_count"]) == ([], 0)


SETTLING = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - name: tasks
    kind: queue.queue
    driver: memory
    redelivery: {initial_delay: 1h, max_delay: 1h}
    dead_letter: {queue: failed}
  - {name: failed, kind: queue.queue, driver: memory}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [queue, time]}
  - {name: g, kind: function.lua, source: file://f.lua, modules: [queue, time], engine: luajit}
  - {name: worker, kind: queue.consumer, queue: tasks, func: %s, lifecycle: {auto_start: true}}
"""
SETTLING_LUA = """
local queue, time = require("queue"), require("time")
return function()
  local message = queue.message()
  %s
  error("of no consequence")
end
"""
REJECTED = {
    "without a reason": ("message:reject()", "rejected by the handler"),
    "with a text": ("message:reject('bad address')", "bad address"),
    "with an error object": (
        "message:reject(errors.wrap(errors.new('no such street'), 'address'))",
        "address: no such street",
    ),
    "and settled only once": (
        "message:reject('first') local ok, err = message:reject('again') assert(ok == nil and err:kind() == 'Invalid')",
        "first",
    ),
    "and nothing else afterwards": ("message:reject('first') message:ack() message:nack('0')", "first"),
    "after a reason that is none": (
        "local ok, err = message:reject({}) assert(ok == nil) message:reject(err:message())",
        "expected a reason: a text or an error object",
    ),
}


@pytest.mark.parametrize("function", ["f", "g"])
@pytest.mark.parametrize(("body", "reason"), REJECTED.values(), ids=REJECTED)
def test_a_handler_rejects_its_message(begin, events, body, reason, function):
    runtime = begin(SETTLING % function, f__lua=SETTLING_LUA % body)
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", {})

    [letter] = dead.wait(1)
    assert (letter.reason, letter.error, letter.attempts) == ("rejected", reason, 1)
    assert letter.dead_letter_queue == "app:failed"


def test_a_rejected_message_says_why_in_its_headers(begin):
    runtime = begin(
        SETTLING % "f" + "  - {name: reader, kind: function.lua, source: file://r.lua, modules: [queue]}\n"
        "  - {name: told, kind: queue.queue, driver: memory}\n"
        "  - {name: looks, kind: queue.consumer, queue: failed, func: reader, lifecycle: {auto_start: true}}\n"
        "  - {name: keep, kind: function.lua, source: 'return function(b) told = told or b return told end'}\n",
        f__lua=SETTLING_LUA % "message:reject('bad address')",
        r__lua="""
        local queue = require("queue")
        return function()
          local message = queue.message()
          assert(message:header("x_dead_letter_reason") == "rejected")
          assert(message:header("x_dead_letter_error") == "bad address")
          assert(message:header("attempts") == 1)
          queue.publish("app:told", true)
        end
        """,
    )
    told = runtime.publish("app:tasks", {})
    assert told
    runtime.wait_idle(20)

    assert runtime.info("app:told")["message_count"] == 1


DELAYED = {
    "a text": ("'250ms'", 0.25),
    "days": ("'7d'", 604800.0),
    "nanoseconds": ("2 * time.SECOND", 2.0),
    "a Duration": ("(time.parse_duration('1h30m'))", 5400.0),
    "none": ("0", 0.0),
}


@pytest.mark.parametrize("function", ["f", "g"])
@pytest.mark.parametrize(("delay", "seconds"), DELAYED.values(), ids=DELAYED)
def test_a_handler_has_its_message_again_after_a_delay(begin, events, delay, seconds, function):
    runtime = begin(
        SETTLING % function,
        f__lua=SETTLING_LUA % f"if message:header('x') == nil then assert(message:nack({delay})) end",
    )
    failures = events(runtime, MessageFailed)

    runtime.publish("app:tasks", {})

    assert (failures.wait(1)[0].error, failures.records[0].delay) == ("nack by the handler", seconds)


@pytest.mark.parametrize("modules", ["queue, time", "queue"])
@pytest.mark.parametrize(
    "delay", ["5", "-1", "'-5s'", "'soon'", "true", "{}", "1/0", "0/0", "1e400", "errors.new('x')"]
)
def test_what_is_no_delay_is_refused_and_settles_nothing(begin, events, delay, modules):
    runtime = begin(
        SETTLING.replace("queue, time", modules) % "f",
        f__lua=f"""
        local queue = require("queue")
        return function()
          local message = queue.message()
          local ok, err = message:nack({delay})
          assert(ok == nil and err:kind() == "Invalid", tostring(err))
          message:reject(err:message())
        end
        """,
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", {})

    assert re.match("(expected a|invalid) (delay|duration)", dead.wait(1)[0].error)


def test_an_error_tells_its_file_its_line_and_the_way_there(lua):
    with pytest.raises(LuaError) as caught:
        lua("""
        local function inner() error("it broke") end
        local function outer() inner() return 1 end
        return outer() + 1
        """)()

    assert caught.value.place == "f.lua:3"
    assert caught.value.message == "it broke"
    assert caught.value.kind == "Internal"
    told = str(caught.value)
    assert told.startswith("f.lua:3: it broke\nstack traceback:\n")
    assert "f.lua:4: in " in told
    assert told.splitlines()[-1] == "\tf.lua:5: in function <f.lua:1>"
    assert "noria]" not in told


def test_an_error_object_keeps_its_fields_on_the_way_to_python(lua):
    with pytest.raises(LuaError) as caught:
        lua("""
        error(errors.new({ message = "taken", kind = errors.CONFLICT, retryable = true, details = { key = "k" } }))
        """)()

    error = caught.value
    assert (error.message, error.kind, error.retryable, error.details) == (
        "taken",
        "Conflict",
        True,
        {"key": "k"},
    )
    assert error.place == "f.lua:3"


def test_a_plain_table_as_an_error_tells_what_it_holds(lua):
    """Its address would be another one each time, and dead letters could not be grouped by it."""
    for body in ("error({ code = 3, message = 'no' })", "return nil, { code = 3, message = 'no' }"):
        with pytest.raises(LuaError) as caught:
            lua(body)()

        assert caught.value.message == '{"code": 3, "message": "no"}'
        assert caught.value.details == {"code": 3, "message": "no"}


def test_an_error_object_keeps_its_fields_from_function_to_function(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: outer, kind: function.lua, source: file://outer.lua, modules: [funcs]}
          - {name: inner, kind: function.lua, source: file://inner.lua}
        """,
        outer__lua="""
        return function()
          local value, err = require("funcs").call("app:inner")
          return { tostring(value), err:kind(), err:message(), err:retryable(), err:details().n, errors.is(err, "Timeout") }
        end
        """,
        inner__lua="""
        return function()
          return nil, errors.wrap(
            errors.new({ message = "late", kind = errors.TIMEOUT, retryable = true, details = { n = 1 } }), "inner")
        end
        """,
    )

    assert runtime.call("app:outer") == ["nil", "Timeout", "late", True, 1, True]


def test_a_script_that_fails_while_it_loads_fails_each_call(begin):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua}\n",
        f__lua="error('not today')\nreturn function() end",
    )

    for _ in range(2):
        with pytest.raises(LuaError, match=r"f\.lua:1: not today"):
            runtime.call("app:f")


@pytest.mark.parametrize(
    "body",
    [
        "while true do pcall(function() while true do end end) end",
        "local text = ('x'):rep(1e6) while true do local copy = text .. 'y' end",
    ],
    ids=["in many instructions", "in slow ones"],
)
def test_a_timeout_ends_lua_that_computes(begin, events, body):
    runtime = begin(
        textwrap.dedent(CONSUMED).replace("func: f,", "func: f, timeout: 50ms,"),
        f__lua=f"return function() {body} end",
    )
    failures = events(runtime, MessageFailed)

    runtime.publish("app:tasks", {})

    failures.wait(1)
    assert runtime.stop().unfinished == ()


def test_a_limit_says_where_the_script_was(lua):
    with pytest.raises(LuaLimit) as caught:
        lua("while true do end", "limits: {instructions: 100000}")()

    assert str(caught.value).startswith(
        "f.lua:2: the call was ended: it ran more than 100000 instructions (limits.instructions)"
    )


@pytest.mark.parametrize(("text", "returned"), [("3", "number"), ("{handler = 3}", "a table without it")])
def test_a_script_without_a_handler_says_what_it_returns(begin, text, returned):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua}\n",
        f__lua=f"return {text}",
    )

    with pytest.raises(LuaError, match=f"^method not found: handler; f.lua returns {returned}$"):
        runtime.call("app:f")


@pytest.mark.parametrize(
    ("is_late", "told"),
    [(True, "its time was up"), (False, "its consumer stops, or its caller has cancelled it")],
)
def test_a_call_that_is_ended_from_outside_says_why(begin, is_late, told):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua}\n",
        f__lua="return function() while true do end end",
    )
    context = new_context(runtime, None, None)
    context.deadline = time.monotonic() if is_late else None
    context.cancel()
    token = enter(context)
    try:
        with pytest.raises(LuaLimit, match=f"the call was ended: {told}"):
            runtime.call("app:f")
    finally:
        leave(token)


def test_a_method_is_looked_up_in_the_table_that_the_script_returns(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: one, kind: function.lua, source: file://f.lua, method: one}
          - {name: two, kind: function.lua, source: file://f.lua, method: two}
        """,
        f__lua="local M = {} function M.one() return 1 end function M.two(a, b) return a + b end return M",
    )

    assert (runtime.call("app:one"), runtime.call("app:two", 3, 4)) == (1, 7)


def test_state_is_kept_between_calls_of_one_thread(begin):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua}\n",
        f__lua="local count = 0 return function() count = count + 1 return count end",
    )

    assert [runtime.call("app:f") for _ in range(3)] == [1, 2, 3]


def test_a_function_that_calls_itself_gets_another_state(begin):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs]}\n",
        f__lua="""
        local funcs = require("funcs")
        return function(n) return n == 0 and 1 or n * assert(funcs.call("app:f", n - 1)) end
        """,
    )

    assert runtime.call("app:f", 5) == 120


def test_libraries_have_modules_and_imports_of_their_own(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: f, kind: function.lua, source: file://f.lua, imports: {help: first}}
          - {name: first, kind: library.lua, source: file://first.lua, modules: [json], imports: {help: second}}
          - {name: second, kind: library.lua, source: "return { word = 'second' }"}
        """,
        f__lua="""
        local help = require("help")
        return function() return { help.text, (pcall(require, "json")) } end
        """,
        first__lua="""
        local json = require("json")
        return { text = json.encode({ require("help").word }) }
        """,
    )

    assert runtime.call("app:f") == ['["second"]', False]
