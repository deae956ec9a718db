"""The token stores of the module `security`, as scripts see them."""

import textwrap

import pytest

from noria.actors.functions.lua.modules.token_stores import Secret
from noria.security import Principal
from noria.security.errors import TokenExpired

APPLICATION = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: kept, kind: store.memory}
  - {name: tokens, kind: security.token_store, store: kept, token_key: a key of some length}
  - {name: small, kind: store.memory, max_size: 1}
  - {name: few, kind: security.token_store, store: small}
  - {name: f, kind: function.lua, source: file://f.lua, modules: [security], engine: ENGINE}
  - name: c
    kind: queue.consumer
    queue: tasks
    func: f
    lifecycle:
      security:
        actor: {id: alice, meta: {role: clerk}}
        policies: [may]
  - name: may
    kind: security.policy
    policy: {actions: [funcs.call, ACTIONS], resources: "*", effect: allow}
  - name: readers
    kind: security.policy
    policy: {actions: doc.read, resources: "*", effect: allow}
"""
SCRIPT = """
local security = require("security")
local function told(problem) return { problem:kind(), problem:retryable(), tostring(problem) } end
return function(given)
BODY
end
"""
ENGINES = pytest.mark.parametrize("engine", ["lua54", "luajit"])
OPEN = 'local tokens = assert(security.token_store("app:tokens"))\n'


@pytest.fixture
def application(begin):
    """An application whose consumer may do these actions, and whose function has this body."""

    def make(body: str, *actions: str, engine: str = "lua54"):
        shown = ", ".join(f'"{action}"' for action in actions or ("security.*",))
        return begin(
            APPLICATION.replace("ACTIONS", shown).replace("ENGINE", engine),
            f__lua=SCRIPT.replace("BODY", textwrap.dedent(body)),
        )

    return make


@pytest.fixture
def call(application):
    def make(body: str, *actions: str, given=None, engine: str = "lua54"):
        runtime = application(body, *actions, engine=engine)
        with runtime.acting_as("app:c"):
            return runtime.call("app:f", given)

    return make


@ENGINES
def test_a_token_brings_its_actor_and_scope_back_until_it_is_revoked(call, engine):
    found = call(
        OPEN
        + """
        local bob = security.new_actor("bob", { teams = { "red" }, deep = { level = 3 } })
        local scope = security.new_scope({ security.policy("app:readers") })
        local token, problem = tokens:create(bob, scope, { expiration = "15m", meta = { device = "phone" } })
        local actor, its, none = tokens:validate(token)
        local before = { actor:id(), actor:meta(), its:contains("app:readers"), #its:policies(),
                         its:evaluate(actor, "doc.read", "doc:1"), tostring(problem), tostring(none) }
        local ended, nothing = tokens:revoke(token)
        local no_actor, no_scope, revoked = tokens:validate(token)
        local again, revoked_again = tokens:revoke(token)
        return { before, ended, tostring(nothing), no_actor == nil and no_scope == nil, told(revoked),
                 again == nil, told(revoked_again) }
        """,
        engine=engine,
    )

    gone = ["Revoked", False, "app:tokens: the token was revoked"]
    assert found == [
        ["bob", {"teams": ["red"], "deep": {"level": 3}}, True, 1, "allow", "nil", "nil"],
        True,
        "nil",
        True,
        gone,
        True,
        gone,
    ]


@pytest.mark.parametrize(
    ("expiration", "seconds"),
    [
        ("nil", 86_400),
        ("0", 86_400),
        ('"0s"', 86_400),
        ('"1h30m"', 5_400),
        ('"7d"', 604_800),
        ("2500", 2.5),
        ("2500.5", 2.5005),
    ],
)
def test_an_expiration_is_a_duration_or_milliseconds_as_integer_or_float(application, expiration, seconds):
    runtime = application(
        OPEN + f"return tokens:create(security.actor(), security.scope(), {{ expiration = {expiration} }})"
    )
    with runtime.acting_as("app:c"):
        token = runtime.token_stores["app:tokens"].validate(runtime.call("app:f"))

    assert token.expires - token.created == pytest.approx(seconds)
    assert token.principal == Principal("alice", {"role": "clerk"})
    assert [str(policy.id) for policy in token.scope] == ["app:may"]


def test_a_negative_expiration_makes_a_token_that_has_expired(call):
    found = call(
        OPEN
        + """
        local token = assert(tokens:create(security.actor(), security.scope(), { expiration = "-1h" }))
        local _, _, problem = tokens:validate(token)
        local _, other = tokens:revoke(token)
        return { told(problem), told(other) }
        """
    )

    assert found == [["Expired", False, "app:tokens: the token has expired"]] * 2


def test_a_token_of_python_is_good_in_lua(application):
    runtime = application(OPEN + "local actor = tokens:validate(given) return { actor:id(), actor:meta() }")
    scope = runtime.policies.scope([runtime.registry["app:readers"].id])
    token = runtime.token_stores["app:tokens"].create(Principal("carol", {"roles": ["a", "b"]}), scope)

    with runtime.acting_as("app:c"):
        assert runtime.call("app:f", token) == ["carol", {"roles": ["a", "b"]}]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('tokens:validate("garbage")', ["Invalid", "it is not signed"]),
        ('tokens:validate("no token")', ["Invalid", "it does not look like one"]),
        ('tokens:validate("abcd.abcd")', ["Invalid", "its signature is wrong"]),
        ("tokens:validate()", ["Invalid", "token required"]),
        ('tokens:validate("")', ["Invalid", "token required"]),
        ("tokens:revoke(5)", ["Invalid", "token required"]),
        ('tokens:revoke("abcd.abcd")', ["Invalid", "its signature is wrong"]),
        ("create(true)", ["Invalid", "expected a table of options"]),
        (
            "create({ expires = 5 })",
            ["Invalid", "unknown option expires: known are expiration, meta"],
        ),
        ('create({ expiration = "soon" })', ["Invalid", "invalid duration: soon"]),
        (
            "create({ expiration = true })",
            ["Invalid", 'expected an expiration such as "15m", or in milliseconds'],
        ),
        ("create({ expiration = 0 / 0 })", ["Invalid", "expected an expiration in seconds"]),
        ("create({ meta = 5 })", ["Invalid", "expected meta to be a table of named fields"]),
        ('security.token_store("app:nowhere")', ["NotFound", "there is no entry app:nowhere"]),
        (
            'security.token_store("app:kept")',
            ["Invalid", "not a token store: app:kept is a store.memory"],
        ),
        ("security.token_store()", ["Invalid", "token store ID required"]),
        ('security.token_store("tokens")', ["Invalid", "namespace:name"]),
    ],
)
def test_what_is_wrong_is_told_with_its_kind(call, expression, told):
    kind, text = told
    found = call(
        OPEN
        + f"""
        local function create(options)
          local token, problem = tokens:create(security.actor(), security.scope(), options)
          return token, problem
        end
        local function last(...) return (select(select("#", ...), ...)) end
        return told(last({expression}))
        """
    )

    assert found[:2] == [kind, False]
    assert text in found[2]


def test_a_token_that_nobody_has_made_is_not_found(application):
    runtime = application(OPEN + "local _, _, problem = tokens:validate(given) return told(problem)")
    store = runtime.token_stores["app:tokens"]
    token = store.create(Principal("bob"), runtime.policies.scope())
    assert runtime.stores["app:kept"].delete(token.partition(".")[0])

    with runtime.acting_as("app:c"):
        assert runtime.call("app:f", token) == ["NotFound", False, "app:tokens: there is no such token"]


def test_a_full_store_says_that_it_may_be_tried_again(call):
    found = call(
        """
        local tokens = assert(security.token_store("app:few"))
        local first = assert(tokens:create(security.actor(), security.scope()))
        local _, problem = tokens:create(security.actor(), security.scope())
        return { told(problem), tokens:revoke(first) }
        """
    )

    assert found[0][:2] == ["Unavailable", True]
    assert found[1] is True


def test_a_closed_store_is_closed_for_everything_and_closing_twice_is_harmless(call):
    found = call(
        OPEN
        + """
        local open, actor, scope = tostring(tokens), security.actor(), security.scope()
        local closed = { tokens:close(), tokens:close() }
        local _, _, validated = tokens:validate("a")
        local _, created = tokens:create(actor, scope)
        local _, revoked = tokens:revoke("a")
        local another = security.token_store("app:tokens")
        return { open, tostring(tokens), closed[1], told(validated), told(created), told(revoked), tostring(another) }
        """
    )

    closed = ["Invalid", False, "token store is closed"]
    opened = "security.TokenStore{id=app:tokens}"
    assert found == [opened, "security.TokenStore{closed}", True, closed, closed, closed, opened]


def test_only_actors_and_scopes_can_be_put_in_a_token(call):
    found = call(
        OPEN
        + """
        local ok, first = pcall(tokens.create, tokens, { id = "root" }, security.scope())
        local also, second = pcall(tokens.create, tokens, security.actor(), { "app:may" })
        local third, last = pcall(tokens.create, {}, security.actor(), security.scope())
        return { ok, first, also, second, third, last, getmetatable(tokens), next(tokens) == nil }
        """
    )

    assert found[0::2][:3] == [False, False, False]
    assert "expected a security.Actor as the first argument of create" in found[1]
    assert "expected a security.Scope as the second argument of create" in found[3]
    assert "expected a security.TokenStore: call its methods with a colon" in found[5]
    assert found[6:] == ["security.TokenStore", True]


# ---- who may ---------------------------------------------------------------------------------------------

VERBS = {
    "create": ("security.token.create", "tokens:create(security.actor(), security.scope())"),
    "validate": ("security.token.validate", "tokens:validate(given)"),
    "revoke": ("security.token.revoke", "tokens:revoke(given)"),
}


@pytest.mark.parametrize(("action", "expression"), VERBS.values(), ids=VERBS)
def test_each_verb_needs_its_action_and_a_refusal_is_returned(application, action, expression):
    body = OPEN + (
        f"local found = {{ {expression} }} local problem = found[2] or found[3]\n"
        "return found[1] ~= nil and true or told(problem)"
    )
    outcomes = []
    for actions in [("security.token_store.get",), ("security.token_store.get", action)]:
        runtime = application(body, *actions)
        token = runtime.token_stores["app:tokens"].create(Principal("bob"), runtime.policies.scope())
        with runtime.acting_as("app:c"):
            outcomes.append(runtime.call("app:f", token))

    assert outcomes == [["Invalid", False, f"not allowed: {action} on app:tokens"], True]


def test_opening_raises_when_it_is_not_allowed_also_for_what_is_not_there(call):
    found = call(
        """
        local ok, problem = pcall(security.token_store, "app:nowhere")
        return { ok, told(problem) }
        """,
        "nothing",
    )

    asked = "not allowed: security.token_store.get on app:nowhere"
    assert found == [False, ["PermissionDenied", False, asked]]


def test_policies_see_the_token_and_for_whom_one_is_made_and_nothing_prints_a_token(application):
    runtime = application(
        OPEN
        + """
        local token = tokens:create(security.new_actor("bob"), security.scope())
        tokens:validate(token)
        tokens:revoke(token)
        return token
        """
    )
    seen = []
    runtime.guard.audit(seen.append)
    with runtime.acting_as("app:c"):
        token = runtime.call("app:f")

    asked = [(each.action, each.resource, dict(each.meta)) for each in seen if "token." in each.action]
    assert asked == [
        ("security.token.create", "app:tokens", {"actor": "bob"}),
        ("security.token.validate", "app:tokens", {"token": token}),
        ("security.token.revoke", "app:tokens", {"token": token}),
    ]
    assert token not in repr(seen)
    assert repr(Secret("abc")) == "<a token>"


def test_errors_do_not_tell_the_token(application):
    runtime = application(OPEN + "local _, _, problem = tokens:validate(given) error(problem)", "security.*")
    store = runtime.token_stores["app:tokens"]
    token = store.create(Principal("bob"), runtime.policies.scope(), expiration=-1)
    with pytest.raises(TokenExpired):
        store.validate(token)

    with runtime.acting_as("app:c"), pytest.raises(Exception, match="the token has expired") as caught:
        runtime.call("app:f", token)

    assert token not in str(caught.value)
    assert token.partition(".")[0] not in str(caught.value)
