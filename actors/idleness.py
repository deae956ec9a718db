"""Whether an application has nothing left to do.

Knows: what waits, and for whom. Must not know: who wants to know, and how often they ask.
"""

from collections.abc import Mapping

from .errors import DriverUnavailable
from .topology import Topology


class Look:
    """One look at everything that may keep an application busy."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def is_idle(self) -> bool:
        """Whether nothing waits and no handler runs."""
        # Queues are looked at one after the other; a message could slip from one that was not looked at yet to one
        # that was. Then it arrived there in between, and that shows. Handlers come last: a message that is settled
        # early leaves its queue while its handler goes on.
        before = self._arrivals()
        return not self.waiting() and not self._topology.is_handling() and self._arrivals() == before

    def _arrivals(self) -> int:
        return sum(queue.arrivals for queue in self._topology.queues.values())

    def waiting(self) -> dict[str, int | None]:
        """How many messages are in each queue that some consumer takes from, where there are any."""
        counts = {id_: self._message_count(id_) for id_ in sorted(self._topology.consumers)}
        return {id_: count for id_, count in counts.items() if count != 0}

    def _message_count(self, queue: str) -> int | None:
        """None while the queue's driver is being restarted: whatever it holds, nobody can know now."""
        try:
            return self._topology.queues[queue].info().message_count
        except DriverUnavailable:
            return None

    def is_hopeless(self, failures: Mapping[str, str]) -> bool:
        """Whether everything that waits, waits for consumers that gave up."""
        consumers, gave_up = self._topology.consumers, failures.keys()
        waiting = self.waiting()
        return bool(waiting) and all(gave_up >= set(consumers[queue]) for queue in waiting)
