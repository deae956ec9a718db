"""Events and the bus that carries them.

Knows: that an event has a type. Does not know: any particular event, nor any sink. It lives in the
lowest package because all three packages emit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import attrs

logger = logging.getLogger(__name__)


@attrs.frozen
class Event:
    """Something worth knowing that happened. Events are frozen attrs classes derived from this one."""


Sink = Callable[[Any], object]


class _Table:
    """Who listens, as of one moment. Never changed but for the memo of answers, which only grows."""

    __slots__ = ("by_type", "subscriptions")

    def __init__(self, subscriptions: tuple[tuple[Sink, tuple[type[Event], ...]], ...]) -> None:
        self.subscriptions = subscriptions
        self.by_type: dict[type[Event], tuple[Sink, ...]] = {}

    def sinks(self, event_type: type[Event]) -> tuple[Sink, ...]:
        found = self.by_type.get(event_type)
        if found is None:
            found = tuple(sink for sink, types in self.subscriptions if issubclass(event_type, types))
            self.by_type[event_type] = found
        return found


class Bus:
    """Carries events from whoever emits to whoever listens, in the emitter's thread.

    Thread-safe. `emit` and `wants` take no lock: they read one reference to a table that `subscribe`
    replaces. A sink is called in the order of subscription.
    """

    def __init__(self) -> None:
        self._table = _Table(())
        self._writing = threading.Lock()

    def subscribe(self, sink: Sink, *types: type[Event]) -> Callable[[], None]:
        """Call `sink` with every event of these types or their subclasses; without types, with all.

        Returns the function that ends the subscription; calling it again does nothing. An `emit` that
        has already begun in another thread may still reach the sink once.
        """
        subscription = (sink, types or (Event,))
        with self._writing:
            self._table = _Table((*self._table.subscriptions, subscription))

        def unsubscribe() -> None:
            with self._writing:
                # By identity: the same sink may be subscribed twice, and equal tuples are not the same.
                kept = tuple(other for other in self._table.subscriptions if other is not subscription)
                self._table = _Table(kept)

        return unsubscribe

    def wants(self, event_type: type[Event]) -> bool:
        """Whether anybody listens: hot paths ask this before they build an event."""
        return bool(self._table.sinks(event_type))

    def emit(self, event: Event) -> None:
        """Give the event to every sink that wants it. A sink that raises is logged and harms nobody."""
        for sink in self._table.sinks(type(event)):
            try:
                sink(event)
            except (Exception, SystemExit):  # a stray sys.exit() in a sink must not end an actor
                logger.exception("a sink failed on %s", type(event).__name__)
