"""Tasks of one call, and the channels between them."""

import re
import threading
from pathlib import Path

import pytest

from noria.actors.events import MessageAcked, MessageDeadLettered
from noria.actors.functions.lua.faults import LuaError, LuaLimit

ENGINES = ("lua54", "luajit")
PATIENCE = 20


@pytest.fixture(params=ENGINES)
def run(lua, request):
    """What a body returns, in both engines."""

    def make(body, options=""):
        return lua(body, f"engine: {request.param}\n{options}")()

    return make


def test_a_task_hands_values_to_the_main_function_through_a_channel(run):
    assert run("""
        local ch = channel.new()
        coroutine.spawn(function()
          for i = 1, 3 do ch:send(i * 10) end
          ch:close()
        end)
        local found = {}
        while true do
          local value, ok = ch:receive()
          if not ok then found[#found + 1] = tostring(value) break end
          found[#found + 1] = value
        end
        return found
    """) == [10, 20, 30, "nil"]


def test_a_buffer_takes_as_many_values_as_it_holds_before_anybody_receives(run):
    assert run("""
        local ch, sent = channel.new(2), 0
        coroutine.spawn(function() for i = 1, 5 do ch:send(i) sent = i end ch:close() end)
        local other = channel.new()
        coroutine.spawn(function() other:send("turn") end)
        other:receive()
        local before, sum = sent, 0
        for _ = 1, 5 do sum = sum + ch:receive() end
        return { before, sum, tostring(ch) }
    """) == [2, 15, "channel{0/2, closed}"]


def test_what_is_in_a_closed_channel_can_still_be_received(run):
    assert run("""
        local ch = channel.new(3)
        ch:send("a") ch:send(nil) ch:close() ch:close()
        local first, one = ch:receive()
        local second, two = ch:receive()
        local third, three = ch:receive()
        return { first, one, tostring(second), two, tostring(third), three }
    """) == ["a", True, "nil", True, "nil", False]


def test_sending_on_a_closed_channel_raises_also_for_who_waits_there(run):
    found = run("""
        local ch, problem = channel.new(), nil
        coroutine.spawn(function() local _, caught = pcall(ch.send, ch, 1) problem = caught end)
        coroutine.spawn(function() ch:close() end)
        local done = channel.new()
        coroutine.spawn(function() done:send(true) end)
        done:receive()
        while not problem do
          coroutine.spawn(function() done:send(true) end)
          done:receive()
        end
        return { problem, select(2, pcall(function() ch:send(2) end)) }
    """)

    assert ["send on a closed channel" in text for text in found] == [True, True]
    assert found[1].startswith("f.lua:")


def test_select_takes_what_is_possible_and_default_when_nothing_is(run):
    assert run("""
        local a, b, full = channel.new(1), channel.new(1), channel.new(1)
        full:send("x")
        local nothing = channel.select({ a:case_receive(), full:case_send("y"), default = true })
        b:send("found")
        local got = channel.select({ a:case_receive(), b:case_receive() })
        local sent = channel.select({ a:case_send("sent"), b:case_receive() })
        return { nothing.default, nothing.ok, nothing.channel == nil, got.channel == b, got.value, got.ok,
                 sent.channel == a, sent.value == nil, sent.ok, (a:receive()) }
    """) == [True, True, True, True, "found", True, True, True, True, "sent"]


def test_select_waits_for_the_first_of_several_and_leaves_the_others_alone(run):
    assert run("""
        local a, b = channel.new(), channel.new()
        coroutine.spawn(function() b:send("from b") end)
        local got = channel.select({ a:case_receive(), b:case_receive() })
        coroutine.spawn(function() a:send("from a") end)
        local value = a:receive()
        a:close()
        local over = channel.select({ a:case_receive() })
        return { got.value, value, over.ok, over.channel == a }
    """) == ["from b", "from a", False, True]


def test_no_channel_of_a_select_is_always_the_first_one_served(run):
    assert run("""
        local a, b, seen = channel.new(10), channel.new(10), {}
        for i = 1, 10 do a:send(i) b:send(i) end
        local from_b = 0
        for _ = 1, 10 do
          if channel.select({ a:case_receive(), b:case_receive() }).channel == b then from_b = from_b + 1 end
        end
        return from_b > 0 and from_b < 10
    """)


def test_when_the_main_function_returns_its_tasks_are_no_more(lua):
    run = lua("""
        seen = seen or {}
        local ch = channel.new()
        coroutine.spawn(function() seen[#seen + 1] = "one" ch:receive() seen[#seen + 1] = "never" end)
        coroutine.spawn(function() seen[#seen + 1] = "two" while true do coroutine.yield() end end)
        local done = channel.new()
        coroutine.spawn(function() done:send(true) end)
        done:receive()
        return #seen
    """)

    assert [run(), run()] == [2, 4]


def test_a_channel_outlives_its_call_and_who_waited_then_gets_nothing_now(lua):
    run = lua("""
        kept = kept or channel.new(1)
        if ... == "wait" then
          coroutine.spawn(function() kept:receive() end)
          local done = channel.new()
          coroutine.spawn(function() done:send(true) end)
          return done:receive()
        end
        kept:send("value")
        return (kept:receive())
    """)

    assert [run("wait"), run("send")] == [True, "value"]


