"""How policies are combined: a deny wins, any allow allows, silence is undefined.

Knows: the order of IDs makes the answer reproducible, not different. A deny that cannot be evaluated denies; an allow
that cannot be evaluated allows nothing. Never raises, logs, or reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from .decision import Decision
from .errors import PolicyError
from .principals import Request


class Applicable(Protocol):
    """What is combined: a policy, or what is already known of one."""

    @property
    def verdict(self) -> Decision:
        """The decision when this one decides: its effect and its ID."""
        ...

    def holds(self, request: Request) -> bool:
        """Whether its rule is true. Raises PolicyError when that cannot be said."""
        ...


NO_POLICIES: Final = Decision("undefined", None, "the scope has no policies")
NONE_ALLOWS: Final = Decision("undefined", None, "no policy allows it")


def decide(policies: Iterable[Applicable], request: Request) -> Decision:
    """Combine policies that speak of the request's action and resource.

    Args:
        policies: In the order of their IDs, already filtered by action and resource.
        request: What is asked.

    Returns:
        The decision; the deciding policy is the first that denies, else the first that allows.
    """
    allowing: Decision | None = None
    trouble = ""
    for policy in policies:
        try:
            applies = policy.holds(request)
        except PolicyError as error:
            decided_by = policy.verdict.policy
            if not policy.verdict.allowed:
                return Decision(
                    "deny", decided_by, f"{decided_by} denies it, for it cannot be evaluated: {error}"
                )
            trouble = trouble or f"; {decided_by} cannot be evaluated: {error}"
            continue
        if applies and not policy.verdict.allowed:
            return policy.verdict
        if applies and allowing is None:
            allowing = policy.verdict
    if allowing is None:
        return Decision("undefined", None, f"no policy allows it{trouble}") if trouble else NONE_ALLOWS
    return allowing
