"""`funcs.async` and `funcs.new`: calls in other threads, and calls for somebody else."""

import inspect
import textwrap
import threading
from types import SimpleNamespace

import pytest

from noria.actors.events import MessageDeadLettered
from noria.actors.functions.lua.background import Background
from noria.actors.functions.lua.faults import LuaError

PATIENCE = 20

APPLICATION = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs, ctx, security, time], engine: ENGINE}
  - {name: other, kind: function.lua, source: file://other.lua, modules: [ctx, security], method: tell}
  - {name: endless, kind: function.lua, source: file://other.lua, modules: [ctx, security], method: endless, limits: {instructions: 0}}
  - {name: fails, kind: function.lua, source: file://other.lua, modules: [ctx, security], method: fails}
  - {name: nested, kind: function.lua, source: file://nested.lua, modules: [funcs]}
  - {name: double, kind: function.python, source: file://p.py, method: double}
  - {name: meet, kind: function.python, source: file://p.py, method: meet}
  - {name: hold, kind: function.python, source: file://p.py, method: hold}
  - {name: leave, kind: function.python, source: file://p.py, method: leave}
  - {name: secret, kind: function.python, source: file://p.py, method: double}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: f
    lifecycle:
      security: {actor: {id: alice}, policies: [may, no_secrets, own]}
  - {name: may, kind: security.policy, policy: {actions: "funcs.call", resources: "*", effect: allow}}
  - {name: no_secrets, kind: security.policy, policy: {actions: "*", resources: "app:secret", effect: deny}}
  - {name: own, kind: security.policy, policy: {actions: [ACTIONS], resources: "*", effect: allow}}
  - {name: all, kind: security.policy, groups: [everything], policy: {actions: "*", resources: "*", effect: allow}}
"""

OTHER = """
local ctx, security = require("ctx"), require("security")
return {
  tell = function(...)
    local actor, scope = security.actor(), security.scope()
    return { arguments = { ... }, values = ctx.all(), actor = actor and actor:id(), scope = scope and #scope:policies() }
  end,
  endless = function() while true do end end,
  fails = function() error(errors.new({ message = "gone", kind = errors.NOT_FOUND, retryable = true })) end,
}
"""

NESTED = """
local funcs = require("funcs")
return function(depth)
  if depth == 0 then return 1 end
  local left, right = funcs.async("app:nested", depth - 1), funcs.async("app:nested", depth - 1)
  return left:channel():receive():data() + right:channel():receive():data()
end
"""

PYTHON = """
import sys

from noria.actors import context

SHARED = None


def double(value):
    return value * 2


def meet(name):
    SHARED.barrier.wait(20)
    return name


def hold():
    SHARED.began.set()
    if not context().cancelled.wait(20):
        raise TimeoutError
    SHARED.cancelled.set()


def leave():
    sys.exit(3)
"""


@pytest.fixture(params=["lua54", "luajit"])
def application(begin, request):
    """Starts it with `app:f` as given; what Python functions wait for is in `.shared`."""

    def make(body: str, *actions: str):
        shown = ", ".join(f'"{action}"' for action in actions or ("funcs.*", "security.*"))
        runtime = begin(
            APPLICATION.replace("ACTIONS", shown).replace("ENGINE", request.param),
            f__lua='local funcs, time = require("funcs"), require("time")\n'
            f"return function(...)\n{textwrap.dedent(body)}\nend\n",
            other__lua=OTHER,
            nested__lua=NESTED,
            p__py=PYTHON,
        )
        shared = SimpleNamespace(
            barrier=threading.Barrier(2), began=threading.Event(), cancelled=threading.Event()
        )
        for name in ("meet", "hold"):
            _globals_of(runtime, name)["SHARED"] = shared
        return SimpleNamespace(runtime=runtime, shared=shared)

    return make


def _globals_of(runtime, name):
    return inspect.unwrap(runtime._function(f"app:{name}").call).__globals__


@pytest.fixture
def run(application):
    """What a body returns as the consumer, or as nobody."""

    def make(body: str, *actions: str, consumer: str | None = "app:c"):
        runtime = application(body, *actions).runtime
        if consumer is None:
            return runtime.call("app:f")
        with runtime.acting_as(consumer):
            return runtime.call("app:f")

    return make


# ---- futures ---------------------------------------------------------------------------------------------


def test_a_future_gives_its_value_at_its_channel(run):
    assert run("""
        local future = funcs.async("app:double", 21)
        local payload, ok = future:response():receive()
        local more, still = future:channel():receive()
        local result, err = future:result()
        local problem, failed = future:error()
        return { payload:data(), ok, tostring(more), still, result:data(), tostring(err), future:is_complete(),
                 future:is_canceled(), tostring(problem), failed, future:response() == future:channel() }
    """) == [42, True, "nil", False, 42, "nil", True, False, "nil", False, True]


def test_two_calls_run_at_the_same_time(run):
    """Each waits until the other one is there."""
    assert run("""
        local one, two = funcs.async("app:meet", "one"), funcs.async("app:meet", "two")
        return { one:channel():receive():data(), two:channel():receive():data() }
    """) == ["one", "two"]


def test_a_task_that_waits_for_a_future_lets_the_others_run(run):
    assert (
        run("""
        local found, done = nil, channel.new()
        coroutine.spawn(function()
          found = funcs.async("app:meet", "future"):channel():receive():data()
          done:send(true)
        end)
        coroutine.spawn(function() funcs.async("app:meet", "other") done:send(true) end)
        done:receive() done:receive()
        return found
    """)
        == "future"
    )


def test_what_fails_gives_its_error_at_the_channel(run):
    assert run("""
        local future = funcs.async("app:fails")
        local err, ok = future:channel():receive()
        local result, same = future:result()
        local problem, failed = future:error()
        local left = funcs.async("app:leave"):channel():receive()
        return { err:kind(), err:message(), err:retryable(), ok, tostring(result), same:kind(), problem:kind(), failed,
                 left:message() }
    """) == ["NotFound", "gone", True, True, "nil", "NotFound", "NotFound", True, "SystemExit: 3"]


def test_a_future_that_is_not_complete_says_so_until_it_is_canceled(application):
    app = application("""
        local future = funcs.async("app:hold")
        local early, nothing = future:result()
        local problem, failed = future:error()
        local before = future:is_complete()
        local cancelled, again = future:cancel(), future:cancel()
        local result, err = future:result()
        local received, ok = future:channel():receive()
        return { tostring(early), tostring(nothing), tostring(problem), failed, before, cancelled, again,
                 future:is_complete(), future:is_canceled(), tostring(result), err:kind(), received:kind(), ok }
    """)

    assert app.runtime.call("app:f") == [
        *("nil", "nil", "nil", False, False, True, False, True, True, "nil", "Canceled", "Canceled", True),
    ]
    assert app.shared.cancelled.wait(PATIENCE)


def test_a_canceled_call_of_lua_is_ended(application):
    """Its instructions are not limited: only the cancellation can end it, and stopping finds nothing that runs."""
    app = application("""
        for _ = 1, 20 do funcs.async("app:endless"):cancel() end
        return funcs.async("app:double", 1):channel():receive():data()
    """)

    assert app.runtime.call("app:f") == 2
    app.runtime.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "noria-lua-async"]


def test_calls_that_wait_for_calls_never_wait_for_a_thread(run):
    assert run("""return funcs.async("app:nested", 7):channel():receive():data()""") == 128


def test_a_call_goes_on_when_its_caller_has_returned_and_ends_with_the_runtime(application):
    app = application("""funcs.async("app:hold") return true""")

    assert app.runtime.call("app:f") is True
    assert app.shared.began.wait(PATIENCE)
    app.runtime.stop()

    assert app.shared.cancelled.is_set()


def test_a_call_is_cancelled_with_its_caller(begin):
    """The consumer's timeout ends the handler, which waits, and what it waits for."""
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: driver, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: driver, dead_letter: {queue: dead, max_attempts: 1}}
          - {name: dead, kind: queue.queue, driver: driver}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs]}
          - {name: hold, kind: function.python, source: file://p.py, method: hold}
          - name: consumer
            kind: queue.consumer
            queue: tasks
            func: f
            timeout: 200ms
            lifecycle: {auto_start: true}
        """,
        f__lua="return function() require('funcs').async('app:hold'):channel():receive() end",
        p__py=PYTHON,
    )
    shared = SimpleNamespace(began=threading.Event(), cancelled=threading.Event())
    _globals_of(runtime, "hold")["SHARED"] = shared
    dead = threading.Event()
    runtime.bus.subscribe(lambda _event: dead.set(), MessageDeadLettered)

    runtime.publish("app:tasks", {"id": 1})

    assert shared.cancelled.wait(PATIENCE)
    assert dead.wait(PATIENCE)


def test_a_pool_that_is_closed_lets_its_caller_do_the_work():
    pool, done = Background(), []
    pool.close()
    pool.close()

    pool.run(lambda: done.append(threading.current_thread()), lambda: None)

    assert done == [threading.current_thread()]


REFUSED = {
    'funcs.async("")': ("Invalid", "function ID required"),
    "funcs.async()": ("Invalid", "function ID required"),
    'funcs.async("double")': ("Invalid", "namespace required in function ID"),
    'funcs.async(":double")': ("Invalid", "namespace required in function ID"),
    'funcs.async("app:")': ("Invalid", "name required in function ID"),
    'funcs.async("app:secret", 1)': ("PermissionDenied", "not allowed: app:secret"),
    'funcs.call("app:secret", 1)': ("PermissionDenied", "not allowed: app:secret"),
    'funcs.new():async("app:secret", 1)': ("PermissionDenied", "not allowed: app:secret"),
    'funcs.new():call("app:secret", 1)': ("PermissionDenied", "not allowed: app:secret"),
    'funcs.new():call("double")': ("Invalid", "namespace required in function ID"),
    "funcs.new():with_context(1)": ("Invalid", "expected a table of values"),
    "funcs.new():with_options(1)": ("Invalid", "expected a table of options"),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_refused(run, call):
    assert run(f"local value, err = {call} return {{ value == nil, err:kind(), err:message() }}") == [
        True,
        *REFUSED[call],
    ]


def test_a_function_that_does_not_exist(run):
    assert run("""
        local future, err = funcs.async("app:dubble", 1)
        return { future == nil, err:kind(), err:message():find("app:double", 1, true) ~= nil }
    """) == [True, "NotFound", True]


# ---- executors -------------------------------------------------------------------------------------------


def test_an_executor_passes_values_actor_and_scope_on(run):
    assert run("""
        local security = require("security")
        local executor = funcs.new()
          :with_context({ tenant = "a", trace = { id = 1 } })
          :with_context({ tenant = "b" })
          :with_actor(security.new_actor("bob"))
          :with_scope(security.new_scope({ (security.policy("app:all")) }))
        local called = executor:call("app:other", 1, "two")
        local begun = executor:async("app:other"):channel():receive():data()
        return { called.values.tenant, called.values.trace.id, called.actor, called.scope, called.arguments[2],
                 begun.values.tenant, begun.actor, (funcs.call("app:other")).actor }
    """) == ["b", 1, "bob", 1, "two", "b", "bob", "alice"]


def test_values_are_inherited_and_explicit_ones_win(application):
    app = application("""
        if ... == "inner" then
          return funcs.new():with_context({ b = 3 }):call("app:other").values
        end
        return funcs.new():with_context({ a = 1, b = 2 }):call("app:f", "inner")
    """)

    assert app.runtime.call("app:f") == {"a": 1, "b": 3}


def test_an_executor_does_not_change(run):
    assert run("""
        local plain = funcs.new()
        local tenant = plain:with_context({ tenant = "a" })
        local more = tenant:with_context({ more = true }):with_options({ retry = { max_attempts = 2 } })
        local given = {}
        local later = plain:with_context(given)
        given.late = true
        local function count(executor)
          local found = 0
          for _ in pairs(executor:call("app:other").values) do found = found + 1 end
          return found
        end
        return { count(plain), count(tenant), count(more), count(later) }
    """) == [0, 1, 2, 0]


def test_a_call_is_authorised_for_the_scope_that_was_chosen(run):
    assert run("""
        local security = require("security")
        local none, err = funcs.new():with_scope(security.new_scope({})):call("app:double", 1)
        local _, later = funcs.new():with_scope(security.new_scope({})):async("app:double", 1)
        local scope = security.new_scope({ (security.policy("app:all")) })
        return { err:kind(), later:kind(), (funcs.new():with_scope(scope):call("app:secret", 2)) }
    """) == ["PermissionDenied", "PermissionDenied", 4]


def test_what_an_executor_may_not_do(run):
    """Its scope allows to make actors and scopes and to call, and not to choose for whom."""
    assert run(
        """
        local security = require("security")
        local function kind(_, err) return err:kind() .. ": " .. err:message() end
        return { kind(funcs.new():with_context({ a = 1 })), kind(funcs.new():with_actor(security.new_actor("x"))),
                 kind(funcs.new():with_scope(security.new_scope())), kind(funcs.new():with_options({ network = "n" })),
                 funcs.new():with_options({ other = 1 }):call("app:double", 1) }
        """,
        "security.*",
    ) == [
        "PermissionDenied: not allowed: funcs.context on context",
        "PermissionDenied: not allowed: funcs.security on security",
        "PermissionDenied: not allowed: funcs.security on security",
        "PermissionDenied: not allowed: network.select on n",
        2,
    ]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("funcs.new():with_actor(nil)", "expected a security.Actor"),
        ("funcs.new():with_actor({ id = 'forged' })", "expected a security.Actor"),
        ("funcs.new():with_scope(nil)", "expected a security.Scope"),
        ("funcs.new().call('app:double')", "call its methods with a colon"),
        ("funcs.async('app:double', 1).result()", "call its methods with a colon"),
    ],
)
def test_what_is_a_mistake_raises_where_it_stands(run, call, said):
    with pytest.raises(LuaError) as caught:
        run(f"local _ = {call}")

    assert said in caught.value.message
    assert caught.value.place == "f.lua:3"


def test_what_somebody_was_allowed_to_choose_is_no_right_of_whoever_comes_next(begin):
    """A script keeps its variables between calls for different principals."""
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: memory, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: memory}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [funcs, security]}
          - {name: who, kind: function.lua, source: file://who.lua, modules: [security]}
          - name: alice
            kind: queue.consumer
            queue: tasks
            func: f
            lifecycle: {security: {actor: {id: alice}, policies: [all]}}
          - name: mallory
            kind: queue.consumer
            queue: tasks
            func: f
            lifecycle: {security: {actor: {id: mallory}, policies: [call]}}
          - {name: all, kind: security.policy, policy: {actions: "*", resources: "*", effect: allow}}
          - {name: call, kind: security.policy, policy: {actions: "funcs.call", resources: "*", effect: allow}}
        """,
        f__lua="""
        local funcs, security = require("funcs"), require("security")
        local kept
        return function(how)
          kept = kept or {
            actor = funcs.new():with_actor(security.new_actor("root")),
            context = funcs.new():with_context({ admin = true }),
          }
          local value, err = kept[how]:call("app:who")
          local _, other = kept[how]:async("app:who")
          return { value or err:kind(), other and other:kind() }
        end
        """,
        who__lua="return function() return require('security').actor():id() end",
    )

    with runtime.acting_as("app:alice"):
        assert runtime.call("app:f", "actor") == ["root"]
    with runtime.acting_as("app:mallory"):
        for how in ("actor", "context"):
            assert runtime.call("app:f", how) == ["PermissionDenied"] * 2
