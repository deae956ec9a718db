"""How many states there are, whose they are, and that none is left behind."""

import gc
import pickle
import threading
import weakref

import pytest

from noria.actors import Runtime
from noria.actors.functions.lua.faults import LuaError, LuaLimit
from noria.actors.functions.lua.state import LuaState
from noria.actors.functions.lua.values import Unplain

COUNTER = "local count = 0 return function() count = count + 1 return count end"
FUNCTION = "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua%s}\n"


@pytest.fixture
def made(monkeypatch):
    """Weak references to the Python functions that Lua states hold: they are gone when their state is."""
    held = []
    bridge = LuaState._bridge

    def watched(self, target):
        found = bridge(self, target)
        held.append(weakref.ref(found))
        return found

    monkeypatch.setattr(LuaState, "_bridge", watched)
    return held


def left(made):
    gc.collect()
    return sum(reference() is not None for reference in made)


def in_a_thread(target):
    found = []
    thread = threading.Thread(target=lambda: found.append(target()))
    thread.start()
    thread.join(20)
    return found[0]


def test_each_thread_has_a_state_of_its_own(begin):
    runtime = begin(FUNCTION % "", f__lua=COUNTER)

    assert [runtime.call("app:f"), runtime.call("app:f")] == [1, 2]
    assert in_a_thread(lambda: [runtime.call("app:f"), runtime.call("app:f")]) == [1, 2]
    assert runtime.call("app:f") == 3


def test_the_states_of_a_thread_end_with_it(begin, made):
    runtime = begin(FUNCTION % "", f__lua=COUNTER)

    in_a_thread(lambda: runtime.call("app:f"))

    assert made
    assert left(made) == 0


def test_a_state_that_reached_a_limit_is_let_go(begin, made):
    runtime = begin(
        FUNCTION % ", limits: {instructions: 50000}", f__lua="return function() while true do end end"
    )
    for _ in range(3):
        with pytest.raises(LuaLimit):
            runtime.call("app:f")

    assert left(made) == 0


def test_no_state_outlives_its_runtime(application_of, made):
    runtime = Runtime.load(application_of(FUNCTION % "", f__lua=COUNTER))
    with runtime:
        runtime.call("app:f")
        assert left(made) > 0

    assert left(made) == 0


def test_a_runtime_that_starts_again_has_new_states(application_of):
    runtime = Runtime.load(application_of(FUNCTION % "", f__lua=COUNTER))

    for _ in range(2):
        with runtime:
            assert [runtime.call("app:f"), runtime.call("app:f")] == [1, 2]


def test_what_is_no_error_goes_on_past_the_script(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs]}
          - {name: p, kind: function.python, source: file://p.py}
        """,
        f__lua="return function() while true do pcall(require('funcs').call, 'app:p') end end",
        p__py="def handler():\n    raise KeyboardInterrupt",
    )

    with pytest.raises(KeyboardInterrupt):
        runtime.call("app:f")


def test_a_function_that_calls_itself_for_ever_ends_with_an_error(begin):
    runtime = begin(
        FUNCTION % ", modules: [funcs]",
        f__lua="""
        local funcs = require("funcs")
        return function(n) return assert(funcs.call("app:f", n + 1)) end
        """,
    )

    with pytest.raises(LuaError):
        runtime.call("app:f", 0)


@pytest.mark.parametrize(
    "error", [LuaError("m", kind="Conflict", details={"a": 1}), LuaLimit("memory", 5), Unplain("a set", ".x")]
)
def test_errors_survive_pickle(error):
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)
