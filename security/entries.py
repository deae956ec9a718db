"""What may stand in a definition file about security: the config classes and their kinds.

Knows: fields, and what makes one invalid. Values of the configuration are never repeated in a message: they may come
from `${env:…}`. Evaluates nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs

from ..registry import Duration, Entry, EntryID, Kind, NoriaError, Registry, between, reference, secret
from .conditions import OPERATORS, check_constant
from .errors import UnknownGroup, did_you_mean
from .expression import Expression
from .fields import compile_field
from .principals import Principal

Complaints = Iterator[tuple[str, str]]
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

DECLARATIVE = "security.policy"
EXPRESSION = "security.policy.expr"
KIND_NAMES = (DECLARATIVE, EXPRESSION)


def _refused_by(check: Callable[[Any], object]) -> Validator:
    """A validator from a function that raises a NoriaError for what it does not like."""

    def validate(_instance: Any, _attribute: attrs.Attribute[Any], value: Any) -> None:
        try:
            if value is not None:
                check(value)
        except NoriaError as error:
            raise ValueError(str(error)) from error

    return validate


def _patterns(_instance: Any, _attribute: attrs.Attribute[Any], value: str | tuple[str, ...]) -> None:
    items = (value,) if isinstance(value, str) else value
    if not items or not all(items):
        raise ValueError('expected a pattern such as "queue.*", or a list of at least one')


def _not_empty(_instance: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if not value:
        raise ValueError("expected a name for whoever acts")


def _operator(_instance: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if value not in OPERATORS:
        hint = did_you_mean(value, OPERATORS)
        raise ValueError(f"unknown operator{hint}; known are {', '.join(OPERATORS)}")


def _constant(condition: ConditionConfig, _attribute: attrs.Attribute[Any], value: Any) -> None:
    if condition.value_from is None and condition.operator in OPERATORS:
        _refused_by(lambda _: check_constant(condition.operator, value))(condition, _attribute, True)  # noqa: FBT003


def _groups(_instance: Any, _attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for name in value:
        EntryID.parse(name, "namespace")


@attrs.frozen(kw_only=True)
class ConditionConfig:
    """One condition: `field`, `operator`, and `value` or `value_from`, which wins (`spec/security.md` 2)."""

    field: str = attrs.field(validator=_refused_by(compile_field))
    operator: str = attrs.field(validator=_operator)
    value: Any = attrs.field(default=None, validator=_constant)
    value_from: str | None = attrs.field(default=None, validator=_refused_by(compile_field))


@attrs.frozen(kw_only=True)
class RuleConfig:
    """The `policy:` block of a declarative policy. `strict`: a missing field is an error."""

    actions: str | tuple[str, ...] = attrs.field(validator=_patterns)
    resources: str | tuple[str, ...] = attrs.field(validator=_patterns)
    effect: Literal["allow", "deny"]
    conditions: tuple[ConditionConfig, ...] = ()
    strict: bool = False


@attrs.frozen(kw_only=True)
class ExpressionRuleConfig:
    """The `policy:` block of a policy with an expression."""

    actions: str | tuple[str, ...] = attrs.field(validator=_patterns)
    resources: str | tuple[str, ...] = attrs.field(validator=_patterns)
    effect: Literal["allow", "deny"]
    expression: str = attrs.field(validator=_refused_by(Expression))
    strict: bool = False


@attrs.frozen(kw_only=True)
class PolicyConfig:
    """An entry of kind `security.policy`. A bare group name belongs to the policy's own namespace."""

    policy: RuleConfig
    groups: tuple[str, ...] = attrs.field(default=(), validator=_groups)


@attrs.frozen(kw_only=True)
class ExpressionPolicyConfig:
    """An entry of kind `security.policy.expr`."""

    policy: ExpressionRuleConfig
    groups: tuple[str, ...] = attrs.field(default=(), validator=_groups)


