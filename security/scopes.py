"""Scope: the policies that a principal is under.

Knows: an immutable set of policies keyed by ID. Does not know where they come from, nor what a missing scope means
(guard.py does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..registry import EntryID
from .decide import NO_POLICIES, decide
from .decision import Decision, Explanation
from .policy import Policy
from .principals import Meta, Principal, Request


class Scope:
    """An immutable set of policies, keyed by policy ID and held in the order of IDs. Thread-safe.

    Policies are a snapshot: a scope that was built never changes (`spec/security.md` 4).

    Args:
        policies: The later of two with the same ID wins.
    """

    __slots__ = ("_policies",)

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        by_id = {policy.id: policy for policy in policies}
        self._policies = {policy_id: by_id[policy_id] for policy_id in sorted(by_id)}

    def with_(self, policy: Policy) -> Scope:
        """A scope with this policy too; it takes the place of one with the same ID."""
        return Scope((*self._policies.values(), policy))

    def without(self, policy_id: EntryID) -> Scope:
        """A scope without the policy of this ID; this same scope if it has none."""
        if policy_id not in self._policies:
            return self
        return Scope(policy for policy in self if policy.id != policy_id)

    def contains(self, policy_id: EntryID) -> bool:
        """Whether a policy of this ID is in the scope."""
        return policy_id in self._policies

    def policies(self) -> tuple[Policy, ...]:
        """The policies in the order of their IDs."""
        return tuple(self)

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._policies.values())

    def __len__(self) -> int:
        return len(self._policies)

    def __bool__(self) -> bool:
        # A scope without policies is a scope: it allows nothing. No scope at all is something else.
        return True

    def __repr__(self) -> str:
        return f"<Scope {', '.join(map(str, self._policies))}>"

    def speaking_of(self, action: str, resource: str) -> tuple[Policy, ...]:
        """The policies whose filters match, in the order of their IDs."""
        return tuple(policy for policy in self if policy.speaks_of(action, resource))

    def names(self, action: str, resource: str) -> bool:
        """Whether a policy names the action for the resource, whatever its effect and rule.

        A pattern of actions that is only `*` names nothing in particular: such policies were written before the
        action existed. Anything more does, `queue.*` too. The consumer asks for `queue.consume` only if it is named.
        """
        return any(policy.actions.name(action) and policy.resources.match(resource) for policy in self)

    def evaluate(self, principal: Principal, action: str, resource: str, meta: Meta = None) -> Decision:
        """Decide: no policies or none that applies is undefined, a deny wins, any allow allows.

        Args:
            principal: Who asks.
            action: What for, such as `queue.publish.queue`.
            resource: On what.
            meta: What else is known about the request: a mapping, or a function without arguments that builds one
                and is called at most once, when a policy looks.

        Returns:
            The decision. Never raises: what cannot be evaluated makes a deny apply, and an allow not.
        """
        if not self._policies:
            return NO_POLICIES
        return decide(self.speaking_of(action, resource), Request(principal, action, resource, meta))

    def explain(
        self, principal: Principal, action: str, resource: str, meta: Meta = None
    ) -> tuple[Explanation, ...]:
        """Why each policy does, or does not, take part in a decision; in the order of their IDs."""
        request = Request(principal, action, resource, meta)
        return tuple(policy.explain(request) for policy in self)
