"""How scripts change the application: `snapshot:changes()`, versions and deltas of the module `registry`."""

import textwrap

import pytest

from noria.actors.events import MessageFailed

APPLICATION = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [registry], engine: ENGINE}
  - {name: g, kind: function.lua, source: file://g.lua}
  - {name: c, kind: queue.consumer, queue: tasks, func: f, lifecycle: {security: {actor: {id: anna}, policies: [may]}}}
  - name: may
    kind: security.policy
    policy: {actions: [funcs.call, ACTIONS], resources: "*", effect: allow}
"""
ENGINES = pytest.mark.parametrize("engine", ["lua54", "luajit"])
CREATE = """registry.snapshot():changes():create({
    id = "app:letters", kind = "queue.queue", meta = { team = "blue" },
    data = { driver = "memory", options = { max_length = 7 }, driver_options = {} },
})"""


@pytest.fixture
def application(begin):
    def make(body: str, *actions: str, engine: str = "lua54"):
        text = APPLICATION.replace("ACTIONS", ", ".join(actions or ["registry.*"])).replace("ENGINE", engine)
        script = f'local registry = require("registry")\nreturn function(...)\n{textwrap.dedent(body)}\nend\n'
        return begin(text, f__lua=script, g__lua="return function() return 1 end")

    return make


@pytest.fixture
def run(application):
    """Runs Lua as anna, who may change everything unless told otherwise."""

    def call(body: str, *actions: str, engine: str = "lua54"):
        runtime = application(body, *actions, engine=engine)
        with runtime.acting_as("app:c"):
            return runtime.call("app:f"), runtime

    return call


@ENGINES
def test_an_entry_is_created_and_runs(run, engine):
    found, runtime = run(
        f"""
        local version, problem = {CREATE}:apply()
        return {{ tostring(version), tostring(problem), registry.get("app:letters").meta.team, registry.current_version():id() }}
        """,
        engine=engine,
    )

    assert found == ["registry.Version{1}", "nil", "blue", 1]
    runtime.publish("app:letters", "x")
    assert runtime.info("app:letters")["ready"] == 1
    assert runtime.registry["app:letters"].config.options == {"max_length": 7}


def test_changes_are_chained_shown_and_counted(run):
    found, runtime = run(
        f"""
        local changes = {CREATE}
            :update({{ id = {{ ns = "app", name = "g" }}, data = {{ source = "return function() return 2 end" }} }})
            :delete("app:x"):delete({{ ns = "app", name = "y" }})
        local ops = changes:ops()
        return {{ tostring(changes), ops[1].kind, ops[1].entry.id, ops[2].kind, ops[2].entry.id, ops[3].kind, ops[4].entry.id }}
        """
    )

    assert found == [
        "registry.Changes{4}",
        *("entry.create", "app:letters", "entry.update", "app:g", "entry.delete", "app:y"),
    ]
    assert runtime.history.current.number == 0


def test_what_a_script_does_to_shown_operations_changes_nothing(run):
    found, runtime = run(
        f"""
        local changes = {CREATE}
        changes:ops()[1].entry.id = "app:other"
        changes:ops()[1].kind = "entry.delete"
        return changes:apply():id()
        """
    )

    assert found == 1
    assert runtime.registry.get("app:letters") is not None


def test_a_function_that_was_updated_answers_anew(run):
    _, runtime = run(
        """
        local source = "return function() return 2 end"
        assert(registry.snapshot():changes():update({ id = "app:g", kind = "function.lua", data = { source = source } }):apply())
        """
    )

    assert runtime.call("app:g") == 2


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ("", "Invalid", "no changes"),
        (':delete("app:nothing")', "Invalid", "there is no such entry"),
        (':create({ id = "app:x", kind = "queue.cue" })', "Invalid", "did you mean"),
        (':update({ id = "app:tasks", kind = "queue.consumer" })', "Invalid", "a queue.queue stays one"),
        (':delete("app:tasks")', "Invalid", "there is no entry"),
        (':update({ id = "app:f", data = { source = "return function(" } })', "Invalid", "expected"),
        (':update({ id = "app:c", data = { queue = "tasks", func = "g" } })', None, ""),
    ],
)
def test_what_is_wrong_with_changes_is_an_error_that_says_it(run, changes, kind, text):
    found, _ = run(
        f"""
        local version, problem = registry.snapshot():changes(){changes}:apply()
        if version then return {{}} end
        return {{ problem:kind(), tostring(problem), problem:retryable() }}
        """
    )

    assert found == [] if kind is None else (found[0] == kind and text in found[1] and found[2] is False)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("create('app:x')", "expected an entry"),
        ("create({ kind = 'queue.queue' })", "expected the ID of an entry"),
        ("create({ id = 'x', kind = 'queue.queue' })", "write namespace:name"),
        ("create({ id = 'app:x' })", "kind: expected text"),
        (
            "create({ id = 'app:x', kind = 'queue.queue', driver = 'memory' })",
            "its own fields belong into data",
        ),
        ("create({ id = 'app:x', kind = 'queue.queue', data = 7 })", "data: expected a table"),
        ("update({ id = 'app:x', kind = 7 })", "kind: expected text"),
        ("delete()", "expected the ID of an entry"),
        ("delete({ ns = 'app' })", "expected the ID of an entry"),
    ],
)
def test_what_is_no_entry_stops_the_script(run, call, text):
    found, _ = run(
        f"local ok, problem = pcall(function() return registry.snapshot():changes():{call} end) return {{ ok, tostring(problem) }}"
    )

    assert found[0] is False
    assert text in found[1]


def test_changes_that_were_made_for_another_version_are_refused(run):
    found, runtime = run(
        f"""
        local late = {CREATE}
        assert(registry.snapshot():changes():update({{ id = "app:g", data = {{ source = "return function() end" }} }}):apply())
        local version, problem = late:apply()
        return {{ tostring(version), problem:kind(), problem:retryable(), tostring(problem) }}
        """
    )

    assert found[:3] == ["nil", "Conflict", False]
    assert "version 0, and version 1 holds now" in found[3]
    assert runtime.registry.get("app:letters") is None


@ENGINES
def test_versions_know_where_they_come_from(run, engine):
    found, runtime = run(
        f"""
        local before = registry.current_version()
        local after = assert({CREATE}:apply())
        assert(registry.apply_version(before))
        local old, new = registry.history():snapshot_at(before), registry.snapshot_at(1)
        return {{
          before:next():id(), after:previous():id(), tostring(after:next()), #registry.versions(),
          registry.current_version():id(), tostring(registry.get("app:letters")), new:get("app:letters").kind,
          #new:entries() - #old:entries(), #new:find({{ ["meta.team"] = "blue" }}), #new:namespace("app"), tostring(new),
        }}
        """,
        engine=engine,
    )

    assert found == [1, 0, "nil", 2, 0, "nil", "queue.queue", 1, 1, 7, "registry.Snapshot{version=1}"]
    assert runtime.history.current.number == 0


def test_a_delta_leads_from_one_to_the_other(run):
    found, _ = run(
        f"""
        local before = registry.snapshot()
        assert({CREATE}:delete("app:c"):apply())
        local there, back = registry.build_delta(before, registry.current_version()), registry.build_delta(registry.snapshot(), before)
        local lists = registry.build_delta(
          {{ {{ id = "a:x", kind = "k", data = {{ n = 1 }} }}, {{ id = "a:y", kind = "k" }} }},
          {{ {{ id = "a:x", kind = "k", data = {{ n = 2 }} }}, {{ id = "a:y", kind = "other" }} }})
        local kinds = {{}}
        for _, ops in ipairs({{ there, back, lists }}) do
          for _, op in ipairs(ops) do kinds[#kinds + 1] = op.kind .. " " .. op.entry.id end
        end
        local _, problem = registry.build_delta(7, {{}})
        return {{ kinds, problem:kind(), #registry.build_delta(before, before) }}
        """
    )

    assert found == [
        [
            *("entry.delete app:c", "entry.create app:letters"),
            *("entry.delete app:letters", "entry.create app:c"),
            *("entry.delete a:y", "entry.update a:x", "entry.create a:y"),
        ],
        "Invalid",
        0,
    ]


@pytest.mark.parametrize("call", [f"{CREATE}:apply()", "registry.apply_version(registry.current_version())"])
def test_nobody_changes_anything_without_a_policy(run, application, call):
    body = f"local done, problem = {call} return {{ tostring(done), problem:kind() }}"
    refused = [["nil", "PermissionDenied"], ["false", "PermissionDenied"]]

    assert run(body, "registry.get")[0] in refused
    assert application(body).call("app:f") in refused  # as nobody in particular, who may do everything else


def test_a_handler_is_told_that_it_cannot_restart_itself(begin, probe):
    text = (
        APPLICATION.replace("ACTIONS", "registry.*")
        .replace("ENGINE", "lua54")
        .replace("lifecycle: {", "lifecycle: {auto_start: true, ")
    )
    script = """
    local registry = require("registry")
    return function(body)
      local version, problem = registry.snapshot():changes():delete("app:c"):apply()
      error(tostring(problem))
    end
    """
    runtime = begin(text, f__lua=textwrap.dedent(script), g__lua="return function() end")
    runtime.bus.subscribe(probe.record, MessageFailed)

    runtime.publish("app:tasks", "go")

    assert "cannot wait for its own end" in probe.wait(1)[0].error
