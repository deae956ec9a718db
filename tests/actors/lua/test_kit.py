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
