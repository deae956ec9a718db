"""Sends letters and hears of their safety: publisher confirms, mandatory routing, room.

Knows: the publishing channel, delivery tags, alarms. Must not know: threads that wait, deliveries.

Lives in the link's thread. Everybody's letters go out together, a burst at a time, so that the thread can do other
things in between.
"""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import pika

from .control import Control
from .declared import DeclaredQueue
from .headers import Letter
from .link import Link
from .publication import Publication

BURST = 100
# So many unconfirmed letters keep a broker busy; more would only lie in buffers.
MOST_UNCONFIRMED = 2000
# For how long figures of a bounded queue are believed, and how soon they are asked for again while somebody waits.
ROOM_VALID = 0.1
ROOM_AGAIN = 0.02


class Publisher:
    """One channel in confirm mode.

    Args:
        link: whose thread and connection it uses.
        control: counts messages of bounded queues.
    """

    def __init__(self, link: Link, control: Control) -> None:
        self._link = link
        self._control = control
        self._channel: Any = None
        self._outgoing: deque[Publication] = deque()
        self._unconfirmed: dict[int, tuple[Publication, int]] = {}
        self._returned: deque[tuple[str, str]] = deque()
        self._last_tag = 0
        self._is_sending = False
        self._alarm = ""
        # Whose time is up, and who only waits for the broker.
        self._late: set[Publication] = set()

    def open(self) -> None:
        """Open the channel; letters may be given already."""
        connection = self._link.publishing
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_open)

    def send(self, publication: Publication) -> None:
        """Send it, as far as there is room now and later."""
        queue = publication.queue
        if queue is None or not queue.options.max_length:
            publication.allowed = len(publication.letters)
            self._outgoing.append(publication)
            self._send_some()
        else:
            publication.is_gated = True
            queue.gate.append(publication)
            self._let_in(queue)

    def end_waiting(self, publication: Publication) -> None:
        """Its time is up: what finds no room now, or an alarm, is not sent any more."""
        queue = publication.queue
        if self._alarm:
            self._end_in_alarm(publication)
            return
        self._late.add(publication)
        self._late = {each for each in self._late if not each.is_done}
        if queue is not None and publication in queue.gate:
            publication.is_due = True
            self._measure(queue)

    def _end_in_alarm(self, publication: Publication) -> None:
        """What the broker has not read yet it may read, and store, when the alarm is over."""
        self.withdraw(publication)
        publication.end()

    def withdraw(self, publication: Publication, problem: str = "") -> None:
        """Send no more of it; what was sent may still be confirmed."""
        if publication in self._outgoing:
            self._outgoing.remove(publication)
        if publication.queue is not None and publication.is_gated:
            publication.queue.coming -= max(0, publication.allowed - publication.sent)
            if publication in publication.queue.gate:
                publication.queue.gate.remove(publication)
        publication.stop(problem or self._alarm or "the broker did not confirm in time")

    def lose(self, queues: Iterable[DeclaredQueue]) -> None:
        """The connection is gone: answer everybody."""
        waiting = {publication for publication, _ in self._unconfirmed.values()} | set(self._outgoing)
        self._unconfirmed.clear()
        self._outgoing.clear()
        self._channel = None
        for queue in queues:
            waiting.update(queue.gate)
            queue.reset()
        for publication in waiting:
            publication.problem = publication.problem or "the connection was lost"
            publication.end()

    # ---- room ----------------------------------------------------------------------------------------

    def _let_in(self, queue: DeclaredQueue) -> None:
        """As many as have room by what is known; ask again if that is too old or not enough."""
        is_known = time.monotonic() - queue.room_known_at < ROOM_VALID
        gate = queue.gate
        while gate and is_known and queue.room > 0:
            publication = gate[0]
            count = min(queue.room, len(publication.letters) - publication.allowed)
            publication.allowed += count
            queue.room -= count
            queue.coming += count
            if publication not in self._outgoing:
                self._outgoing.append(publication)
            if publication.allowed == len(publication.letters):
                gate.popleft()
        if gate:
            self._measure(queue)
        self._send_some()

    def _measure(self, queue: DeclaredQueue) -> None:
        if queue.is_measuring:
            return
        queue.is_measuring = True
        coming = queue.coming
        names = [*queue.waiting_names(), *queue.delay_names()]
        found: list[int] = []

        def add(messages: int, _consumers: int) -> None:
            found.append(messages)
            if len(found) == len(names):
                self._on_measured(queue, queue.options.max_length - sum(found) - coming)

        for name in names:
            self._control.count(name, add)

    def _on_measured(self, queue: DeclaredQueue, room: int) -> None:
        queue.room, queue.room_known_at = room, time.monotonic()
        due = [publication for publication in queue.gate if publication.is_due]
        self._let_in(queue)  # which would ask again at once, if we were not still measuring
        queue.is_measuring = False
        for publication in due:
            if publication in queue.gate:
                queue.gate.remove(publication)
                publication.end_if_complete()
        if queue.gate:
            self._link.later(ROOM_AGAIN, lambda: self._look_again(queue))

    def _look_again(self, queue: DeclaredQueue) -> None:
        if queue.gate:
            self._measure(queue)

    # ---- sending -------------------------------------------------------------------------------------

    def _send_some(self) -> None:
        """A burst; what is left goes out after whatever else waits for the thread."""
        if self._channel is None or self._alarm:
            return
        budget = min(BURST, MOST_UNCONFIRMED - len(self._unconfirmed))
        while budget > 0 and self._outgoing:
            publication = self._outgoing[0]
            while budget > 0 and publication.sent < publication.allowed:
                self._publish(publication, publication.letters[publication.sent])
                budget -= 1
            if publication.sent >= publication.allowed:
                self._outgoing.popleft()
        if self._outgoing and len(self._unconfirmed) < MOST_UNCONFIRMED and not self._is_sending:
            self._is_sending = True
            self._link.call(self._go_on_sending)

    def _go_on_sending(self) -> None:
        self._is_sending = False
        self._send_some()

    def _publish(self, publication: Publication, letter: Letter) -> None:
        self._last_tag += 1
        self._unconfirmed[self._last_tag] = (publication, publication.sent)
        publication.sent += 1
        publication.open += 1
        properties = pika.BasicProperties(**letter.properties)
        self._channel.basic_publish("", publication.route, letter.body, properties, mandatory=True)

    # ---- what the broker says ------------------------------------------------------------------------

    def _on_open(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_closed)
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_ready(channel))

    def _on_ready(self, channel: Any) -> None:
        self._channel = channel
        self._send_some()

    def _on_closed(self, _channel: Any, reason: Any) -> None:
        self._channel = None
        if self._link.publishing.is_open:
            self._link.fail(f"the broker closed the channel for publishing: {reason}")

    def _on_returned(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        self._returned.append((method.routing_key, str(properties.message_id)))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        is_safe = isinstance(method, pika.spec.Basic.Ack)
        if not method.multiple:
            self._settle(method.delivery_tag, is_safe=is_safe)
        else:
            tags = []
            for tag in self._unconfirmed:  # in the order of sending
                if tag > method.delivery_tag:
                    break
                tags.append(tag)
            for tag in tags:
                self._settle(tag, is_safe=is_safe)
        if self._outgoing:
            self._send_some()

    def _settle(self, tag: int, *, is_safe: bool) -> None:
        publication, index = self._unconfirmed.pop(tag)
        publication.open -= 1
        if publication.queue is not None and publication.is_gated:
            publication.queue.coming -= 1
        if self._was_returned(publication, index):
            publication.is_unroutable = True
            self.withdraw(publication, f"the broker has no queue {publication.route}")
        elif is_safe:
            publication.confirm(index)
        else:
            self.withdraw(publication, "the broker could not store it")

    def _was_returned(self, publication: Publication, index: int) -> bool:
        """The broker sends a message back before it confirms it."""
        if not self._returned:
            return False
        key = (publication.route, str(publication.letters[index].properties.get("message_id")))
        if key not in self._returned:
            return False
        self._returned.remove(key)
        return True

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        self._alarm = f"the broker takes no messages now: {frame.method.reason}"
        for publication in self._late:
            if not publication.is_done:
                self._end_in_alarm(publication)
        self._late.clear()

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._alarm = ""
        self._send_some()
