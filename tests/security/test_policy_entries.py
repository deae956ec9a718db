"""Policies in definition files: what is accepted, what is refused and where, and what groups mean."""

import attrs
import pytest

from noria.registry import ConfigurationError, EntryID, EntryNotFound, Kind, load
from noria.security import KINDS, Policies, Principal, SecurityBlock, check_security_block
from noria.security.errors import UnknownGroup

ALICE = Principal("alice")


@attrs.frozen(kw_only=True)
class ServiceConfig:
    security: SecurityBlock | None = None


def check_service(entry, registry):
    if entry.config.security is not None:
        for path, message in check_security_block(entry.config.security, entry, registry):
            yield f"security.{path}", message


SERVICE = Kind("service", ServiceConfig, check_service)


@pytest.fixture
def loaded(tmp_path):
    def load_text(*files, environ=None):
        for number, text in enumerate(files):
            (tmp_path / f"{number}.yaml").write_text(text)
        return load(tmp_path, [*KINDS, SERVICE], environ=environ or {})

    return load_text


@pytest.fixture
def problems(loaded):
    def problems_of(text, **given):
        with pytest.raises(ConfigurationError) as raised:
            loaded(text, **given)
        return [
            (problem.line, problem.field, problem.message.split(": ", 2)[-1])
            for problem in raised.value.problems
        ]

    return problems_of


def declarative(**policy):
    lines = {"actions": "'*'", "resources": "'*'", "effect": "allow", **policy}
    body = "\n".join(f"      {key}: {value}" for key, value in lines.items() if value is not None)
    return f"version: '1.0'\nnamespace: app\nentries:\n  - name: p\n    kind: security.policy\n    policy:\n{body}\n"


def expression(text, **policy):
    return declarative(expression=text, **policy).replace("security.policy", "security.policy.expr")


TEAM = """
version: "1.0"
namespace: team
entries:
  - name: readers
    kind: security.policy
    policy:
      actions: [store.get, "store.key.*"]
      resources: "team:*"
      effect: allow
      conditions:
        - {field: actor.meta.role, operator: in, value: [reader, writer]}
        - {field: meta.key, operator: nmatches, value: ^secret}
    groups: [staff, other:everybody]
  - name: night
    kind: security.policy.expr
    policy:
      actions: "*"
      resources: "*"
      effect: deny
      expression: |
        action startsWith "store." &&
        meta.hour in 0..5
    groups: [staff, other:everybody]
"""
SERVICES = """
version: "1.0"
namespace: other
entries:
  - name: by_policy
    kind: service
    security:
      actor: {id: service, meta: {role: reader}}
      policies: [team:readers]
  - name: by_group
    kind: service
    security: {actor: {id: service}, groups: [everybody]}
  - name: without_scope
    kind: service
    security: {actor: {id: service}}
  - name: without_actor
    kind: service
    security: {policies: [team:night]}
"""


def test_both_kinds_of_policy_become_a_scope(loaded):
    policies = Policies.from_registry(loaded(TEAM))
    scope = policies.scope(groups=[EntryID("team", "staff")])
    reader = Principal("r", {"role": "reader"})

    assert [str(policy.id) for policy in scope] == ["team:night", "team:readers"]
    assert scope.evaluate(reader, "store.key.get", "team:x", {"key": "a", "hour": 9}).outcome == "allow"
    assert scope.evaluate(reader, "store.key.get", "team:x", {"key": "a", "hour": 3}).outcome == "deny"
    assert (
        scope.evaluate(reader, "store.key.get", "team:x", {"key": "secrets", "hour": 9}).outcome
        == "undefined"
    )
    assert scope.evaluate(ALICE, "store.key.get", "team:x", {"key": "a", "hour": 9}).outcome == "undefined"


def test_a_bare_group_is_in_the_namespace_of_its_policy_for_both_kinds(loaded):
    groups = Policies.from_registry(loaded(TEAM)).groups

    both = (EntryID("team", "night"), EntryID("team", "readers"))
    assert groups == {EntryID("team", "staff"): both, EntryID("other", "everybody"): both}


@pytest.mark.parametrize(
    ("service", "who", "members"),
    [
        ("by_policy", "service", ["team:readers"]),
        ("by_group", "service", ["team:night", "team:readers"]),
        ("without_scope", "service", None),
        ("without_actor", None, ["team:night"]),
    ],
)
def test_a_security_block_becomes_a_principal_and_a_scope(loaded, service, who, members):
    registry = loaded(TEAM, SERVICES)
    entry = registry[f"other:{service}"]

    principal = entry.config.security.principal()
    scope = Policies.from_registry(registry).scope_of(entry.config.security, entry.id.namespace)

    assert (principal and principal.id) == who
    assert (None if scope is None else [str(policy.id) for policy in scope]) == members


