"""What this package tells the bus and audit hooks.

Knows: plain values. Carries no live objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..registry import EntryID, Event
from .decision import Decision
from .principals import Principal


@attrs.frozen(kw_only=True)
class Denied(Event):
    """Somebody was not allowed to do something.

    Attributes:
        principal: The id of who asked; None when there was no principal.
        action: What for.
        resource: On what.
        policy: The policy that denied; None when none allowed, or when strict mode misses a principal or scope.
        reason: A sentence.
    """

    principal: str | None
    action: str
    resource: str
    policy: EntryID | None
    reason: str


@attrs.frozen(kw_only=True, eq=False)
class Decided:
    """One decision, as an audit hook sees it.

    Attributes:
        principal: Who asked, or None.
        action: What for.
        resource: On what.
        meta: What else was known about the request.
        decision: The answer.
    """

    principal: Principal | None
    action: str
    resource: str
    meta: Mapping[str, Any]
    decision: Decision
