"""How to ask why something was denied: the command line that explains it.

Knows: `noria policy explain`, and which consumers act as whom. Must not know: policies, where the hint is shown.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from ...security.events import Denied

if TYPE_CHECKING:
    from ...registry import Entry, EntryID, Event, Registry


class Why:
    """Gives the first denial of each consumer and action the field `explain`. Thread-safe.

    Args:
        path: the application directory, as it was given.
        registry: gives its entries, as of now.
    """

    def __init__(self, path: str, registry: Callable[[], Registry]) -> None:
        self._path = path
        self._registry = registry
        self._told: set[tuple[EntryID, str]] = set()
        self._lock = Lock()

    def __call__(self, event: Event) -> Mapping[str, str]:
        """The fields to add to the log line of an event: none, most of the time."""
        if not isinstance(event, Denied):
            return {}
        for consumer in self._asking(event):
            with self._lock:
                is_new = (consumer.id, event.action) not in self._told
                self._told.add((consumer.id, event.action))
            if is_new:
                return {"explain": self._command(consumer, event)}
        return {}

    def _asking(self, event: Denied) -> Iterator[Entry]:
        """The consumers that may have been denied: an event knows who acted, which can be more than one of them."""
        for consumer in self._registry().find({".kind": "queue.consumer"}):
            block = consumer.config.lifecycle.security
            actor = block.actor if block is not None else None
            is_its_call = event.action != "funcs.call" or event.resource == str(consumer.config.func)
            if (None if actor is None else actor.id) == event.principal and is_its_call:
                yield consumer

    def _command(self, consumer: Entry, event: Denied) -> str:
        return shlex.join(
            ["noria", "policy", "explain", self._path, "--as", str(consumer.id), event.action, event.resource]
        )
