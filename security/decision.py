"""What was decided, and why.

Knows: three outcomes and how they are explained. Pure: no clock, no log, no policy is evaluated here.
"""

from __future__ import annotations

from typing import Literal

import attrs

from ..registry import EntryID

Effect = Literal["allow", "deny"]
Outcome = Literal["allow", "deny", "undefined"]


@attrs.frozen
class Decision:
    """The answer of policies to one request. Immutable, thread-safe.

    Attributes:
        outcome: `allow`, `deny`, or `undefined` when no policy applies; undefined is not allowed.
        policy: The policy that decided: the first in the order of IDs; None when none did.
        reason: A sentence for people and logs. It names types, not values of the configuration.
        allowed: Whether the outcome is `allow`; a plain attribute, for hot paths.
    """

    outcome: Outcome
    policy: EntryID | None
    reason: str
    allowed: bool = attrs.field(init=False, repr=False, eq=False)

    @allowed.default
    def _allowed(self) -> bool:
        return self.outcome == "allow"


@attrs.frozen
class Explanation:
    """Why one policy did, or did not, take part in a decision. Immutable, thread-safe.

    Attributes:
        policy: The policy.
        effect: What it does when it applies.
        applies: Whether its effect counts in this decision; a deny that could not be evaluated does.
        failed: What kept it from applying: `actions`, `resources`, `condition 2`, `expression`; or None.
        reason: A sentence. It shows values of the request, so it is for the eyes of who asked.
        error: What went wrong while it was evaluated, or None.
    """

    policy: EntryID
    effect: Effect
    applies: bool
    failed: str | None
    reason: str
    error: str | None = None

    def __str__(self) -> str:
        return (
            f"{self.policy} ({self.effect}) {'applies' if self.applies else 'does not apply'}: {self.reason}"
        )
