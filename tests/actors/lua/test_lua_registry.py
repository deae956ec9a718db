"""The module `registry`: entries as they are written, searches, the one version, and who may see what."""

import textwrap

import pytest

APPLICATION = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory, meta: {team: red, tags: [fast, small], size: 3}}
  - name: tasks
    kind: queue.queue
    meta: {team: blue, title: Tasks of today, release.date: late, release: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}
    driver: memory
    queue_name: "${env:SECRET_NAME|none}"
    options: {max_length: 5, message_ttl: 1h}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [registry], engine: ENGINE}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: f
    lifecycle: {security: {actor: {id: alice}, policies: [may, of_nothing]}}
  - name: may
    kind: security.policy
    policy: {actions: [funcs.call, ACTIONS], resources: ["app:f", "app:m*"], effect: allow}
  - name: of_nothing
    kind: security.policy
    policy: {actions: [ACTIONS], resources: "*", effect: allow, conditions: [{field: resource, operator: eq, value: ""}]}
"""


@pytest.fixture
def application(begin, monkeypatch):
    monkeypatch.setenv("SECRET_NAME", "hush")

    def make(body: str, *actions: str, engine: str = "lua54"):
        return begin(
            APPLICATION.replace("ACTIONS", ", ".join(actions) or "nothing").replace("ENGINE", engine),
            f__lua=f'local registry = require("registry")\nreturn function(...)\n{textwrap.dedent(body)}\nend\n',
        )

    return make


@pytest.fixture
def call(application):
    """Runs Lua as nobody in particular, who may see everything."""

    def run(body: str, *arguments, engine: str = "lua54"):
        return application(body, engine=engine).call("app:f", *arguments)

    return run


@pytest.fixture
def call_as_alice(application):
    """Runs Lua as a consumer that may do these actions to what begins with m, and to the function."""

    def run(body: str, *actions: str):
        runtime = application(body, *actions)
        with runtime.acting_as("app:c"):
            return runtime.call("app:f")

    return run


ENGINES = pytest.mark.parametrize("engine", ["lua54", "luajit"])


# ---- entries ---------------------------------------------------------------------------------------------


@ENGINES
def test_an_entry_is_what_its_file_says_and_no_secret(call, engine):
    assert call('return registry.get("app:tasks")', engine=engine) == {
        "id": "app:tasks",
        "kind": "queue.queue",
        "meta": {
            "team": "blue",
            "title": "Tasks of today",
            "release.date": "late",
            "release": {"name": "a" * 36},
        },
        "data": {
            "driver": "memory",
            "queue_name": "${env:SECRET_NAME|none}",
            "options": {"max_length": 5, "message_ttl": "1h"},
        },
    }


@pytest.mark.parametrize("getter", ["registry.get", "registry.snapshot():get"])
@pytest.mark.parametrize(
    ("id_", "kind"),
    [("app:nowhere", "NotFound"), ("tasks", "NotFound"), ("", "Invalid"), (7, "Invalid"), (None, "Invalid")],
)
def test_an_entry_that_is_not_there_is_an_error(call, getter, id_, kind):
    found = call(
        f"local found, problem = {getter}(...) return {{ tostring(found), problem:kind(), problem:retryable() }}",
        id_,
    )

    assert found == ["nil", kind, False]


def test_what_a_script_does_to_an_entry_stays_with_it(call):
    assert (
        call(
            'registry.get("app:memory").meta.tags[1] = "slow" return registry.get("app:memory").meta.tags[1]'
        )
        == "fast"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("app:tasks", {"ns": "app", "name": "tasks"}),
        ("a.b:c/d.e", {"ns": "a.b", "name": "c/d.e"}),
        ("tasks", {"ns": "", "name": "tasks"}),
        ("a:b:c", {"ns": "a", "name": "b:c"}),
    ],
)
def test_an_id_is_taken_apart(call, text, parts):
    assert call("return registry.parse_id(...)", text) == parts


@pytest.mark.parametrize("text", ["", None, 7, {}])
def test_what_is_no_text_is_no_id(call, text):
    assert call("local _, problem = registry.parse_id(...) return problem:kind()", text) == "Invalid"


ALL = ["app:c", "app:f", "app:may", "app:memory", "app:of_nothing", "app:tasks"]
IDS = """
    local ids = {}
    for index, entry in ipairs(found) do ids[index] = entry.id end
    return ids
