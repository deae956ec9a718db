"""What happens to messages, as events on the bus.

Knows: the facts. Must not know: who listens. `docs/events.md` lists every event; a test compares.
Bodies never appear in an event: they are the user's data, and events end up in logs.
"""

from attrs import frozen

from ..registry import Event


@frozen(kw_only=True)
class MessageAcked(Event):
    """A handler run ended well and its message was removed. Emitted only while somebody listens."""

    queue: str
    consumer: str
    message: str
    attempt: int
    seconds: float


@frozen(kw_only=True)
class MessageFailed(Event):
    """A handler run ended badly; the message is delivered again after `delay` seconds."""

    queue: str
    message: str
    attempt: int
    error: str
    delay: float


@frozen(kw_only=True)
class MessageDeadLettered(Event):
    """A message was moved to its queue's dead-letter queue."""

    queue: str
    dead_letter_queue: str
    message: str
    attempts: int
    reason: str
    error: str


@frozen(kw_only=True)
class MessageExpired(Event):
    """A message waited longer than its queue's `message_ttl`, and was dropped: the queue has no dead-letter queue."""

    queue: str
    message: str


@frozen(kw_only=True)
class WorkerStuck(Event):
    """A handler ignores that its time is up. Another worker took its place."""

    consumer: str
    worker: str
    function: str
    message: str
    seconds: float


@frozen(kw_only=True)
class ApplicationChanged(Event):
    """The application was changed while it was loaded, or went to another version of itself.

    Attributes:
        version: the number of the version that holds now.
        created: entries that were not there before.
        updated: entries that are declared otherwise now.
        deleted: entries that are gone.
        restarted: services that were stopped for it and run again.
    """

    version: int
    created: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    restarted: tuple[str, ...]


@frozen(kw_only=True)
class ConsumerDrained(Event):
    """A consumer has stopped: what became of the messages it held when it was told to.

    Attributes:
        finished: handler runs that ended during the stop.
        settled: those of them whose ending reached the driver.
        returned: deliveries that no handler had seen, back at the head of the queue.
        abandoned: IDs of messages whose workers did not finish; they are back in the queue.
        unfinished: the workers that were still busy when the time was up.
        seconds: how long the stop took.
    """

    consumer: str
    finished: int
    settled: int
    returned: int
    abandoned: tuple[str, ...]
    unfinished: tuple[str, ...]
    seconds: float
