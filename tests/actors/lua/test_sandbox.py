"""Nothing leads out of a Lua state: what is absent, and every way out of lupa or past a hook that we know of."""

import re
import subprocess
import sys

import pytest

from noria.actors.functions.lua.faults import LuaError, LuaLimit
from noria.actors.functions.lua.state import LuaState

ENGINES = ("lua54", "luajit")

ABSENT = [
    "io",
    "package",
    "debug",
    "dofile",
    "loadfile",
    "load",
    "loadstring",
    "python",
    "newproxy",
    "getfenv",
    "setfenv",
    "module",
    "jit",
    "ffi",
    "warn",
    "gcinfo",
    "os.execute",
    "os.getenv",
    "os.exit",
    "os.remove",
    "os.rename",
    "os.tmpname",
    "os.setlocale",
    "string.dump",
    "subscribe",
    "process",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_could_reach_out_is_not_there(lua, engine):
    names = ", ".join(f'"{name}"' for name in ABSENT)
    found = lua(
        f"""
        local present = {{}}
        for _, path in ipairs({{{names}}}) do
          local value = _G
          for part in path:gmatch("[^.]+") do value = value and value[part] end
          if value ~= nil then present[#present + 1] = path end
        end
        return present
        """,
        f"engine: {engine}",
    )

    assert found() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_no_value_that_a_script_can_reach_is_a_python_object(lua, engine):
    """Every global, everything in tables, metatables and modules, and what functions give back when they fail."""
    found = lua(
        """
        local seen, bad = {}, {}
        local function look(value, path, depth)
          if type(value) == "userdata" then bad[#bad + 1] = path end
          depth = (depth or 0) + 1
          if depth > 8 or seen[value] or (type(value) ~= "table" and type(value) ~= "function") then return end
          seen[value] = true
          local metatable = getmetatable(value)
          if metatable then look(metatable, path .. "<meta>", depth) end
          if type(value) == "table" then
            for key, item in next, value do look(key, path .. "<key>", depth); look(item, path .. "." .. tostring(key), depth) end
          else
            for _, argument in ipairs({ false, "x", {} }) do
              local before = setmetatable
              if path ~= "_G.print" and not path:find("coroutine") and value ~= before then
                local ok, problem, more = pcall(value, argument)
                look(problem, path .. "()", depth); look(more, path .. "()2", depth)
              end
            end
          end
        end
        look(_G, "_G")
        for _, name in ipairs({ "json", "logger", "queue", "ctx", "funcs", "uuid", "env", "errors", "security", "store", "registry",
                                "time", "channel" }) do
          look(require(name), name)
        end
        local security, registry = require("security"), require("registry")
        look(security.new_actor("a"), "actor"); look(security.new_scope(), "scope")
        look(registry.snapshot(), "snapshot"); look(registry.history(), "history")
        look(registry.current_version(), "version"); look(registry.get("app:f"), "entry")
        return bad
        """,
        f"engine: {engine}",
        modules="json, logger, queue, ctx, funcs, uuid, env, security, store, registry, time",
    )

    assert found() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_metatables_of_strings_errors_and_globals_are_out_of_reach(lua, engine):
    found = lua(
        """
        return { tostring(getmetatable("")), getmetatable(errors.new("x")), tostring(getmetatable(_G)) }
        """,
        f"engine: {engine}",
    )

    assert found() == ["false", "error", "false"]


def test_two_functions_do_not_share_what_one_of_them_breaks(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: breaker, kind: function.lua, source: file://breaker.lua}
          - {name: other, kind: function.lua, source: file://other.lua}
        """,
        breaker__lua="string.upper = function() return 'broken' end\nreturn function() return ('x'):upper() end",
        other__lua="return function() return ('x'):upper() end",
    )

    assert (runtime.call("app:breaker"), runtime.call("app:other")) == ("broken", "X")


def test_an_error_of_python_is_an_error_object_of_lua_and_no_exception(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs]}
          - {name: p, kind: function.python, source: file://p.py}
        """,
        f__lua="""
        return function()
          local value, err = require("funcs").call("app:p")
          return { type(err), err:kind(), err:message(), tostring(err), tostring(err.__class__) }
        end
        """,
        p__py="def handler():\n    raise KeyError('boom')",
    )

    told = ["KeyError: 'boom'", "KeyError: 'boom' (p.py:2)"]  # where it was, but not in which folder
    assert runtime.call("app:f") == ["table", "Internal", *told, "nil"]


SPIN = "while true do end"
ENDLESS = {
    "a loop": SPIN,
    "inside pcall": f"while true do pcall(function() {SPIN} end) end",
    "inside xpcall": f"while true do xpcall(function() {SPIN} end, function() end) end",
    "in the handler of xpcall": f"xpcall(function() {SPIN} end, function() {SPIN} end)",
    "in the handler of another error": f"xpcall(function() error('x') end, function() {SPIN} end)",
    "in a coroutine": f"coroutine.wrap(function() {SPIN} end)()",
    "in a resumed coroutine": f"while true do coroutine.resume(coroutine.create(function() {SPIN} end)) end",
    "in coroutines of coroutines": """
        local function branch(depth)
          for _ = 1, 20 do coroutine.wrap(function() if depth > 0 then branch(depth - 1) end end)() end
        end
        branch(50)
    """,
    "in metamethods": f"local t = setmetatable({{}}, {{__index = function() {SPIN} end}}); return t.x",
    "in tostring": f"return tostring(setmetatable({{}}, {{__tostring = function() {SPIN} end}}))",
    "in a comparison": f"table.sort({{3, 2, 1}}, function() {SPIN} end)",
    "in a replacement": f"return ('x'):gsub('x', function() {SPIN} end)",
    "in the text of an error": f"error(setmetatable({{}}, {{__tostring = function() {SPIN} end}}))",
    "by recursion through pcall": "local function f() pcall(f); pcall(f) end f() while true do end",
}
ENDLESS_54 = {
    "while a variable is closed": f"""
        local x <close> = setmetatable({{}}, {{__close = function() {SPIN} end}})
        {SPIN}
    """,
    "while a coroutine's variable is closed": f"""
        coroutine.wrap(function()
          local x <close> = setmetatable({{}}, {{__close = function() {SPIN} end}})
          {SPIN}
        end)()
    """,
    "while a closed coroutine ends": f"""
        local co = coroutine.create(function()
          local x <close> = setmetatable({{}}, {{__close = function() {SPIN} end}})
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)
    """,
    "in a finalizer": f"setmetatable({{}}, {{__gc = function() {SPIN} end}}) collectgarbage() {SPIN}",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_ended(lua, body, engine):
    run = lua(body, f"engine: {engine}\nlimits: {{instructions: 3000000}}")

    with pytest.raises(LuaError) as caught:
        run()

    assert isinstance(caught.value, LuaLimit) or "error object is a table" in str(caught.value)


@pytest.mark.parametrize("body", ENDLESS_54.values(), ids=ENDLESS_54)
def test_what_never_ends_is_ended_in_ways_that_only_lua_54_has(lua, body):
    run = lua(body, "limits: {instructions: 3000000}")

    with pytest.raises(LuaError):
        run()


GREEDY = {
    "a long string": "return #string.rep('x', 1e9)",
    "a growing string": "local s = 'x' while true do s = s .. s end",
    "a growing table": "local t = {} while true do t[#t + 1] = {} end",
    "caught and tried again": "while true do pcall(string.rep, 'x', 1e9) end",
    "in a coroutine": "return coroutine.wrap(function() return string.rep('x', 1e9) end)()",
    "in small steps": "local t = {} for i = 1, 1e8 do t[i] = i end",
    "while a module is called": """
        local json, t = require("json"), {}
        while true do
          pcall(function() for i = 1, 1000 do t[#t + 1] = json.encode({ #t, string.rep("x", 1000) }) end end)
        end
    """,
    "by what a module gives back": """
        local json, t = require("json"), {}
        local text = "[" .. string.rep("[1],", 50000) .. "1]"
        while true do t[#t + 1] = json.decode(text) end
    """,
}


@pytest.mark.parametrize("body", GREEDY.values(), ids=GREEDY)
def test_who_wants_too_much_memory_gets_an_error_and_the_next_call_is_as_good_as_ever(lua, body):
    run = lua(
        f"if ... == 'well' then return 'well' end\n{body}",
        "limits: {memory: 8000000}",
        modules="json",
    )

    for _ in range(2):
        with pytest.raises(LuaLimit) as caught:
            run("greedy")
        assert caught.value.limit == "memory"
        assert run("well") == "well"


AT_THE_END = "(limits.memory), here or soon after\nstack traceback:\n\t"
PLACES = {
    "local t = {}\nwhile true do\n  t[#t + 1] = {}\nend": "f.lua:4: ",
    "local s, t = 'x', {}\nfor _ = 1, 60 do\n  s = s .. s\n  for i = 1, 10000 do t[i] = s end\nend": "f.lua:[45]: ",
    "local text = 'x'\ntext = text:rep(1e9)": "f.lua:3: ",
    "local t = {}\npcall(function()\n  while true do t[#t + 1] = {} end\nend)": "f.lua:4: ",
    "coroutine.wrap(function()\n  local t = {}\n  while true do t[#t + 1] = {} end\nend)()": "f.lua:4: ",
    "coroutine.spawn(function()\n  local t = {}\n  while true do t[#t + 1] = {} end\nend)\n"
    "channel.new():receive()": "f.lua:4: ",
}


@pytest.mark.parametrize("engine", ["lua54", "luajit"])
@pytest.mark.parametrize("body", PLACES)
def test_who_wants_too_much_memory_is_told_where(lua, body, engine):
    run = lua(body, f"engine: {engine}\nlimits: {{memory: 8000000}}")

    with pytest.raises(LuaLimit) as caught:
        run()
    text = str(caught.value)
    assert re.match(PLACES[body] + "the call was ended: it wanted more than 8000000 bytes of memory", text)
    assert f"{AT_THE_END}f.lua:" in text


@pytest.mark.parametrize("body", ["return (...) .. 'x'", "return string.rep(..., 2)"])
def test_where_no_line_can_be_known_the_function_is(lua, body):
    """It had too little memory from the start, or has ended with this call."""
    run = lua(body, "limits: {memory: 500000}")

    with pytest.raises(LuaLimit) as caught:
        run("x" * 1000000)
    assert str(caught.value) == (
        "f.lua: the call was ended: it wanted more than 500000 bytes of memory (limits.memory)\n"
        "stack traceback:\n\tf.lua: in function <f.lua:1>"
    )


def test_luajit_looks_at_its_memory_between_instructions(lua):
    run = lua("local t = {} while true do t[#t + 1] = {} end", "engine: luajit\nlimits: {memory: 8000000}")

    with pytest.raises(LuaLimit) as caught:
        run()
    assert caught.value.limit == "memory"


def test_a_value_that_would_be_written_out_without_end_is_ended_too(lua):
    """Each level names the one below twice: 2^60 tables for whoever writes them all out."""
    run = lua("local t = {1} for _ = 1, 60 do t = {t, t} end return t")

    with pytest.raises(LuaLimit):
        run()


def test_the_harmless_looking_calls_that_would_take_years_end(lua):
    run = lua("""
        local ok, problem = pcall(table.move, {}, 1, 1e15, 2)
        return { #string.rep("", 1e18), ok, (problem:gsub("^.-: ", "")) }
    """)

    assert run() == [0, False, "too many elements to move"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("trap", ["error('trapped')", SPIN])
def test_what_lupa_looks_up_itself_is_not_what_a_script_has_put_there(lua, engine, trap):
    """lupa reads the global `debug.traceback` before each call, unprotected: an error there would end the process."""
    run = lua(
        f"""
        debug = setmetatable({{}}, {{ __index = function() {trap} end }})
        python = debug
        setmetatable(_G, nil)
        return type(debug)
        """.replace("setmetatable(_G, nil)", "pcall(setmetatable, _G, debug)"),
        f"engine: {engine}\nlimits: {{instructions: 3000000}}",
    )

    assert [run(), run()] == ["table", "table"]


def test_a_signal_ends_lua_that_catches_everything(application_of):
    """Ctrl-C comes where Python begins to run, which is before any of our own `try`."""
    home = application_of(
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.lua, source: file://f.lua, limits: {instructions: 0}}\n",
        f__lua="return function() while true do pcall(function() while true do end end) end end",
        go__py="""
        import os, signal, sys, threading
        from noria.actors import Runtime
        with Runtime.load(sys.argv[1]) as runtime:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                runtime.call("app:f")
            except KeyboardInterrupt:
                print("interrupted")
        """,
    )

    done = subprocess.run(
        [sys.executable, home / "go.py", home], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_a_signal_that_comes_while_a_limit_is_set_ends_the_call_as_well(lua, monkeypatch, caplog):
    """Python sees it in whatever the sandbox calls first."""
    caplog.set_level("INFO")
    set_limit, signals = LuaState.set_limit, []

    def set_limit_and_see_signals(state):
        set_limit(state)
        if signals:
            raise signals.pop()

    monkeypatch.setattr(LuaState, "set_limit", set_limit_and_see_signals)
    run = lua("for _ = 1, 2e7 do end print('to the end')")
    run()
    assert "to the end" in caplog.text
    caplog.clear()
    signals.append(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        run()
    assert "to the end" not in caplog.text
