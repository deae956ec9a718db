"""What one can ask of a supervisor, and what it is told.

Knows: names, specs and lifelines. Does not know: what follows from a message; see supervisor.py. All are
control: they are handled before whatever else waits in the supervisor's mailbox.
"""

from __future__ import annotations

from typing import Final

import attrs

from .child import ChildSpec
from .mailbox import Control
from .supervised import Lifeline


@attrs.frozen
class AddChild(Control):
    """Take in a child; start it if its spec says so. Answered when accepted, as all requests are."""

    spec: ChildSpec


@attrs.frozen
class RemoveChild(Control):
    """Stop a child and forget it. Refused with `ChildNeeded` while others require it."""

    child: str


@attrs.frozen
class StartChild(Control):
    """Start a child and what it requires, at once, also where it had given up."""

    child: str


@attrs.frozen
class StopChild(Control):
    """Stop a child, after all that require it, and leave them stopped."""

    child: str


@attrs.frozen
class RestartChild(Control):
    """Stop a child and what requires it, and start all of them again."""

    child: str


@attrs.frozen
class Begin(Control):
    """To itself: start the children."""


@attrs.frozen
class ChildReady(Control):
    """From a child's thread."""

    lifeline: Lifeline


@attrs.frozen
class ChildEnded(Control):
    """From a child's thread, or from the sweep that found it dead."""

    lifeline: Lifeline
    error: BaseException | None


@attrs.frozen
class StartTimedOut(Control):
    """A child's start took too long."""

    lifeline: Lifeline


@attrs.frozen
class StopTimedOut(Control):
    """A child's stop took too long."""

    lifeline: Lifeline
    seconds: float


@attrs.frozen
class BackoffOver(Control):
    """A failed child may be tried again."""

    child: str
    attempts: int


@attrs.frozen
class Rush(Control):
    """The time for the stop runs out: tell everybody, in whatever order."""


@attrs.frozen
class Sweep(Control):
    """Time to look for threads that died without a word."""


REQUESTS: Final = frozenset({AddChild, RemoveChild, StartChild, StopChild, RestartChild})
NOTICES: Final = frozenset(
    {Begin, ChildReady, ChildEnded, StartTimedOut, StopTimedOut, BackoffOver, Rush, Sweep}
)