def test_a_security_block_depends_on_its_policies(loaded):
    registry = loaded(TEAM, SERVICES)

    assert registry["other:by_policy"].dependencies == (EntryID("team", "readers"),)


def test_an_unknown_policy_or_group_is_an_error_that_names_the_nearest(loaded):
    policies = Policies.from_registry(loaded(TEAM))

    with pytest.raises(EntryNotFound, match=r'team:reader.*did you mean "team:readers"'):
        policies.scope(policies=[EntryID("team", "reader")])
    with pytest.raises(UnknownGroup, match=r"unknown policy group team:stafff; did you mean 'team:staff'\?"):
        policies.scope(groups=[EntryID("team", "stafff")])


def test_an_unknown_group_of_a_security_block_is_a_configuration_error(problems):
    text = TEAM + "  - name: s\n    kind: service\n    security: {actor: {id: x}, groups: [staff, stuff]}\n"

    [(line, field, message)] = problems(text)

    assert (line, field) == (27, "security.groups[1]")
    assert message == "unknown policy group team:stuff; did you mean 'team:staff'?"


def test_an_unknown_policy_of_a_security_block_is_a_configuration_error(problems):
    [(_, field, message)] = problems(
        TEAM + "  - name: s\n    kind: service\n    security: {policies: [reader]}\n"
    )

    assert field == "security.policies[0]"
    assert "team:reader" in message


def test_a_security_block_may_not_name_something_else_as_a_policy(problems):
    [(_, field, message)] = problems(
        TEAM + "  - name: s\n    kind: service\n    security: {policies: [s2]}\n"
        "  - name: s2\n    kind: service\n"
    )

    assert field == "security.policies[0]"
    assert "security.policy" in message


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        (declarative(effect="permit"), 9, "policy.effect", 'expected "allow" or "deny"'),
        (declarative(effect=None), 6, "policy.effect", "required"),
        (declarative(actions="''"), 7, "policy.actions", 'expected a pattern such as "queue.*"'),
        (declarative(actions="[]"), 7, "policy.actions", "or a list of at least one"),
        (declarative(actions="[a, '']"), 7, "policy.actions", "or a list of at least one"),
        (declarative(actions="{a: 1}"), 7, "policy.actions", "expected text or a list"),
        (declarative(resources="[1]"), 8, "policy.resources[0]", "expected text"),
        (declarative(conditions="[{operator: eq, value: 1}]"), 10, "policy.conditions[0].field", "required"),
        (
            declarative(conditions="[{field: meta.x, operator: eqq, value: 1}]"),
            10,
            "policy.conditions[0].operator",
            "unknown operator; did you mean 'eq'?",
        ),
        (
            declarative(conditions="[{field: meta.x, operator: eq, value: null}]"),
            10,
            "policy.conditions[0].value",
            "needs `value` or `value_from`",
        ),
        (
            declarative(conditions="[{field: meta.x, operator: exists, value: 'yes'}]"),
            10,
            "policy.conditions[0].value",
            "exists expects true or false, found a text",
        ),
        (
            declarative(conditions=r"[{field: meta.x, operator: matches, value: '(a)\1'}]"),
            10,
            "policy.conditions[0].value",
            "back references cannot be matched in linear time",
        ),
        (
            declarative(conditions="[{field: actor, operator: eq, value: 1}]"),
            10,
            "policy.conditions[0].field",
            "says too little",
        ),
        (
            declarative(conditions="[{field: meta.x, operator: eq, value_from: actor.name}]"),
            10,
            "policy.conditions[0].value_from",
            "an actor has id and meta, not 'name'",
        ),
        (declarative(condition="[]"), 10, "policy.condition", 'did you mean "conditions"'),
        (declarative() + "    groups: ['a b']\n", 10, "groups", "no entry name"),
        (
            expression("'actor.id = 1'"),
            10,
            "policy.expression",
            "expression:1:10: expected an expression, found '='",
        ),
        (expression("'1 + 1'"), 10, "policy.expression", "must yield a bool"),
        (expression("''"), 10, "policy.expression", "expected a value"),
        (expression("actr.id"), 10, "policy.expression", "unknown variable 'actr'; did you mean 'actor'?"),
        (
            declarative().replace("security.policy", "security.policy.expr"),
            6,
            "policy.expression",
            "required",
        ),
    ],
)
def test_a_mistake_in_a_policy_has_a_line_a_field_and_a_hint(problems, text, line, field, words):
    [(found_line, found_field, message)] = problems(text)

    assert (found_line, found_field) == (line, field)
    assert words in message


