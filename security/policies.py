"""Policies: every policy of a registry, compiled, and the groups they form.

Knows: how an entry becomes a Policy, and how a `security:` block becomes a Scope. Does not evaluate anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..registry import Entry, EntryID, EntryNotFound, Registry
from .conditions import Condition, compile_condition
from .entries import (
    ConditionConfig,
    ExpressionPolicyConfig,
    PolicyConfig,
    SecurityBlock,
    groups_of,
    policy_entries,
)
from .errors import UnknownGroup
from .expression import Expression
from .policy import AllConditions, ExpressionRule, Policy, Rule
from .scopes import Scope


class Policies:
    """All policies of an application and their groups. Immutable, thread-safe.

    Args:
        policies: Compiled policies.
        groups: The policies of each group.
    """

    def __init__(self, policies: Iterable[Policy], groups: Mapping[EntryID, Iterable[EntryID]]) -> None:
        self._policies = {policy.id: policy for policy in policies}
        self._groups = {group: tuple(members) for group, members in groups.items()}

    @classmethod
    def from_registry(cls, registry: Registry) -> Policies:
        """Compile the entries of both kinds of policy and collect their groups.

        Raises:
            PolicyError: An entry is invalid; cannot happen for a registry that was loaded.
        """
        groups: dict[EntryID, list[EntryID]] = {}
        policies = []
        for entry in policy_entries(registry):
            policies.append(compile_policy(entry))
            for group in groups_of(entry):
                groups.setdefault(group, []).append(entry.id)
        return cls(policies, groups)

    def __getitem__(self, policy_id: EntryID) -> Policy:
        """The policy of an ID. Raises EntryNotFound, which names the nearest one."""
        found = self._policies.get(policy_id)
        if found is None:
            raise EntryNotFound(str(policy_id), map(str, self._policies))
        return found

    def get(self, policy_id: EntryID) -> Policy | None:
        """The policy of an ID, or None."""
        return self._policies.get(policy_id)

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._policies.values())

    def __len__(self) -> int:
        return len(self._policies)

    @property
    def groups(self) -> Mapping[EntryID, tuple[EntryID, ...]]:
        """The IDs of the policies of each group."""
        return dict(self._groups)

    def scope(self, policies: Iterable[EntryID] = (), groups: Iterable[EntryID] = ()) -> Scope:
        """A scope of the policies and of the members of the groups.

        Raises:
            EntryNotFound: There is no such policy.
            UnknownGroup: No policy belongs to that group.
        """
        selected = [self[policy_id] for policy_id in policies]
        for group in groups:
            if group not in self._groups:
                raise UnknownGroup(group, self._groups)
            selected.extend(self[policy_id] for policy_id in self._groups[group])
        return Scope(selected)

    def scope_of(self, block: SecurityBlock, namespace: str) -> Scope | None:
        """The scope of a `security:` block of an entry of a namespace.

        Returns:
            None when the block names neither policies nor groups: then there is no scope, not an empty one
            (`spec/supervisor.md` 10).

        Raises:
            EntryNotFound: As `scope`; cannot happen for a registry that was loaded.
            UnknownGroup: As `scope`.
        """
        if not block.policies and not block.groups:
            return None
        return self.scope(block.policies, block.group_ids(namespace))


def compile_policy(entry: Entry) -> Policy:
    """The policy of an entry of one of the two kinds.

    Raises:
        PolicyError: The entry is invalid; cannot happen for a registry that was loaded.
    """
    config: PolicyConfig | ExpressionPolicyConfig = entry.config
    policy = config.policy
    rule: Rule | None
    if isinstance(config, PolicyConfig):
        rule = _conditions(entry, config)
    else:
        rule = ExpressionRule(Expression(config.policy.expression, strict=config.policy.strict))
    return Policy(entry.id, policy.effect, policy.actions, policy.resources, rule)


def _conditions(entry: Entry, config: PolicyConfig) -> AllConditions | None:
    shown = _values_as_written(entry.data)
    conditions = tuple(
        _condition(condition, shown.get(index), strict=config.policy.strict)
        for index, condition in enumerate(config.policy.conditions)
    )
    return AllConditions(conditions) if conditions else None


def _condition(config: ConditionConfig, shown: Any, *, strict: bool) -> Condition:
    compiled = compile_condition(
        config.field, config.operator, config.value, config.value_from, strict=strict
    )
    return compiled if shown is None or config.value_from is not None else compiled.shown_as(shown)


def _values_as_written(data: Mapping[str, Any]) -> dict[int, Any]:
    """The value of each condition before placeholders were resolved: what an explanation may show."""
    written = data.get("policy", {}).get("conditions", [])
    return {index: condition.get("value") for index, condition in enumerate(written)}
