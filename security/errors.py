"""What can go wrong while deciding who may do what.

NoriaError                (registry)
  AccessDenied            .principal .action .resource .decision; never retried
  PolicyError             a policy cannot be loaded, or not be evaluated for one request
    ConditionError        a condition of a declarative policy
    PatternRefused        .position; a regular expression that is wrong, not regular or too large
    ExpressionError       .line .column; an expression, while it is compiled or evaluated
  UnknownGroup            .group; no policy names this group

Knows: the fields of each error and the sentence they make. A PolicyError never leaves a decision: it
becomes a policy that does not apply, or a deny that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..registry import EntryID, NoriaError
from ..registry.wording import nearest

if TYPE_CHECKING:
    from .decision import Decision
    from .principals import Principal


class AccessDenied(NoriaError):
    """A principal may not do this; the decision says which policy spoke and why.

    Attributes:
        principal: Who asked, or None.
        action: What was asked for, such as `queue.publish.queue`.
        resource: On what, such as `app:tasks`.
        decision: The decision, with `.policy` and `.reason`.
    """

    retryable = False  # said in so many words: trying again cannot help, so no supervisor does

    def __init__(self, principal: Principal | None, action: str, resource: str, decision: Decision) -> None:
        who = "nobody" if principal is None else principal.id
        super().__init__(f"{who} may not {action} on {resource!r}: {decision.reason}")
        self.principal = principal
        self.action = action
        self.resource = resource
        self.decision = decision


class PolicyError(NoriaError):
    """A policy cannot be loaded, or its rule cannot be evaluated for one request."""


class ConditionError(PolicyError):
    """One condition of a declarative policy is wrong or cannot be evaluated."""


class PatternRefused(PolicyError):
    """A regular expression that is malformed, that no linear-time engine can run, or that is too large.

    Attributes:
        position: Where in the pattern, in characters from 0.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"regular expression, character {position + 1}: {message}")
        self.position = position


class ExpressionError(PolicyError):
    """An expression that does not compile, or that could not be evaluated for one request.

    Attributes:
        line: Line in the expression, from 1.
        column: Column in that line, from 1.
    """

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"expression:{line}:{column}: {message}")
        self.line = line
        self.column = column


class UnknownGroup(NoriaError):
    """No policy says that it belongs to this group.

    Attributes:
        group: The group that was asked for.
    """

    def __init__(self, group: EntryID, known: Iterable[EntryID]) -> None:
        super().__init__(f"unknown policy group {group}{did_you_mean(str(group), map(str, known))}")
        self.group = group


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or nothing when none is near."""
    near = nearest(text, known)
    return f"; did you mean {near!r}?" if near else ""
