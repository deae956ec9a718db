"""The module `store` and the kind `store.memory`: values by key, conditions, expiry, pages, and who may."""

import contextlib
import math
import textwrap
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors import Runtime
from noria.actors.functions.lua.faults import LuaError
from noria.actors.stores import MemoryStore
from noria.actors.stores.errors import KeyTaken, StoreFull, VersionChanged
from noria.registry import ConfigurationError


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(begin, clock):
    """Runs Lua with `s`, the store app:cache; each call is one function of one application."""

    def make(body: str, config: str = "", engine: str = "lua54"):
        runtime = begin(
            f"""
            namespace: app
            entries:
              - {{name: cache, kind: store.memory{config}}}
              - {{name: other, kind: store.memory}}
              - {{name: f, kind: function.lua, source: file://f.lua, modules: [store], engine: {engine}}}
            """,
            f__lua='local store = require("store")\nreturn function(...)\n'
            'local s = assert(store.get("app:cache"))\n' + textwrap.dedent(body) + "\nend\n",
        )
        runtime.stores["app:cache"]._clock = clock
        runtime.stores["app:cache"]._next_cleanup = clock() + 300
        return lambda *arguments: runtime.call("app:f", *arguments)

    return make


ENGINES = pytest.mark.parametrize("engine", ["lua54", "luajit"])


@ENGINES
def test_what_was_set_is_there_until_it_is_deleted(cache, engine):
    run = cache(
        """
        local before, missing = s:get("a")
        return {
          tostring(before), missing:kind(), tostring(missing:retryable()),
          s:set("a", { 1, "two", { three = 3.5 } }), (s:get("a")), s:has("a"),
          s:delete("a"), s:delete("a"), s:has("a"),
        }
        """,
        engine=engine,
    )

    assert run() == ["nil", "NotFound", "false", True, [1, "two", {"three": 3.5}], True, True, False, False]


def test_what_one_call_sets_another_one_gets_and_another_store_has_not(cache):
    run = cache("""
        local what = ...
        if what == "set" then return s:set("k", "v") end
        return { (s:get("k")), tostring(store.get("app:other"):get("k")) }
    """)

    assert run("set") is True
    assert run("get") == ["v", "nil"]


def test_a_value_is_a_copy_going_in_and_coming_out(cache):
    run = cache("""
        local mine = { list = { 1 } }
        s:set("k", mine)
        mine.list[1] = "changed after"
        local first = s:get("k")
        first.list[1] = "changed outside"
        return s:get("k")
    """)

    assert run() == {"list": [1]}


@pytest.mark.parametrize("value", ["false", "0", '""', "{}", '"\\255"', "1.5", "-9007199254740993"])
def test_every_value_but_nil_can_be_stored(cache, value):
    run = cache(f"""
        local value = {value}
        assert(s:set("k", value))
        local back, problem = s:get("k")
        return {{ type(value) == "table" and next(back) == nil or back == value, problem == nil }}
    """)

    assert run() == [True, True]