@pytest.mark.parametrize(
    "catcher", ["ch:receive()", "pcall(ch.receive, ch)", "xpcall(ch.receive, print, ch)"]
)
def test_an_error_in_any_task_fails_the_call_and_nobody_can_catch_it(lua, catcher):
    run = lua(f"""
        if ... then return ... end
        local ch = channel.new()
        coroutine.spawn(function()
          error("from the task")
        end)
        {catcher}
        return "unharmed"
    """)

    with pytest.raises(LuaError) as caught:
        run()

    assert not isinstance(caught.value, LuaLimit)
    assert (caught.value.message, caught.value.place) == ("from the task", "f.lua:6")
    assert "f.lua:6" in caught.value.stack
    assert run("as good as ever") == "as good as ever"


def test_an_error_object_of_a_task_keeps_its_kind(run):
    with pytest.raises(LuaError) as caught:
        run("""
            coroutine.spawn(function() error(errors.new({ message = "gone", kind = errors.NOT_FOUND })) end)
            channel.new():receive()
        """)

    assert (caught.value.kind, caught.value.message) == ("NotFound", "gone")


DEADLOCKS = {
    "nobody sends": "channel.new():receive()",
    "nobody receives": "channel.new():send(1)",
    "a select": "local ch = channel.new() channel.select({ ch:case_receive(), ch:case_send(1) })",
    "all tasks wait": """
        local a, b = channel.new(), channel.new()
        coroutine.spawn(function() b:send(a:receive()) end)
        b:receive()
    """,
}


@pytest.mark.parametrize("body", DEADLOCKS.values(), ids=DEADLOCKS)
def test_a_deadlock_is_an_error(run, body):
    with pytest.raises(LuaError, match="deadlock: every task of this call waits"):
        run(body)


def test_who_catches_a_deadlock_may_go_on_and_loses_no_value(run):
    assert run("""
        local ch = channel.new(1)
        local ok, err = pcall(ch.receive, ch)
        ch:send("value")
        return { ok, err:kind(), (ch:receive()) }
    """) == [False, "Internal", "value"]


def test_a_task_waits_inside_its_own_coroutines_and_inside_pcall(run):
    assert run("""
        local ch, out = channel.new(), channel.new()
        coroutine.spawn(function()
          local each = coroutine.wrap(function()
            while true do
              local ok, value, more = pcall(ch.receive, ch)
              if not more then return nil end
              coroutine.yield(value * 2)
            end
          end)
          for value in each do out:send(value) end
          out:close()
        end)
        coroutine.spawn(function() for i = 1, 3 do ch:send(i) end ch:close() end)
        local sum, count = 0, 0
        while true do
          local value, ok = out:receive()
          if not ok then return { sum, count } end
          sum, count = sum + value, count + 1
        end
    """) == [12, 3]


def test_the_main_function_may_wait_anywhere_also_inside_a_coroutine_or_a_comparison(run):
    assert run("""
        local ch = channel.new()
        coroutine.spawn(function() for i = 1, 20 do ch:send(i) end ch:close() end)
        local inside = coroutine.wrap(function() coroutine.yield(ch:receive()) end)()
        local list = { 3, 1, 2 }
        table.sort(list, function(a, b) ch:receive() return a < b end)
        return { inside, list }
    """) == [1, [1, 2, 3]]


def test_a_spawned_task_that_cannot_wait_is_told_so(run):
    with pytest.raises(LuaError, match="cannot wait inside a function that C calls"):
        run("""
            local ch = channel.new()
            coroutine.spawn(function() table.sort({ 2, 1 }, function() ch:receive() end) end)
            channel.new():receive()
        """)


def test_a_plain_yield_of_a_task_gives_the_others_a_turn(run):
    assert run("""
        local order, done = {}, channel.new()
        for _, name in ipairs({ "a", "b" }) do
          coroutine.spawn(function()
            for i = 1, 2 do order[#order + 1] = name .. i coroutine.yield() end
            done:send(true)
          end)
        end
        done:receive() done:receive()
        return order
    """) == ["a1", "b1", "a2", "b2"]


def test_a_spawned_task_belongs_to_its_call(run):
    assert run("""
        local ch = channel.new()
        local thread = coroutine.spawn(function() ch:receive() end)
        local ok, problem = coroutine.resume(thread)
        return { type(thread), coroutine.status(thread), ok, problem }
    """) == ["thread", "suspended", False, "cannot resume a spawned task"]


def test_a_coroutine_that_waits_is_resumed_by_its_task_alone(lua):
    """Also in a later call: what it waited for is gone with the earlier one."""
    run = lua("""
        local done = channel.new()
        if kept then return select(2, coroutine.resume(kept)) end
        coroutine.spawn(function()
          kept = coroutine.create(function() channel.new():receive() end)
          coroutine.resume(kept)
        end)
        coroutine.spawn(function() done:send(select(2, coroutine.resume(kept))) end)
        return (done:receive())
    """)

    assert [run(), run()] == ["cannot resume a coroutine that waits"] * 2


