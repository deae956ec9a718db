"""The module `security`: who acts, what it may, and what policies say, as scripts see it."""

import textwrap

import pytest

from noria.actors.calling import new_context
from noria.actors.functions.lua.faults import LuaError
from noria.security import Principal
from noria.security.context import enter, leave

APPLICATION = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [security], engine: ENGINE}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: f
    lifecycle:
      security:
        actor: {id: alice, meta: {role: clerk, teams: [red, blue], limits: {day: 10}, none: {}}}
        policies: [may, security_of_consumer]
  - name: anonymous
    kind: queue.consumer
    queue: tasks
    func: f
  - name: may
    kind: security.policy
    policy: {actions: funcs.call, resources: "*", effect: allow}
  - name: security_of_consumer
    kind: security.policy
    policy: {actions: [ACTIONS], resources: "*", effect: allow}
  - name: clerks_read
    kind: security.policy
    groups: [office, "other:staff"]
    policy:
      actions: doc.read
      resources: "doc:*"
      effect: allow
      conditions: [{field: actor.meta.role, operator: eq, value: clerk}]
  - name: not_secret
    kind: security.policy
    groups: [office]
    policy:
      actions: "doc.*"
      resources: "doc:*"
      effect: deny
      conditions: [{field: meta.secret, operator: eq, value: true}]