def test_the_actor_of_a_security_block_needs_an_id(problems):
    text = "version: '1.0'\nnamespace: app\nentries:\n  - {name: s, kind: service, security: {actor: {id: ''}}}\n"

    [(_, field, message)] = problems(text)

    assert field == "security.actor.id"
    assert message == "expected a name for whoever acts"


SECRET = """
version: "1.0"
namespace: app
entries:
  - name: token
    kind: security.policy
    policy:
      actions: "*"
      resources: "*"
      effect: deny
      conditions:
        - field: meta.token
          operator: OPERATOR
          value: ${env:TOKEN}
"""


@pytest.mark.parametrize("secret", ["hunter2", "424242"])
@pytest.mark.parametrize(
    ("operator", "meta"), [("ne", {"token": "other"}), ("contains", {"token": {"a": 1}})]
)
def test_a_secret_of_the_environment_is_in_no_reason_and_no_explanation(loaded, operator, meta, secret):
    registry = loaded(SECRET.replace("OPERATOR", operator), environ={"TOKEN": secret})
    scope = Policies.from_registry(registry).scope(policies=[EntryID("app", "token")])

    [explanation] = scope.explain(ALICE, "read", "app:x", meta)
    [missing] = scope.explain(ALICE, "read", "app:x", {})
    decision = scope.evaluate(ALICE, "read", "app:x", meta)

    assert decision.outcome == "deny"
    assert secret not in f"{explanation} {missing} {decision} {registry['app:token']}"
    assert f"meta.token {operator} '${{env:TOKEN}}' is false" in str(missing)


def test_a_secret_of_the_environment_is_in_no_error(loaded):
    with pytest.raises(ConfigurationError) as raised:
        loaded(SECRET.replace("OPERATOR", "lt"), environ={"TOKEN": "hunter2"})

    assert "hunter2" not in str(raised.value)


def test_a_strict_policy_is_declared_in_its_block(loaded):
    registry = loaded(
        declarative(effect="deny", strict="true", conditions="[{field: meta.x, operator: eq, value: 1}]")
    )
    scope = Policies.from_registry(registry).scope(policies=[EntryID("app", "p")])

    decision = scope.evaluate(ALICE, "read", "app:x")

    assert decision.outcome == "deny"
    assert "meta.x is missing, and the policy is strict" in decision.reason


def test_value_from_wins_over_value_in_a_file(loaded):
    condition = "[{field: meta.x, operator: eq, value: 1, value_from: actor.id}]"
    scope = Policies.from_registry(loaded(declarative(conditions=condition))).scope(
        policies=[EntryID("app", "p")]
    )

    assert scope.evaluate(ALICE, "read", "app:x", {"x": "alice"}).allowed


BROKEN_POLICIES = {
    "a field of the policy": declarative(effect="alow") + "    groups: [staff]\n",
    "the kind of the policy": declarative().replace("security.policy", "security.polcy")
    + "    groups: [staff]\n",
    "the file of the policy": declarative() + "    groups: [staff\n",
}


@pytest.mark.parametrize("policy", BROKEN_POLICIES.values(), ids=list(BROKEN_POLICIES))
def test_a_group_is_not_called_unknown_while_a_policy_is_broken(loaded, policy):
    services = "namespace: web\nentries:\n  - {name: s, kind: service, security: {groups: ['app:staff']}}\n"

    with pytest.raises(ConfigurationError) as raised:
        loaded(policy, services)

    [problem] = raised.value.problems
    assert problem.file.name == "0.yaml"


def test_an_unknown_group_is_told_although_an_entry_that_is_no_policy_is_broken(loaded):
    services = (
        "namespace: web\nentries:\n  - {name: s, kind: service, security: {groups: ['app:staf']}}\n"
        "  - {name: t, kind: service, securty: {}}\n"
    )

    with pytest.raises(ConfigurationError) as raised:
        loaded(declarative() + "    groups: [staff]\n", services)

    assert [problem.field for problem in raised.value.problems] == ["security.groups[0]", "securty"]
