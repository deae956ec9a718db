"""Policy: which actions on which resources it speaks about, under what rule, and to what effect.

Knows: filters first, then the rule; what cannot be evaluated is an error for whoever combines policies. Does not know
how several policies are combined, nor where policies come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import attrs

from ..registry import EntryID
from .conditions import Condition
from .decision import Decision, Effect, Explanation
from .errors import PolicyError
from .expression import Expression
from .patterns import Patterns
from .principals import Request


class Rule(Protocol):
    """What must hold, besides the filters, for a policy to apply. Thread-safe, pure."""

    @property
    def uses_meta(self) -> bool:
        """Whether the answer can depend on the metadata of the request."""
        ...

    def holds(self, request: Request) -> bool:
        """Whether the rule is true. Raises PolicyError when that cannot be said."""
        ...

    def why_not(self, request: Request) -> tuple[str, str]:
        """For a request for which it is false: which part of the rule failed, and a sentence."""
        ...


@attrs.frozen(eq=False)
class AllConditions:
    """The rule of a declarative policy: every condition, in the order of the file; the first that fails decides."""

    conditions: tuple[Condition, ...]

    @property
    def uses_meta(self) -> bool:
        """Whether a condition looks at the metadata of the request."""
        return any(condition.uses_meta for condition in self.conditions)

    def holds(self, request: Request) -> bool:
        """Whether every condition holds. Raises PolicyError at the first that cannot be evaluated."""
        return all(condition.holds(request) for condition in self.conditions)

    def why_not(self, request: Request) -> tuple[str, str]:
        """The first condition that does not hold."""
        number, condition = next(
            (number, condition)
            for number, condition in enumerate(self.conditions, 1)
            if not condition.holds(request)
        )
        return f"condition {number}", condition.why_not(request)


@attrs.frozen(eq=False)
class ExpressionRule:
    """The rule of a `security.policy.expr`."""

    expression: Expression

    @property
    def uses_meta(self) -> bool:
        """Whether the expression mentions the metadata of the request."""
        return self.expression.uses_meta

    def holds(self, request: Request) -> bool:
        """Whether the expression is true. Raises ExpressionError when it cannot be evaluated."""
        return self.expression.holds(request)

    def why_not(self, _request: Request) -> tuple[str, str]:
        """An expression fails as a whole."""
        return "expression", "the expression is false"


def _as_patterns(texts: str | Iterable[str] | Patterns) -> Patterns:
    if isinstance(texts, Patterns):
        return texts
    return Patterns((texts,) if isinstance(texts, str) else tuple(texts))


@attrs.frozen(eq=False)
class Policy:
    """One policy, compiled. Immutable, thread-safe, compared by identity.

    Attributes:
        id: The entry it comes from.
        effect: `allow` or `deny`.
        actions: Patterns, a text or several; one must match the action.
        resources: Patterns; one must match the resource.
        rule: What must hold besides; None is always.
        uses_meta: Whether applying can depend on the metadata of the request.
        verdict: The decision when this policy is the one that decides.
    """

    id: EntryID
    effect: Effect = attrs.field(validator=attrs.validators.in_(("allow", "deny")))
    actions: Patterns = attrs.field(converter=_as_patterns)
    resources: Patterns = attrs.field(converter=_as_patterns)
    rule: Rule | None = None
    uses_meta: bool = attrs.field(init=False)
    verdict: Decision = attrs.field(init=False, repr=False)

    @uses_meta.default
    def _asks_for_meta(self) -> bool:
        return self.rule is not None and self.rule.uses_meta

    @verdict.default
    def _decision_once_it_applies(self) -> Decision:
        does = "denies" if self.effect == "deny" else "allows"
        return Decision(self.effect, self.id, f"{self.id} {does} it")

    def speaks_of(self, action: str, resource: str) -> bool:
        """Whether the filters match: only then the rule is asked."""
        return self.actions.match(action) and self.resources.match(resource)

    def holds(self, request: Request) -> bool:
        """Whether the rule is true for the request; the filters are not looked at.

        Raises:
            PolicyError: That cannot be said: a wrong type, a refused pattern, metadata that fails when read.
        """
        if self.rule is None:
            return True
        try:
            return self.rule.holds(request)
        except PolicyError:
            raise
        except Exception as error:
            # Whatever it is, an error must fail closed, and never end in the worker that asked.
            raise PolicyError(f"{type(error).__name__}: {error}") from error

    def explain(self, request: Request) -> Explanation:
        """Why the policy does, or does not, apply to the request."""
        for name, patterns, asked in (
            ("actions", self.actions, request.action),
            ("resources", self.resources, request.resource),
        ):
            if not patterns.match(asked):
                reason = f"none of its {name} ({patterns}) matches {asked!r}"
                return Explanation(self.id, self.effect, applies=False, failed=name, reason=reason)
        return self._explain_rule(request)

    def _explain_rule(self, request: Request) -> Explanation:
        try:
            if self.holds(request):
                reason = "actions and resources match" + (" and its rule holds" if self.rule else "")
                return Explanation(self.id, self.effect, applies=True, failed=None, reason=reason)
            assert self.rule is not None  # noqa: S101 - for the type checker; no rule always holds
            failed, reason = self.rule.why_not(request)
            return Explanation(self.id, self.effect, applies=False, failed=failed, reason=reason)
        except PolicyError as error:
            return self._explain_error(error)

    def _explain_error(self, error: PolicyError) -> Explanation:
        denies = self.effect == "deny"
        consequence = "a deny that cannot be evaluated denies" if denies else "it therefore allows nothing"
        reason = f"{error}; {consequence}"
        return Explanation(self.id, self.effect, applies=denies, failed=None, reason=reason, error=str(error))
