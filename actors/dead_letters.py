"""Dead letters: which are meant, where they came from, back to there, or away.

Knows: the headers that a queue gives to a dead letter. Must not know: the command line, nor any driver.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import define, field, frozen

from .access import QueueAccess
from .delivery import Delivery, Message
from .driver import StoredMessage
from .queue import Queue
from .sweep import HOLD, Sweep

ORIGIN: Final = "x_original_queue"
REASON: Final = "x_dead_letter_reason"
TIME: Final = "x_dead_letter_time"
ERROR: Final = "x_dead_letter_error"
GIVEN: Final = frozenset({"attempts", ORIGIN, REASON, TIME, ERROR})
"""The headers that a message got when it was given up, and loses when it gets another chance."""


@frozen(kw_only=True)
class Selection:
    """Which dead letters are meant; what is None or empty says nothing."""

    origin: str | None = None
    reason: str | None = None
    ids: frozenset[str] = frozenset()

    def __contains__(self, message: Message) -> bool:
        return (
            (self.origin is None or text_of(message, ORIGIN) == self.origin)
            and (self.reason is None or text_of(message, REASON) == self.reason)
            and (not self.ids or message.id in self.ids)
        )


@define(kw_only=True)
class Outcome:
    """What became of the selected messages.

    Attributes:
        done: how many, by the queue they went to, or by the one they were dropped from.
        kept: why some stayed, by their IDs.
        missing: the selected IDs that did not come.
        unseen: how many messages nobody looked at.
        problem: why it ended early, or None.
    """

    done: Counter[str] = field(factory=Counter)
    kept: dict[str, str] = field(factory=dict)
    missing: set[str] = field(factory=set)
    unseen: int = 0
    problem: str | None = None

    @property
    def count(self) -> int:
        """How many are done; also while they are, from any thread."""
        return sum(tuple(self.done.values()))


def revived(message: Message) -> Message:
    """The message as it was published: same ID, body and headers, without what it got when it was given up."""
    headers = {name: value for name, value in message.headers.items() if name not in GIVEN}
    return Message(message.id, message.body, headers)


class DeadLetters:
    """The messages of one dead-letter queue.

    Args:
        access: opens queues.
        queue_id: the dead-letter queue.
    """

    def __init__(self, access: QueueAccess, queue_id: str) -> None:
        self._access = access
        self.queue = access.open(queue_id)

    def look(self, selection: Selection, limit: int = HOLD) -> Iterator[StoredMessage]:
        """The selected ones among the first `limit` messages; none is taken."""
        for stored in self.queue.driver.peek(self.queue.name, limit):
            if stored.message in selection:
                yield stored

    def unknown_origins(self, selection: Selection) -> dict[str, str]:
        """Why messages cannot go back to where they came from, by their IDs; as far as `look` sees."""
        problems = (
            (each.message.id, self.problem_with_origin(each.message)) for each in self.look(selection)
        )
        return {id_: problem for id_, problem in problems if problem is not None}

    def problem_with_origin(self, message: Message) -> str | None:
        """Why a message cannot go back to where it came from, or None."""
        origin = text_of(message, ORIGIN)
        if origin is None:
            return f"it has no header {ORIGIN}"
        return self.problem_with(origin)

    def problem_with(self, target: str) -> str | None:
        """Why the dead letters of this queue cannot go to a queue, or None."""
        queue = self._access.queues.get(target)
        if queue is None:
            return f"the application has no queue {target}"
        if queue is self.queue:
            return f"{target} is where it is"
        reads, writes = self._access.codec_of(queue), self._access.codec_of(self.queue)
        if reads != writes:
            return f"{target} reads {reads}, and its body is {writes}"
        return None

    def drop(self, selection: Selection, outcome: Outcome) -> None:
        """Remove the selected messages for good. `outcome` grows meanwhile, so that it tells the truth at any time."""
        expected = self._expected(selection)
        with Sweep(self.queue) as sweep:
            for deliveries in _selected(sweep, selection, expected, outcome):
                sweep.ack(deliveries)
                outcome.done[str(self.queue.id)] += len(deliveries)
            outcome.unseen = sweep.unseen

    def replay(self, selection: Selection, outcome: Outcome, *, to: str | None, timeout: float) -> None:
        """Give the selected messages another chance, with a fresh count, where they came from or on the queue `to`.

        Those that cannot go there stay. It ends early where a queue has no room.
        """
        expected = self._expected(selection)
        with Sweep(self.queue) as sweep:
            for deliveries in _selected(sweep, selection, expected, outcome):
                for target_id, some in self._by_target(deliveries, to, outcome).items():
                    target = self._access.open(target_id)
                    messages = [revived(delivery.message) for delivery in some]
                    moved = sweep.move(some, target, messages, timeout)
                    outcome.done[target_id] += moved
                    if moved < len(some):
                        outcome.problem = f"{target_id} has no room"
                        return
            outcome.unseen = sweep.unseen

    def _by_target(
        self, deliveries: Iterable[Delivery], to: str | None, outcome: Outcome
    ) -> dict[str, list[Delivery]]:
        """Those that can go somewhere, by where; why the others stay, `outcome` tells."""
        found: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            message = delivery.message
            problem = self.problem_with_origin(message) if to is None else self.problem_with(to)
            if problem is None:
                found.setdefault(to or str(message.headers[ORIGIN]), []).append(delivery)
            else:
                outcome.kept[message.id] = problem
        return found

    def _expected(self, selection: Selection) -> Counter[str]:
        """How often each selected ID is to come: one may be there twice, as after a move between drivers that was cut."""
        if not selection.ids:
            return Counter()
        return Counter(selection.ids) | Counter(each.message.id for each in self.look(selection))


def _selected(
    sweep: Sweep, selection: Selection, expected: Counter[str], outcome: Outcome
) -> Iterator[Sequence[Delivery]]:
    """What a sweep finds of a selection; it goes no further than it has to for the expected IDs."""
    outcome.missing = set(selection.ids)
    for deliveries in sweep:
        found = [delivery for delivery in deliveries if delivery.message in selection]
        ids = [delivery.message.id for delivery in found]
        outcome.missing.difference_update(ids)
        if found:
            yield found
        expected -= Counter(ids)
        if selection.ids and not expected:
            return


def dead_letter_queue(access: QueueAccess, queue: Queue) -> tuple[Queue, str | None] | None:
    """The dead-letter queue that is meant by a queue, and whose messages of it are: all, or only those of that queue.

    None if the queue neither is one nor has one.
    """
    if access.dead_letters_from(queue):
        return queue, None
    if queue.dead_letter is not None:
        return queue.dead_letter.queue, str(queue.id)
    return None


Group = tuple[str | None, str | None, str | None]


def groups(messages: Iterable[StoredMessage]) -> Counter[Group]:
    """How many messages there are of each origin, reason and error."""
    found = (each.message for each in messages)
    return Counter((text_of(each, ORIGIN), text_of(each, REASON), text_of(each, ERROR)) for each in found)


def text_of(message: Message, name: str) -> str | None:
    """A header as a text: others than we may have written it, and anything into it."""
    value = message.headers.get(name)
    return None if value is None else str(value)
