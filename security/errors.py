"""What can go wrong while deciding who may do what.

NoriaError                (registry)
  AccessDenied            .principal .action .resource .decision; never retried
  PolicyError             a policy cannot be loaded, or not be evaluated for one request
    ConditionError        a condition of a declarative policy
    PatternRefused        .position; a regular expression that is wrong, not regular or too large
    ExpressionError       .line .column; an expression, while it is compiled or evaluated
  UnknownGroup            .group; no policy names this group
  TokenError              .store; a token is of no use, or cannot be made
    TokenInvalid          .problem; it is no token of this store, or its signature is wrong
    TokenUnknown          there is no such token, or it ended long ago
    TokenExpired          .expires
    TokenRevoked          .revoked
    TokenOutdated         .policies; a policy that denied is not declared any more
    TokenRefused          .problem; a token cannot be made of this

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


class TokenError(NoriaError):
    """A token is of no use, or cannot be made. The text of a token is never part of the message.

    Attributes:
        store: The ID of the token store.
    """

    retryable = False  # as for AccessDenied

    def __init__(self, store: str, message: str) -> None:
        super().__init__(f"{store}: {message}")
        self.store = store


class TokenInvalid(TokenError):
    """A text that is no token of this store: malformed, unsigned, signed by somebody else, or changed.

    Attributes:
        problem: Which of these it is.
    """

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(store, f"the token is invalid: {problem}")
        self.problem = problem


class TokenUnknown(TokenError):
    """There is no such token, or it ended so long ago that nobody remembers."""

    def __init__(self, store: str) -> None:
        super().__init__(store, "there is no such token")


class TokenExpired(TokenError):
    """The token was good once.

    Attributes:
        expires: When it ended, in seconds since 1970.
    """

    def __init__(self, store: str, expires: float) -> None:
        super().__init__(store, "the token has expired")
        self.expires = expires


class TokenRevoked(TokenError):
    """The token was taken back before its end.

    Attributes:
        revoked: When, in seconds since 1970.
    """

    def __init__(self, store: str, revoked: float) -> None:
        super().__init__(store, "the token was revoked")
        self.revoked = revoked


class TokenOutdated(TokenError):
    """The token was made under policies that deny, and some of them are not declared any more.

    Attributes:
        policies: Their IDs.
    """

    def __init__(self, store: str, policies: tuple[str, ...]) -> None:
        gone = ", ".join(policies)
        super().__init__(
            store, f"the token is outdated: it was denied things by what is not declared now: {gone}"
        )
        self.policies = policies


class TokenRefused(TokenError):
    """A token cannot be made of this.

    Attributes:
        problem: Why.
    """

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(store, f"no token can be made: {problem}")
        self.problem = problem


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or nothing when none is near."""
    near = nearest(text, known)
    return f"; did you mean {near!r}?" if near else ""
