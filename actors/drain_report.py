"""What a stop did.

Knows: the sum of what the consumers told. Must not know: how anything stops.
"""

from collections.abc import Iterable
from typing import Self

from attrs import frozen

from .events import ConsumerDrained


@frozen(kw_only=True)
class DrainReport:
    """What a stop did with the messages that consumers held; the sum over all of them.

    Attributes:
        finished: handler runs that ended during the stop.
        settled: those of them whose ending reached the driver.
        returned: deliveries that no handler had seen, back in their queues.
        abandoned: IDs of messages whose handlers did not finish; they are back in their queues, too.
        unfinished: the workers that had them, as `consumer/worker`.
        seconds: how long the whole stop took.
    """

    finished: int
    settled: int
    returned: int
    abandoned: tuple[str, ...]
    unfinished: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, drains: Iterable[ConsumerDrained], seconds: float) -> Self:
        """The sum over what each consumer told."""
        drains = list(drains)
        return cls(
            finished=sum(drain.finished for drain in drains),
            settled=sum(drain.settled for drain in drains),
            returned=sum(drain.returned for drain in drains),
            abandoned=tuple(id_ for drain in drains for id_ in drain.abandoned),
            unfinished=tuple(f"{drain.consumer}/{worker}" for drain in drains for worker in drain.unfinished),
            seconds=seconds,
        )