WRONG = {
    "channel.new(-1)": "expected how many values",
    "channel.new(1.5)": "expected how many values",
    "channel.new('x')": "expected how many values",
    "channel.new(1e9)": "expected how many values",
    "channel.new().receive()": "call its methods with a colon",
    "channel.select()": "expected a table of cases",
    "channel.select({})": "at least one case",
    "channel.select({ channel.new() })": "expected ch:case_send",
    "coroutine.spawn(1)": "function expected",
}


@pytest.mark.parametrize("call", WRONG)
def test_what_a_channel_cannot_be_asked_is_an_error_where_it_was_asked(run, call):
    with pytest.raises(LuaError) as caught:
        run(f"local _ = {call}")

    assert WRONG[call] in caught.value.message
    assert caught.value.place == "f.lua:2"


SPIN = "while true do end"
ENDLESS = {
    "in a task": f"coroutine.spawn(function() {SPIN} end)",
    "in a task's pcall": f"coroutine.spawn(function() while true do pcall(function() {SPIN} end) end end)",
    "in a task's coroutine": f"coroutine.spawn(function() coroutine.wrap(function() {SPIN} end)() end)",
    "tasks without end": "local function f() coroutine.spawn(f) coroutine.spawn(f) end f()",
    "turns without end": "coroutine.spawn(function() while true do coroutine.yield() end end)",
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_limits_hold_in_every_task(run, body):
    with pytest.raises(LuaLimit) as caught:
        run(f"{body}\nchannel.new():receive()", "limits: {instructions: 3000000, memory: 30000000}")

    assert caught.value.limit in {"instructions", "memory"}


def test_a_call_that_waits_ends_when_it_is_cancelled(begin):
    """The handler waits for an hour; its consumer's timeout ends it, and its message goes on."""
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: driver, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: driver, dead_letter: {queue: dead, max_attempts: 1}}
          - {name: dead, kind: queue.queue, driver: driver}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [time]}
          - name: consumer
            kind: queue.consumer
            queue: tasks
            func: f
            timeout: 200ms
            lifecycle: {auto_start: true}
        """,
        f__lua="return function() require('time').sleep('1h') end",
    )
    dead = threading.Event()
    runtime.bus.subscribe(lambda _event: dead.set(), MessageDeadLettered)

    runtime.publish("app:tasks", {"id": 1})

    assert dead.wait(PATIENCE)


def test_a_call_that_waits_ends_when_its_runtime_stops(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: driver, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: driver}
          - {name: begun, kind: queue.queue, driver: driver}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [queue, time]}
          - {name: g, kind: function.python, source: file://g.py}
          - {name: consumer, kind: queue.consumer, queue: tasks, func: f, lifecycle: {auto_start: true, stop_timeout: 6s}}
          - {name: listener, kind: queue.consumer, queue: begun, func: g, lifecycle: {auto_start: true}}
        """,
        f__lua="""
            local time = require("time")
            return function()
              require("queue").publish("app:begun", 1)
              local never = time.after("1h")
              never:receive()
            end
        """,
        g__py="def handler(body):\n    return None",
    )
    begun = threading.Event()
    runtime.bus.subscribe(lambda event: event.queue == "app:begun" and begun.set(), MessageAcked)

    runtime.publish("app:tasks", {"id": 1})
    assert begun.wait(PATIENCE)
    report = runtime.stop()

    assert (report.unfinished, report.abandoned) == ((), ())


def test_what_ends_in_time_is_not_ended_by_a_stop(begin):
    """A message that is being handled when the application stops is done once, and not failed once."""
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: driver, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: driver}
          - {name: begun, kind: queue.queue, driver: driver}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [queue, time]}
          - {name: consumer, kind: queue.consumer, queue: tasks, func: f, lifecycle: {auto_start: true}}
        """,
        f__lua="""
            return function()
              require("queue").publish("app:begun", 1)
              require("time").sleep("300ms")
            end
        """,
    )
    runtime.publish("app:tasks", {"id": 1})
    while not runtime.info("app:begun")["ready"]:
        threading.Event().wait(0.01)

    report = runtime.stop()

    assert (report.finished, report.settled) == (1, 1)
    assert runtime.info("app:tasks")["message_count"] == 0


def test_the_example_of_the_page_runs(begin):
    page = (Path(__file__).parents[3] / "docs" / "lua.md").read_text(encoding="utf-8")
    [example] = re.findall(r"\n### channel\n.*?^```lua\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs, time]}
          - {name: left, kind: function.lua, source: file://g.lua}
          - {name: right, kind: function.lua, source: file://g.lua}
        """,
        f__lua="local funcs, time, seen = require('funcs'), require('time'), {}\nreturn function()\n"
        + example.replace("    if got", "    seen[#seen + 1] = got.value:data()\n    if got")
        + "\nreturn seen\nend\n",
        g__lua="return function() return 'here' end",
    )

    assert runtime.call("app:f") == ["here", "here"]