def test_values_survive_a_stop_and_a_start_of_their_runtime(begin):
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: cache, kind: store.memory, lifecycle: {auto_start: true}}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [store]}
        """,
        f__lua="""
        local store = require("store")
        return function(value)
          local s = store.get("app:cache")
          if value then return s:set("k", value) end
          return s:get("k")
        end
        """,
    )
    runtime.call("app:f", "kept")
    runtime.stop()
    runtime.start(20)

    assert runtime.call("app:f") == "kept"


# ---- expiry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ['s:set("k", 1, 10)', 's:put("k", 1, { ttl = 10 })'])
def test_a_value_is_gone_when_its_time_is_over(cache, clock, write):
    run = cache(
        f'if ... then return {write} end return {{ s:has("k"), #s:list().items, (s:entry("k") == nil) }}'
    )
    run("write")
    clock.now += 9.9

    assert run() == [True, 1, False]
    clock.now += 0.1
    assert run() == [False, 0, True]


def test_writing_again_without_a_time_keeps_for_ever(cache, clock):
    run = cache('if ... then s:set("k", 1, 10) return s:set("k", 2, 0) end return s:get("k")')
    run("write")
    clock.now += 1e9

    assert run() == 2


@pytest.mark.parametrize("ttl", ["-1", '"ten"', "0/0", "1/0", "true"])
@pytest.mark.parametrize("write", ['s:set("k", 1, {})', 's:put("k", 1, {{ ttl = {} }})'])
def test_a_time_to_live_is_a_number_from_zero(cache, write, ttl):
    shown = write.replace("{}", ttl).replace("{{", "{").replace("}}", "}")
    run = cache(f'local done, problem = {shown} return {{ tostring(done), problem:kind(), s:has("k") }}')

    assert run() == ["nil", "Invalid", False]


# ---- versions and conditions -----------------------------------------------------------------------------


@ENGINES
def test_each_write_has_a_version_of_its_own_also_after_a_deletion(cache, engine):
    run = cache(
        """
        local first = s:put("k", "a")
        local second = s:put("k", "b")
        s:delete("k")
        local third = s:put("k", "c")
        local read = s:entry("k")
        return { first, second.version > first.version, third.version > second.version,
                 read.version == third.version, read.key, read.value }
        """,
        engine=engine,
    )

    assert run() == [{"key": "k", "value": "a", "version": 1}, True, True, True, "k", "c"]


@ENGINES
def test_a_condition_that_does_not_hold_changes_nothing(cache, engine):
    run = cache(
        """
        local first = s:put("k", "a", { only_if_absent = true })
        local _, taken = s:put("k", "b", { only_if_absent = true })
        local second = s:put("k", "c", { if_version = first.version })
        local _, changed = s:put("k", "d", { if_version = first.version })
        local _, missing = s:put("nobody", "e", { if_version = first.version })
        return { taken:kind(), changed:kind(), missing:kind(), second.value, (s:get("k")), s:has("nobody") }
        """,
        engine=engine,
    )

    assert run() == ["AlreadyExists", "Conflict", "Conflict", "c", "c", False]


@pytest.mark.parametrize(
    "options",
    [
        "{ only_if_absent = true, if_version = 1 }",
        '{ if_version = "1" }',
        "{ if_version = 1.5 }",
        "{ only_if_absent = 1 }",
        "{ ifversion = 1 }",
        '"ttl"',
        "{ 10 }",
    ],
)
def test_options_that_make_no_sense_are_refused(cache, options):
    run = cache(f'local done, problem = s:put("k", 1, {options}) return {{ problem:kind(), s:has("k") }}')

    assert run() == ["Invalid", False]


def test_of_many_that_count_up_together_none_is_lost(begin):
    """Compare and set from eight threads, each with a Lua state of its own."""
    runtime = begin(
        """
        namespace: app
        entries:
          - {name: cache, kind: store.memory}
          - {name: f, kind: function.lua, source: file://f.lua, modules: [store]}
        """,
        f__lua="""
        local store = require("store")
        return function(times)
          local s = store.get("app:cache")
          s:put("n", 0, { only_if_absent = true })
          for _ = 1, times do
            repeat
              local entry = s:entry("n")
            until s:put("n", entry.value + 1, { if_version = entry.version })
          end
          return s:get("n")
        end
        """,
    )
    threads = [threading.Thread(target=runtime.call, args=("app:f", 50)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runtime.call("app:f", 0) == 400


# ---- keys, pages, what a store is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        's:get("")',
        "s:get()",
        "s:get(12)",
        's:set("", 1)',
        's:has("")',
        's:delete("")',
        's:entry("")',
        's:put("", 1)',
        's:get(":")',
        's:set("k")',
        's:put("k", nil)',
    ],
)
def test_a_key_and_a_value_are_required(cache, call):
    run = cache(f"local done, problem = {call} return {{ tostring(done), problem:kind() }}")

    assert run() == ["nil", "Invalid"]


def test_a_key_may_be_written_like_an_id_without_namespace(cache):
    assert cache('s:set(":a", 1) return { (s:get("a")), s:list().items[1].key }')() == [1, "a"]


@ENGINES
def test_a_list_goes_through_all_keys_in_order_page_by_page(cache, engine):
    run = cache(
        """
        for _, key in ipairs({ "b:2", "a:1", "b:10", "c", "b:1", "b:3" }) do s:set(key, key .. "!") end
        local seen, after = {}, nil
        repeat
          local page = s:list({ prefix = "b:", limit = 2, after = after })
          for _, item in ipairs(page.items) do seen[#seen + 1] = item.key .. item.value .. item.version end
          after = page.cursor
        until not page.has_more
        local all = s:list()
        return { seen, #all.items, all.has_more, tostring(all.cursor), #s:list({ after = "b:3" }).items }
        """,
        engine=engine,
    )

    assert run() == [["b:1b:1!5", "b:10b:10!3", "b:2b:2!1", "b:3b:3!6"], 6, False, "nil", 1]


@pytest.mark.parametrize(
    "options", ["{ limit = -1 }", "{ limit = 1001 }", "{ limit = 1.5 }", "{ prefix = 1 }", "{ from = 'a' }"]
)
def test_what_a_list_cannot_use_is_refused(cache, options):
    assert cache(f"local _, problem = s:list({options}) return problem:kind()")() == "Invalid"


def test_a_list_without_a_limit_has_a_hundred(cache):
    run = cache(
        'for i = 1, 150 do s:set("k" .. i, i) end return { #s:list().items, #s:list({ limit = 0 }).items }'
    )

    assert run() == [100, 100]


def test_a_store_says_what_it_can_do(cache):
    assert cache("return s:info()")() == {
        "id": "app:cache",
        "backend": "memory",
        "consistency": "strong",
        "durable": False,
        "list": True,
        "versioned": True,
        "conditional_put": True,
        "ttl": True,
    }


def test_a_released_store_refuses_everything_and_can_be_released_again(cache):
    run = cache("""
        local shown = tostring(s)
        local kinds = { s:release(), s:release(), shown, tostring(s) }
        for _, call in ipairs({
          function() return s:get("k") end, function() return s:set("k", 1) end, function() return s:has("k") end,
          function() return s:delete("k") end, function() return s:entry("k") end,
          function() return s:put("k", 1) end, function() return s:list() end, function() return s:info() end,
        }) do
          local done, problem = call()
          kinds[#kinds + 1] = tostring(done) .. " " .. problem:kind() .. " " .. tostring(problem)
        end
        return kinds
    """)

    assert (
        run()
        == [True, True, "store.Store{}", "store.Store{released}"] + ["nil Invalid store is released"] * 8
    )


@pytest.mark.parametrize(
    ("id_", "kind"),
    [("", "Invalid"), (None, "Invalid"), (7, "Invalid"), ("app:f", "Invalid"), ("app:nowhere", "Internal")],
)
def test_what_is_no_store_cannot_be_opened(cache, id_, kind):
    run = cache("local found, problem = store.get(...) return { tostring(found), problem:kind() }")

    assert run(id_) == ["nil", kind]


def test_a_method_needs_its_store(cache):
    with pytest.raises(LuaError, match="with a colon"):
        cache('return s.get("k")')()


def test_a_script_cannot_make_itself_a_store(cache):
    run = cache(
        "return { getmetatable(s), next(s) == nil, pcall(setmetatable, s, {}) == false, pcall(s.get, {}, 'k') == false }"
    )

    assert run() == ["store.Store", True, True, True]


# ---- how many --------------------------------------------------------------------------------------------


def test_a_full_store_takes_no_new_key_but_new_values_and_makes_room_of_what_expired(cache, clock):
    run = cache(
        """
        local key, ttl = ...
        local done, problem = s:set(key, key, ttl)
        return { tostring(done), problem and problem:kind(), problem and tostring(problem):sub(1, 13) }
        """,
        ", max_size: 2",
    )
    assert run("a", 10)[0] == run("b")[0] == "true"

    assert run("c") == ["nil", "Unavailable", "store is full"]
    assert run("b")[0] == "true"
    clock.now += 10
    assert run("c")[0] == "true"


def test_zero_is_the_default_size_as_in_wippy(begin):
    runtime = begin(
        "namespace: app\nentries:\n  - {name: s, kind: store.memory, max_size: 0, cleanup_interval: 0}\n"
    )
    store = runtime.stores["app:s"]

    for number in range(10_000):
        store.put(str(number), number)
    with pytest.raises(StoreFull) as caught:
        store.put("one more", 1)
    assert caught.value.retryable
    assert caught.value.max_size == 10_000


def test_what_nobody_asks_for_goes_with_the_first_use_after_the_cleanup_interval():
    clock = Clock()
    store = MemoryStore("app:s", 10, cleanup_interval=60, clock=clock)
    store.put("old", 1, ttl=1)
    store.put("young", 1, ttl=1000)
    clock.now += 59
    store.get("young")

    assert len(store) == 2
    clock.now += 1
    store.get("young")
    assert len(store) == 1


def test_python_has_the_same_stores_and_errors_with_their_fields(begin):
    runtime = begin("namespace: app\nentries:\n  - {name: s, kind: store.memory}\n")
    store = runtime.stores["app:s"]
    stored = store.put("k", "v", only_if_absent=True)

    with pytest.raises(KeyTaken) as taken:
        store.put("k", "w", only_if_absent=True)
    with pytest.raises(VersionChanged) as changed:
        store.put("k", "w", if_version=stored.version + 1)
    assert (taken.value.store, taken.value.key) == ("app:s", "k")
    assert (changed.value.expected, changed.value.found) == (2, 1)
    assert store.get("k") == stored


KEYS = st.sampled_from(["a", "ab", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.sampled_from([None, 1.0, 3.0]), st.booleans()),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("list"), st.sampled_from(["", "a"]), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 2.0, 70.0])),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_store_is_a_dictionary_whose_values_end(steps):
    """Against the simplest thing that could be right: everything that was ever written, and when it ends."""
    clock, model = Clock(), {}
    store = MemoryStore("app:s", 3, cleanup_interval=60, clock=clock)

    for number, (verb, *arguments) in enumerate(steps):
        model = {key: (value, ends) for key, (value, ends) in model.items() if ends > clock.now}
        match verb, *arguments:
            case "put", key, ttl, only_if_absent:
                if only_if_absent and key in model:
                    expected = KeyTaken
                elif key not in model and len(model) == 3:
                    expected = StoreFull
                else:
                    expected = None
                    model[key] = (number, math.inf if ttl is None else clock.now + ttl)
                with pytest.raises(expected) if expected else contextlib.nullcontext():
                    store.put(key, number, ttl=ttl, only_if_absent=only_if_absent)
            case "delete", key:
                assert store.delete(key) is (model.pop(key, None) is not None)
            case "get", key:
                found = store.get(key)
                assert (found and found.value) == (model[key][0] if key in model else None)
            case "list", prefix, limit:
                page = store.list(prefix=prefix, limit=limit)
                keys = sorted(key for key in model if key.startswith(prefix))
                assert [stored.key for stored in page.items] == keys[:limit]
                assert page.has_more is (len(keys) > limit)
            case "wait", seconds:
                clock.now += seconds
        assert len(store) <= 3


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("max_size: -1", "max_size"),
        ("cleanup_interval: soon", "cleanup_interval"),
        ("maxsize: 1", "max_size"),
        ("lifecycle: {security: {actor: {id: x}, policies: [nowhere]}}", "nowhere"),
    ],
)
def test_what_is_wrong_with_a_store_is_told(application_of, config, problem):
    with pytest.raises(ConfigurationError, match=problem):
        Runtime.load(
            application_of(f"namespace: app\nentries:\n  - {{name: s, kind: store.memory, {config}}}\n")
        )


# ---- who may ---------------------------------------------------------------------------------------------

GUARDED = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: cache, kind: store.memory}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [store]}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: f
    lifecycle: {security: {actor: {id: alice}, policies: [may, secrets]}}
  - name: may
    kind: security.policy
    policy:
      actions: [funcs.call, ACTIONS]
      resources: "*"
      effect: allow
  - name: secrets
    kind: security.policy
    policy:
      actions: "store.key.*"
      resources: "*"
      effect: deny
      conditions: [{field: meta.key, operator: eq, value: secret}]
"""


@pytest.fixture
def guarded(begin):
    """Runs Lua as a consumer that may do these actions and nothing else, and nothing with the key secret."""

    def make(body: str, *actions: str):
        runtime = begin(
            GUARDED.replace("ACTIONS", ", ".join(actions) or "nothing"),
            f__lua=f'local store = require("store")\nreturn function()\n{textwrap.dedent(body)}\nend\n',
        )
        runtime.stores["app:cache"].put("k", "v")
        with runtime.acting_as("app:c"):
            return runtime.call("app:f")

    return make


def test_opening_a_store_that_is_not_allowed_raises(guarded):
    ok, kind = guarded('local ok, problem = pcall(store.get, "app:cache") return { ok, problem:kind() }')

    assert (ok, kind) == (False, "PermissionDenied")


RAISING = {
    's:get("k")': "store.key.get",
    's:set("k", 1)': "store.key.set",
    's:has("k")': "store.key.has",
    's:delete("k")': "store.key.delete",
}
RETURNING = {
    's:entry("k")': "store.key.get",
    's:put("k", 1)': "store.key.set",
    "s:list()": "store.key.list",
    "s:info()": "store.info",
}


@pytest.mark.parametrize(("call", "action"), RAISING.items())
def test_a_verb_of_one_key_raises_when_it_is_not_allowed(guarded, call, action):
    body = f"""
        local s = store.get("app:cache")
        local ok, problem = pcall(function() return {call} end)
        return {{ ok, ok or problem:kind() }}
    """

    assert guarded(body, "store.get") == [False, "PermissionDenied"]
    assert guarded(body, "store.get", action) == [True, True]


@pytest.mark.parametrize(("call", "action"), RETURNING.items())
def test_the_other_verbs_return_that_they_are_not_allowed(guarded, call, action):
    body = f"""
        local found, problem = store.get("app:cache"){call[1:]}
        return {{ tostring(found):sub(1, 5), problem and problem:kind() or "none" }}
    """

    assert guarded(body, "store.get") == ["nil", "PermissionDenied"]
    assert guarded(body, "store.get", action) == ["table", "none"]


def test_policies_see_the_key_however_it_is_written(guarded):
    body = """
        local s = store.get("app:cache")
        local found = {}
        for _, key in ipairs({ "open", ":open", "secret", ":secret", "::secret" }) do
          found[#found + 1] = pcall(s.get, s, key)
        end
        return found
    """

    assert guarded(body, '"store.*"') == [True, True, False, False, False]
