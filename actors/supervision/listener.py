"""Who hears about an actor's life.

Knows: what there is to hear. Does not know: what anybody makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...registry import Event
from .events import log_event, logger

if TYPE_CHECKING:
    from .supervised import Lifeline


class Listener(Protocol):
    """Hears about an actor's life. Called in the actor's thread: quick, never blocking, never raising."""

    def ready(self, lifeline: Lifeline) -> None:
        """The actor does its work from now on. At most once, and not after `ended`."""

    def ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        """The actor is over: None for a normal end.

        Exactly once, except that a call which an exception from outside cuts short is repeated.
        """

    def emit(self, event: Event) -> None:
        """Something worth knowing happened."""


class Alone:
    """Listens where no supervisor does: what goes wrong is logged."""

    def ready(self, lifeline: Lifeline) -> None:
        """Nobody waits for it."""

    def ended(self, lifeline: Lifeline, error: BaseException | None) -> None:
        """Log an error, as pykka would."""
        if error is not None:
            logger.error("Unhandled exception in %s:", lifeline.actor, exc_info=error)

    emit = staticmethod(log_event)