def _key(_instance: Any, _attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value == "":  # what an unset variable may become; it must not mean that nothing is signed
        raise ValueError(
            "expected a key, found an empty text; leave the field out for tokens without signature"
        )


@attrs.frozen(kw_only=True)
class TokenStoreConfig:
    """An entry of kind `security.token_store`.

    Attributes:
        store: The key-value store that tokens are kept in.
        token_length: Random bytes of a token.
        default_expiration: How long a token is good that does not say it itself.
        token_key: Signs tokens; never shown.
        token_key_env: The name of an environment variable, whose value goes before `token_key`.
    """

    store: EntryID = reference("store.memory")
    token_length: int = between(1, 1024, default=32)
    default_expiration: Duration = between(0.001, default=86_400.0)
    token_key: str | None = secret(default=None, validator=_key)
    token_key_env: str | None = None

    def key(self, environ: Mapping[str, str] = os.environ) -> bytes | None:
        """What signs tokens; None when there is no key.

        Raises:
            ValueError: There was to be one, in a variable that is not set or is empty. The message is for the field.
        """
        found = self.token_key
        if self.token_key_env is not None:
            found = environ.get(self.token_key_env, found)
            if found is None:
                raise ValueError(f"the environment variable {self.token_key_env} is not set")
            if not found:
                raise ValueError(f"the environment variable {self.token_key_env} is empty")
        return None if found is None else found.encode()


def _check_token_store(entry: Entry, registry: Registry) -> Complaints:  # noqa: ARG001  (its reference is checked)
    config: TokenStoreConfig = entry.config
    try:
        config.key()
    except ValueError as error:
        yield "token_key_env", str(error)


@attrs.frozen(kw_only=True)
class ActorConfig:
    """The `actor:` of a `security:` block: who acts."""

    id: str = attrs.field(validator=_not_empty)
    meta: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class SecurityBlock:
    """A `security:` block: as whom something acts, and under which policies.

    Attributes:
        actor: The principal; without one, nothing that runs under the block has a principal.
        groups: Names of groups; a bare name belongs to the namespace of the entry that has the block.
        policies: IDs of policies.
    """

    actor: ActorConfig | None = None
    groups: tuple[str, ...] = attrs.field(default=(), validator=_groups)
    policies: tuple[EntryID, ...] = reference(*KIND_NAMES, default=())

    def principal(self) -> Principal | None:
        """The principal of the block, or None."""
        return None if self.actor is None else Principal(self.actor.id, self.actor.meta)

    def group_ids(self, namespace: str) -> tuple[EntryID, ...]:
        """The groups by full name, for an entry of a namespace."""
        return tuple(EntryID.parse(name, namespace) for name in self.groups)


def groups_of(entry: Entry) -> tuple[EntryID, ...]:
    """The groups that a policy entry belongs to, by full name; the same rule for both kinds of policy."""
    return tuple(EntryID.parse(name, entry.id.namespace) for name in entry.config.groups)


def policy_entries(registry: Registry) -> Iterator[Entry]:
    """The policies of a registry, in the order of their IDs."""
    return (entry for entry in registry if entry.kind in KIND_NAMES)


def check_security_block(block: SecurityBlock, entry: Entry, registry: Registry) -> Complaints:
    """What only the whole registry can tell about a `security:` block; for the `check` of a kind that has one.

    Args:
        block: The block.
        entry: The entry it stands in.
        registry: The registry that the check was given.

    Yields:
        A field path relative to the block, such as `groups[0]`, and a message. Nothing while a policy is broken:
        any group may be its.
    """
    if not block.groups or not registry.is_complete(*KIND_NAMES):
        return
    known = {group for policy in policy_entries(registry) for group in groups_of(policy)}
    for index, group in enumerate(block.group_ids(entry.id.namespace)):
        if group not in known:
            yield f"groups[{index}]", str(UnknownGroup(group, known))


#: The kinds of this package, for the table of kinds of an application.
KINDS = (
    Kind(DECLARATIVE, PolicyConfig),
    Kind(EXPRESSION, ExpressionPolicyConfig),
    Kind("security.token_store", TokenStoreConfig, _check_token_store),
)