"""


@pytest.fixture
def call(begin):
    """Runs Lua as a consumer that may do these security actions."""

    def make(body: str, *actions: str, consumer: str | None = "app:c", engine: str = "lua54"):
        shown = ", ".join(f'"{action}"' for action in actions or ("security.*",))
        runtime = begin(
            APPLICATION.replace("ACTIONS", shown).replace("ENGINE", engine),
            f__lua=f'local security = require("security")\nreturn function()\n{textwrap.dedent(body)}\nend\n',
        )
        if consumer is None:
            return runtime.call("app:f")
        with runtime.acting_as(consumer):
            return runtime.call("app:f")

    return make


ENGINES = pytest.mark.parametrize("engine", ["lua54", "luajit"])


# ---- the call that is running ----------------------------------------------------------------------------


@ENGINES
def test_a_script_sees_who_acts_and_what_it_is_under(call, engine):
    found = call(
        """
        local actor, scope = security.actor(), security.scope()
        local names = {}
        for index, policy in ipairs(scope:policies()) do names[index] = policy:id() end
        return { actor:id(), actor:meta(), tostring(actor), names, tostring(scope), tostring(scope:policies()[1]) }
        """,
        engine=engine,
    )

    assert found == [
        "alice",
        {"role": "clerk", "teams": ["red", "blue"], "limits": {"day": 10}, "none": {}},
        "security.Actor{id=alice}",
        ["app:may", "app:security_of_consumer"],
        "security.Scope{app:may, app:security_of_consumer}",
        "security.Policy{id=app:may}",
    ]


@pytest.mark.parametrize("consumer", ["app:anonymous", None])
def test_without_actor_and_scope_there_is_nil_and_nothing_may_be(call, consumer):
    found = call(
        'return { tostring(security.actor()), tostring(security.scope()), security.can("a", "b") }',
        consumer=consumer,
    )

    assert found == ["nil", "nil", False]


def test_can_asks_for_the_call_that_is_running(call):
    found = call(
        """
        return {
          security.can("funcs.call", "app:f"), security.can("doc.read", "doc:1"),
          security.can("doc.read", "doc:1", { secret = true }), security.can("funcs.call", "", {}),
        }
        """
    )

    assert found == [True, False, False, True]


def test_can_tells_the_guard(begin):
    runtime = begin(
        APPLICATION.replace("ACTIONS", "x").replace("ENGINE", "lua54"),
        f__lua='local security = require("security")\nreturn function() return security.can("doc.read", "doc:1", {n = 1}) end\n',
    )
    seen = []
    runtime.guard.audit(seen.append)

    with runtime.acting_as("app:c"):
        runtime.call("app:f")
    asked = seen[-1]
    assert (asked.principal.id, asked.action, asked.resource, dict(asked.meta), asked.decision.allowed) == (
        "alice",
        "doc.read",
        "doc:1",
        {"n": 1},
        False,
    )


@pytest.mark.parametrize(
    "arguments", ["", '"", "r"', '"a"', '"a", 1', '"a", "r", "meta"', '"a", "r", { 1, 2 }', '{}, "r"']
)
def test_can_wants_an_action_a_resource_and_named_meta(call, arguments):
    found = call(
        f"local ok, problem = pcall(security.can, {arguments or 'nil'}) return {{ ok, problem:kind() }}"
    )

    assert found == [False, "Invalid"]


def test_what_is_known_of_an_actor_is_a_copy(call):
    found = call(
        """
        local actor = security.actor()
        actor:meta().role = "boss"
        actor:meta().teams[1] = "none"
        return { actor:meta().role, actor:meta().teams, security.actor():meta().role }
        """
    )

    assert found == ["clerk", ["red", "blue"], "clerk"]


def test_an_actor_whose_meta_lua_cannot_hold_is_an_error_not_nobody(begin):
    runtime = begin(
        APPLICATION.replace("ACTIONS", "x").replace("ENGINE", "lua54"),
        f__lua='local security = require("security")\nreturn function() return tostring(security.actor()) end\n',
    )
    token = enter(new_context(runtime, Principal("eve", {"key": object()}), None))
    try:
        with pytest.raises(LuaError, match="a value of type object cannot be passed to Lua"):
            runtime.call("app:f")
    finally:
        leave(token)


# ---- actors ----------------------------------------------------------------------------------------------


@ENGINES
def test_an_actor_can_be_made(call, engine):
    found = call(
        """
        local meta = { role = "clerk", tags = {} }
        local bob, nobody = security.new_actor("bob", meta), security.new_actor("nobody")
        meta.role = "boss"
        return { bob:id(), bob:meta(), nobody:meta() }
        """,
        engine=engine,
    )

    assert found == ["bob", {"role": "clerk", "tags": []}, {}]


@pytest.mark.parametrize("arguments", ["nil", '""', "7", '"bob", "meta"', '"bob", { "a" }'])
def test_an_actor_needs_an_id_and_named_meta(call, arguments):
    found = call(
        f"local ok, problem = pcall(security.new_actor, {arguments}) return {{ ok, problem:kind() }}"
    )

    assert found == [False, "Invalid"]


# ---- policies and scopes ---------------------------------------------------------------------------------


@ENGINES
def test_a_policy_answers_for_itself(call, engine):
    found = call(
        """
        local policy = security.policy("app:clerks_read")
        local clerk = security.new_actor("bob", { role = "clerk" })
        return {
          policy:id(), tostring(policy),
          policy:evaluate(clerk, "doc.read", "doc:1"), policy:evaluate(clerk, "doc.write", "doc:1"),
          policy:evaluate(security.new_actor("eve"), "doc.read", "doc:1"),
        }
        """,
        engine=engine,
    )

    assert found == [
        "app:clerks_read",
        "security.Policy{id=app:clerks_read}",
        "allow",
        "undefined",
        "undefined",
    ]


@ENGINES
def test_a_group_is_a_scope_in_which_a_deny_wins(call, engine):
    found = call(
        """
        local office, clerk = security.named_scope("app:office"), security.actor()
        return {
          #office:policies(), office:evaluate(clerk, "doc.read", "doc:1"),
          office:evaluate(clerk, "doc.read", "doc:1", { secret = true }),
          office:evaluate(clerk, "doc.burn", "doc:1", { secret = false }),
          #security.named_scope("other:staff"):policies(),
        }
        """,
        engine=engine,
    )

    assert found == [2, "allow", "deny", "undefined", 1]


@ENGINES
def test_scopes_are_made_of_policies_and_never_change(call, engine):
    found = call(
        """
        local read, deny = security.policy("app:clerks_read"), security.policy("app:not_secret")
        local empty = security.new_scope()
        local one = security.new_scope({ read, "app:not_secret", 7, read })
        local two = one:with(deny):with(read)
        local back = two:without(read)
        return {
          tostring(empty), tostring(one), tostring(two), tostring(back),
          tostring(two:without("app:not_secret")), tostring(two:without({ ns = "app", name = "not_secret" })),
          tostring(one:without("app:nowhere")),
          one:contains(read), one:contains(deny), one:contains("app:clerks_read"),
          one:contains({ ns = "app", name = "clerks_read" }),
          empty:evaluate(security.actor(), "doc.read", "doc:1"), one:evaluate(security.actor(), "doc.read", "doc:1"),
        }
        """,
        engine=engine,
    )

    one = "security.Scope{app:clerks_read}"
    assert found == [
        "security.Scope{}",
        one,
        "security.Scope{app:clerks_read, app:not_secret}",
        "security.Scope{app:not_secret}",
        one,
        one,
        one,
        *(True, False, True, True),
        "undefined",
        "allow",
    ]


@pytest.mark.parametrize("function", ["policy", "named_scope"])
@pytest.mark.parametrize(
    ("id_", "kind"),
    [('"app:nowhere"', "Internal"), ('"nowhere"', "Invalid"), ("nil", "Invalid"), ("{}", "Invalid")],
)
def test_what_does_not_exist_is_an_error_that_is_returned(call, function, id_, kind):
    found = call(
        f"local found, problem = security.{function}({id_}) return {{ tostring(found), problem:kind() }}"
    )

    assert found == ["nil", kind]


@pytest.mark.parametrize(
    "expression",
    [
        "security.new_scope():with('app:may')",
        "security.new_scope():without(7)",
        "security.new_scope():contains()",
        "security.new_scope('app:may')",
        "security.new_scope():evaluate('alice', 'a', 'r')",
        "security.new_scope():evaluate(security.actor(), nil, 'r')",
        "security.policy('app:may'):evaluate(nil, 'a', 'r')",
        "security.actor().id()",
        "security.new_scope().policies({})",
        "security.policy('app:may').id({})",
    ],
)
def test_a_wrong_argument_raises(call, expression):
    with pytest.raises(LuaError):
        call(f"return {expression}")


def test_a_script_cannot_make_itself_more_than_it_is(call):
    found = call(
        """
        local actor = security.actor()
        local fake = { id = function() return "root" end, meta = function() return {} end }
        return {
          getmetatable(actor), getmetatable(security.scope()), getmetatable(security.policy("app:may")),
          next(actor) == nil, pcall(setmetatable, actor, {}),
          pcall(function() return security.new_scope():evaluate(fake, "a", "r") end),
        }
        """
    )

    assert found[:5] == ["security.Actor", "security.Scope", "security.Policy", True, False]


# ---- who may ---------------------------------------------------------------------------------------------

RAISING = {
    'security.new_actor("bob")': ("security.actor.create", "bob"),
    "security.new_scope()": ("security.scope.create", "custom"),
    "security.scope():with(security.scope():policies()[1])": ("security.scope.create", "with"),
    'security.scope():without("app:may")': ("security.scope.create", "without"),
    'security.token_store("app:tokens")': ("security.token_store.get", "app:tokens"),
}
RETURNING = {
    'security.policy("app:may")': ("security.policy.get", "app:may"),
    'security.named_scope("app:office")': ("security.policy_group.get", "app:office"),
}


@pytest.mark.parametrize(("expression", "asked"), RAISING.items())
def test_what_makes_something_raises_when_it_is_not_allowed(call, expression, asked):
    action, resource = asked
    body = f"local ok, problem = pcall(function() return {expression} end) return ok or tostring(problem)"

    assert call(body, "nothing") == f"not allowed: {action} on {resource}"
    assert call(body, action) is True


@pytest.mark.parametrize(("expression", "asked"), RETURNING.items())
def test_what_looks_something_up_returns_that_it_is_not_allowed(call, expression, asked):
    action, resource = asked
    body = f"local found, problem = {expression} return {{ found ~= nil, problem and problem:kind() or '', tostring(problem) }}"

    assert call(body, "nothing") == [False, "Invalid", f"not allowed: {action} on {resource}"]
    assert call(body, action) == [True, "", "nil"]


def test_in_strict_mode_nothing_is_made_by_nobody(application_of, begin):
    begin_files = {
        "f__lua": 'local security = require("security")\nreturn function() security.new_actor("bob") end\n'
    }
    definition = APPLICATION.replace("ACTIONS", "x").replace("ENGINE", "lua54")
    (application_of(definition, **begin_files) / ".noria.yaml").write_text("security: {strict_mode: true}")
    runtime = begin(definition, **begin_files)

    with pytest.raises(LuaError, match=r"not allowed: security\.actor\.create on bob"):
        runtime.call("app:f")
