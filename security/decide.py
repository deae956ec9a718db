"""How policies are combined: a deny wins, any allow allows, silence is undefined.

Knows: the order of IDs makes the answer reproducible, not different. A deny that cannot be evaluated denies; an allow
that cannot be evaluated allows nothing. Never raises, logs, or reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ..registry import EntryID
from .decision import Decision, Effect
from .errors import PolicyError
from .principals import Request


class Applicable(Protocol):
    """What is combined: a policy, or what is already known of one."""

    @property
    def id(self) -> EntryID:
        """The policy's ID."""
        ...

    @property
    def effect(self) -> Effect:
        """What it does when it applies."""
        ...

    def holds(self, request: Request) -> bool:
        """Whether its rule is true. Raises PolicyError when that cannot be said."""
        ...


NO_POLICIES: Final = Decision("undefined", None, "the scope has no policies")


def decide(policies: Iterable[Applicable], request: Request) -> Decision:
    """Combine policies that speak of the request's action and resource.

    Args:
        policies: In the order of their IDs, already filtered by action and resource.
        request: What is asked.

    Returns:
        The decision; the deciding policy is the first that denies, else the first that allows.
    """
    allowing: Applicable | None = None
    trouble = ""
    for policy in policies:
        try:
            applies = policy.holds(request)
        except PolicyError as error:
            if policy.effect == "deny":
                return Decision("deny", policy.id, f"{policy.id} denies: it could not be evaluated ({error})")
            trouble = trouble or f"; {policy.id} could not be evaluated ({error})"
            continue
        if applies and policy.effect == "deny":
            return Decision("deny", policy.id, f"{policy.id} denies it")
        if applies and allowing is None:
            allowing = policy
    if allowing is None:
        return Decision("undefined", None, f"no policy allows it{trouble}")
    return Decision("allow", allowing.id, f"{allowing.id} allows it")
