"""The events of a supervised tree.

Knows: names, numbers and errors. Does not know: actors. No event carries a message's content, which may
be secret, or a reference to a live object, which a sink might keep alive.
"""

from __future__ import annotations

import logging
from typing import Final

import attrs

from ...registry import Event
from .errors import describe

logger = logging.getLogger("noria.supervision")


@attrs.frozen
class SupervisionEvent(Event):
    """Root of this file's events. `supervisor` is its name, the ID under which its own supervisor has it."""

    supervisor: str


@attrs.frozen
class ChildStarted(SupervisionEvent):
    """A child is ready. `restarts` counts its starts after the first: 0 means it was never down."""

    child: str
    restarts: int


@attrs.frozen
class ChildFailed(SupervisionEvent):
    """A child ended without being asked to, or could not start. `retry_in` seconds, or None for never."""

    child: str
    error: BaseException
    attempt: int
    retry_in: float | None


@attrs.frozen
class ChildStopped(SupervisionEvent):
    """A child ended because it was asked to, or because its work was done. `error`: it stopped badly."""

    child: str
    error: BaseException | None = None


@attrs.frozen
class ChildGaveUp(SupervisionEvent):
    """A child failed for good: its error is terminal, its attempts are used up, or it is temporary."""

    child: str
    error: BaseException


@attrs.frozen
class ChildStopTimeout(SupervisionEvent):
    """A child did not end in time after it was told to; it was abandoned, its thread may still run."""

    child: str
    seconds: float
    thread: str


@attrs.frozen
class SupervisorFailed(SupervisionEvent):
    """A supervisor gives up: it stops its children and fails, and its own supervisor decides."""

    error: BaseException


@attrs.frozen
class Undelivered(Event):
    """A message was told to an actor that ended before it handled it. `message` is its type's name."""

    actor: str
    message: str


LEVELS: Final[dict[type[Event], int]] = {
    ChildFailed: logging.WARNING,
    ChildGaveUp: logging.ERROR,
    ChildStopTimeout: logging.ERROR,
    SupervisorFailed: logging.ERROR,
    Undelivered: logging.WARNING,
}


def log_event(event: Event) -> None:
    """Write an event to the logger `noria.supervision`: what happens to events where no bus was given."""
    level = LEVELS.get(type(event), logging.DEBUG)
    if logger.isEnabledFor(level):
        fields = attrs.asdict(event, recurse=False)
        error = fields.get("error")
        told = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        logger.log(level, "%s %s", type(event).__name__, told, exc_info=error)


def _shown(value: object) -> str:
    return describe(value) if isinstance(value, BaseException) else str(value)
