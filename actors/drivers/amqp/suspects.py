"""Messages whose last owner died, put on record before a handler runs again.

Knows: the queue for their copies, which copy is for which delivery. Must not know: settlements, credit.

The broker marks what a dead connection held as redelivered, but does not say whether a handler had begun. So a copy of
such a suspect that counts the run takes its place before its handler runs, in a queue of our own that nobody else
reads, and from which it goes back if we die, too.
"""

import itertools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...delivery import Delivery
from ...errors import DriverUnavailable
from ..io_thread import Request
from .declared import DeclaredQueue
from .delay_steps import expiring_after
from .headers import keep_expiration, letter_of, received
from .options import dead_lettering_to
from .publication import Publication

if TYPE_CHECKING:
    from .control import Refusal
    from .session import Session

# A suspect's copy that nobody holds goes back to its queue after so many milliseconds.
SUSPECT_WAIT = 1000
# And its queue is deleted when nobody has taken part in it for so long.
SUSPECTS_EXPIRY = 600_000


class Suspects:
    """Those of one consumer. Everything is for the link's thread.

    Args:
        session: sends copies.
        queue: where they come from.
        replace: puts a delivery on a copy's tag; False if it is no longer its consumer's.
        credit: the consumer's.

    Attributes:
        channel: the consumer's, while it is open.
    """

    def __init__(
        self,
        session: "Session",
        queue: DeclaredQueue,
        *,
        replace: Callable[[Delivery, int], bool],
        credit: int,
    ) -> None:
        self.channel: Any = None
        self._session = session
        self._queue = queue
        self._replace = replace
        self._credit = credit
        self._name = f"{queue.suspects_name}.{os.urandom(8).hex()}"
        self._is_ready = False
        self._noting: list[tuple[Delivery, Request]] = []
        self._runs: dict[str, tuple[Delivery, Request]] = {}
        self._run_names = itertools.count(1)

    def note_start(self, delivery: Delivery, request: Request) -> None:
        """Answer the request once a copy that counts this run is in the place of the delivery."""
        self._noting.append((delivery, request))
        if self._is_ready:
            self._send()
        elif len(self._noting) == 1:
            queue_type = self._queue.options.queue_type
            arguments = dead_lettering_to(self._queue.name, queue_type)
            arguments |= {"x-message-ttl": SUSPECT_WAIT, **expiring_after(SUSPECTS_EXPIRY, queue_type)}
            self._session.control.declare(self._name, self._on_declared, durable=True, arguments=arguments)

    def delete_queue(self) -> None:
        """Nothing is in it any more."""
        if self._is_ready:
            self.channel.queue_delete(self._name)

    def end(self) -> None:
        """No copy will come."""
        for _, request in (*self._runs.values(), *self._noting):
            self._refuse(request)

    def _refuse(self, request: Request) -> None:
        request.finish(error=DriverUnavailable(self._session.name, "the delivery has gone back"))

    def _on_declared(self, _frame: Any, refusal: "Refusal | None") -> None:
        if refusal is not None:
            self._session.link.fail(f"cannot declare queue {self._name}: {refusal.code} {refusal.text}")
        elif self.channel is not None:
            # It stays until the end of the channel: a queue without a consumer would be deleted.
            self.channel.basic_consume(self._name, self._on_run, callback=lambda _frame: self._on_ready())

    def _on_ready(self) -> None:
        self._is_ready = True
        self._send()

    def _send(self) -> None:
        for delivery, request in self._noting:
            run = str(next(self._run_names))
            self._runs[run] = delivery, request
            letter = letter_of(delivery.message, attempts=delivery.attempt, suspect=True, run=run)
            # Confirmed or not, what counts is that it comes.
            self._session.publisher.send(Publication(self._name, [keep_expiration(letter)]))
        self._noting.clear()

    def _on_run(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        delivery, request = self._runs.pop(received(properties, body).run)
        if self._replace(delivery, method.delivery_tag):
            # Answered when the original is surely gone: the broker works a channel off in order.
            channel.basic_qos(prefetch_count=self._credit, callback=lambda _frame: request.finish())
        else:
            channel.basic_ack(method.delivery_tag)
            self._refuse(request)
