"""What all modules do in one way: they tell the script where it forgot a colon."""

import pytest

from noria.actors.functions.lua.faults import LuaError

MODULES = "funcs, registry, security, store, time"
FORGOTTEN = {
    "channel.new().receive()": "a channel",
    "funcs.new().call()": "a funcs.Executor",
    "registry.current_version().id()": "a registry.Version",
    "security.new_actor('x').id()": "a security.Actor",
    "security.new_scope().policies()": "a security.Scope",
    "store.get('app:cache').get('k')": "a store.Store",
    "store.get('app:cache').release()": "a store.Store",
    "time.now().year()": "a time.Time",
    "time.timer('1h').stop()": "a timer",
    "time.utc.string()": "a time.Location",
}


@pytest.mark.parametrize("engine", ["lua54", "luajit"])
@pytest.mark.parametrize(("call", "expected"), FORGOTTEN.items())
def test_who_forgets_a_colon_is_told_where(begin, engine, call, expected):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: cache, kind: store.memory}\n"
        f"  - {{name: f, kind: function.lua, source: file://f.lua, modules: [{MODULES}], engine: {engine}}}\n",
        f__lua="".join(f'local {name} = require("{name}")\n' for name in MODULES.split(", "))
        + f"return function()\nlocal _ = {call}\nend",
    )

    with pytest.raises(LuaError) as caught:
        runtime.call("app:f")

    assert caught.value.message == f"expected {expected}: call its methods with a colon"
    assert caught.value.place == "f.lua:7"


FORGING = """
local seen = {}
local spy = setmetatable({}, { __index = function(_, key) seen[#seen + 1] = tostring(key) end })
local forged = setmetatable({}, spy)
local real = channel.new()
local answers = {
  getmetatable(real),
  tostring(pcall(setmetatable, real, {})),
  tostring(pcall(setmetatable, {}, getmetatable(real))),
  tostring(next(real) == nil),
}
for _, object in ipairs({ forged, real, {}, "text", 1, print }) do
  answers[#answers + 1] = select(2, pcall(funcs.new().call, object)):match("expected a (.-):")
end
answers[#answers + 1] = #seen
return answers
"""


@pytest.mark.parametrize("engine", ["lua54", "luajit"])
def test_a_script_neither_forges_an_object_nor_sees_what_noria_keeps_of_it(lua, engine):
    run = lua("local funcs = require('funcs')\n" + FORGING, f"engine: {engine}", modules="funcs")

    assert run() == ["channel", "false", "false", "true", *["funcs.Executor"] * 6, 0]


@pytest.mark.parametrize("engine", ["lua54", "luajit"])
def test_what_is_no_longer_used_is_given_back(lua, engine):
    """LuaJIT took what stood in weak tables for something in use: after 6000 calls it held three times as much."""
    run = lua(
        """
        local funcs, most = require("funcs"), 0
        for _ = 1, 6000 do
          funcs.async("app:f", true):channel():receive()
          most = math.max(most, collectgarbage("count"))
        end
        return most
        """.replace("local funcs", "if ... then return { 1 } end local funcs", 1),
        f"engine: {engine}",
        modules="funcs",
    )

    assert run() < 1000