"""


@ENGINES
@pytest.mark.parametrize(
    ("criteria", "ids"),
    [
        ("nil", ALL),
        ("{}", ALL),
        ('{ [".kind"] = "queue.*" }', ["app:c", "app:memory", "app:tasks"]),
        ('{ [".kind"] = "*.queue" }', ["app:tasks"]),
        ('{ [".kind"] = "queue.queue" }', ["app:tasks"]),
        ('{ [".ns"] = "app", [".name"] = "m*y" }', ["app:may", "app:memory"]),
        ('{ [".id"] = "*:*a*k*" }', ["app:tasks"]),
        ('{ ["meta.team"] = "red" }', ["app:memory"]),
        ('{ ["meta.tags"] = { "small", "fast" } }', ["app:memory"]),
        ('{ ["meta.tags"] = { "small", "slow" } }', []),
        ('{ ["meta.size"] = 3 }', ["app:memory"]),
        ('{ ["~meta.title"] = "^Tasks.*day$" }', ["app:tasks"]),
        ('{ ["~meta.title"] = "day$", [".kind"] = "function.*" }', []),
        ('{ ["~meta.size"] = "3" }', []),
        ('{ ["~meta.release.date"] = "^la" }', ["app:tasks"]),
        ('{ ["~meta.release.name"] = "^a+$" }', ["app:tasks"]),
        ('{ ["~meta.release.name.more"] = "a" }', []),
        ('{ ["*meta.title"] = "of" }', ["app:tasks"]),
        ('{ ["^meta.title"] = "Tasks", ["$meta.title"] = "today" }', ["app:tasks"]),
    ],
)
@pytest.mark.parametrize("finder", ["registry.find", "registry.snapshot():find"])
def test_entries_are_found_by_criteria(call, finder, criteria, ids, engine):
    assert call(f"local found = assert({finder}({criteria}))\n{IDS}", engine=engine) == ids


@pytest.mark.parametrize(
    "criteria",
    [
        '{ kind = "queue.queue" }',
        '{ meta = { team = "red" } }',
        '{ [".kind"] = 7 }',
        '{ [".owner"] = "me" }',
        '{ ["~meta.title"] = "(" }',
        '{ ["~meta.title"] = "(a)\\\\1" }',
        '{ ["^meta.title"] = 7 }',
        '"queue.queue"',
        '{ "queue.queue" }',
    ],
)
def test_a_criterion_that_means_nothing_is_an_error_rather_than_everything(call, criteria):
    assert call(
        f"local found, problem = registry.find({criteria}) return {{ found == nil, problem:kind() }}"
    ) == [
        True,
        "Invalid",
    ]


def test_no_pattern_takes_for_ever(call):
    found = call(
        """
        local slow = registry.find({ ["~meta.release.name"] = "^(a+)+!$" })
        local stars = registry.find({ [".name"] = string.rep("*a", 200) .. "!" })
        return { #slow, #stars }
        """
    )

    assert found == [0, 0]


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("registry.snapshot():entries()", ALL),
        ('registry.snapshot():namespace("app")', ALL),
        ('registry.snapshot():namespace("other")', []),
    ],
)
def test_a_snapshot_lists_entries_in_the_order_of_their_ids(call, expression, ids):
    assert call(f"local found = {expression}\n{IDS}") == ids


def test_a_namespace_must_be_named(call):
    assert call("local _, problem = registry.snapshot():namespace() return problem:kind()") == "Invalid"


# ---- versions --------------------------------------------------------------------------------------------


@ENGINES
def test_what_was_loaded_is_version_0(call, engine):
    found = call(
        """
        local version, all, history = registry.current_version(), registry.versions(), registry.history()
        return {
          version:id(), version:string(), tostring(version:previous()), tostring(version:next()), tostring(version),
          #all, all[1]:id(), #history:versions(), history:get_version(0):id(), tostring(history),
          registry.snapshot():version():id(), tostring(registry.snapshot()),
          history:snapshot_at(version):get("app:tasks").kind,
        }
        """,
        engine=engine,
    )

    assert found == [
        *(0, "v0", "nil", "nil", "registry.Version{0}"),
        *(1, 0, 1, 0, "registry.History{}"),
        *(0, "registry.Snapshot{version=0}"),
        "queue.queue",
    ]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("registry.snapshot_at(0)", "Invalid"),
        ("registry.snapshot_at(-1)", "Invalid"),
        ("registry.snapshot_at()", "Invalid"),
        ("registry.snapshot_at('1')", "Invalid"),
        ("registry.snapshot_at(1)", "NotFound"),
        ("registry.history():get_version(-1)", "Invalid"),
        ("registry.history():get_version()", "Invalid"),
        ("registry.history():get_version(true)", "Invalid"),
        ("registry.history():get_version(0.5)", "NotFound"),
        ("registry.history():get_version(0/0)", "NotFound"),
        ("registry.history():get_version(3)", "NotFound"),
    ],
)
def test_a_version_that_is_not_there_is_an_error(call, expression, kind):
    assert call(f"local found, problem = {expression} return {{ tostring(found), problem:kind() }}") == [
        "nil",
        kind,
    ]


@pytest.mark.parametrize(
    "expression",
    ["registry.apply_version(0)", "registry.history():snapshot_at(0)", "registry.current_version().id()"],
)
def test_a_version_is_an_object(call, expression):
    found = call(f"local ok, problem = pcall(function() return {expression} end) return {{ ok, problem }}")

    assert found[0] is False
    assert "expected a registry.Version" in found[1]


# ---- who may ---------------------------------------------------------------------------------------------


def test_an_entry_that_may_not_be_seen_is_refused_whether_it_exists_or_not(call_as_alice):
    found = call_as_alice(
        """
        local kinds = {}
        for _, id in ipairs({ "app:memory", "app:tasks", "app:nowhere", "app:missing" }) do
          local entry, problem = registry.get(id)
          kinds[#kinds + 1] = entry and entry.kind or problem:kind()
        end
        return kinds
        """,
        "registry.get",
    )

    assert found == ["queue.driver.memory", "PermissionDenied", "PermissionDenied", "NotFound"]


@pytest.mark.parametrize(
    "expression",
    [
        "registry.find()",
        'registry.find({ [".ns"] = "app" })',
        "registry.snapshot():entries()",
        'registry.snapshot():namespace("app")',
    ],
)
def test_lists_leave_out_what_may_not_be_seen(call_as_alice, expression):
    body = f"local found = {expression}\n{IDS}"

    assert call_as_alice(body, "registry.get") == ["app:f", "app:may", "app:memory"]
    assert call_as_alice(body) == []


def test_going_to_a_version_needs_a_permission(call_as_alice):
    body = """
        local done, problem = registry.apply_version(registry.current_version())
        return { done, problem and problem:kind() or "" }
    """

    assert call_as_alice(body) == [False, "PermissionDenied"]
    assert call_as_alice(body, "registry.apply_version") == [True, ""]
