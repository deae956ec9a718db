"""One consumer: a channel of its own, on which the broker keeps to its credit.

Knows: the consuming channel, delivery tags, what a settlement is in AMQP. Must not know: how letters are sent.

Deliveries belong to the connection: when it ends, with its process or without, the broker gives them to others, as
suspects (suspects.py).
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ...delivery import Delivery, Message
from ...errors import BodyRefused, DriverUnavailable, QueueFull, QueueNotFound
from ..held import HeldSubscription, Settlement, Verb
from ..io_thread import Request
from .declared import DeclaredQueue
from .delay_steps import delay_queue_name, step_for
from .headers import DELAY_LEFT, Letter, keep_expiration, letter_of, received
from .options import AmqpConsumerOptions
from .publication import Publication
from .suspects import Suspects

if TYPE_CHECKING:
    from .session import Session

# Seconds until a copy is sent again that the broker did not take.
COPY_AGAIN = 0.5
# Characters of a dead letter's reason that are kept if the whole of it is too much for a frame.
LONGEST_REASON = 1000


@frozen(kw_only=True)
class Terms:
    """What a consumer asks for."""

    consumer: str
    credit: int
    deliver: Callable[[Sequence[Delivery]], None]
    options: AmqpConsumerOptions


class AmqpSubscription(HeldSubscription):
    """The deliveries of one consumer. Everything but the verbs of a Subscription is for the link's thread.

    Args:
        session: sends copies and knows when all is over.
        queue: where from.
        terms: for whom, and how much.

    Attributes:
        ended: set when everything was given back.
    """

    def __init__(self, session: "Session", queue: DeclaredQueue, terms: Terms) -> None:
        self._session = session
        self._call = session.link.call
        super().__init__(
            consumer=terms.consumer, credit=terms.credit, deliver=terms.deliver, ring=self._ring_thread
        )
        self.queue = queue
        self.ended = threading.Event()
        self._options = terms.options
        self._channel: Any = None
        self._started: Request | None = None
        self._unacked: dict[int, None] = {}  # in the order of their tags
        self._arrived: deque[tuple[Any, Any, bytes, bool]] = deque()
        self._is_handing_over = False
        self._main_tags: list[str] = []
        self._copying = 0
        # How many acks and the like were sent, and how many of them the broker has surely worked off.
        self._written = 0
        self._reached = 0
        self._is_cancelled = False
        self._may_end = False
        self._flushes: set[threading.Event] = set()
        self._suspects = Suspects(session, queue, replace=self._replace, credit=terms.credit)
        # The tags of copies that count their run already.
        self._recorded: set[int] = set()

    # ---- for the consumer ------------------------------------------------------------------------------

    def move(self, delivery: Delivery, queue: str, message: Message) -> bool:
        """Store it there, confirmed, and take it away here."""
        if self.is_closed:
            return True  # it has gone back already, and will be moved when it fails again
        try:
            self._store(queue, message)
        except (DriverUnavailable, QueueFull, QueueNotFound):
            return False
        self.ack((delivery,))
        return True

    def move_all(
        self, deliveries: Sequence[Delivery], queue: str, messages: Sequence[Message]
    ) -> Sequence[bool]:
        """Store them there, confirmed, and take away here those that are."""
        if self.is_closed:
            return [True] * len(deliveries)  # gone back already, and moved when it fails again
        count = len(messages)
        try:
            self._session.store(queue, messages, 0)
        except (DriverUnavailable, QueueFull) as error:
            count = error.accepted
        except QueueNotFound:
            count = 0
        except BodyRefused:  # of one of them, and none was sent
            return super().move_all(deliveries, queue, messages)
        self.ack(deliveries[:count])
        return [number < count for number in range(len(deliveries))]

    def _store(self, queue: str, message: Message) -> None:
        try:
            self._session.store(queue, [message], 0)
        except BodyRefused:
            # What is new of a dead letter is why it is one, and that may be as long as an error's text.
            headers = {
                name: value[:LONGEST_REASON]
                if name.startswith("x_dead_letter_") and isinstance(value, str)
                else value
                for name, value in message.headers.items()
            }
            self._session.store(queue, [Message(message.id, message.body, headers)], 0)

    def note_start(self, delivery: Delivery) -> None:
        """Put a copy that counts this run in the place of the delivery."""
        self._session.ask(partial(self._suspects.note_start, delivery))

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent, and until the broker has worked it off: it answers in order."""
        if not super().flush(timeout):
            return False
        if self._reached == self._written:
            return True
        reached = threading.Event()
        self._flushes.add(reached)
        try:
            if self._is_lost or not self._call(partial(self._answer_when_reached, reached)):
                return False
            return reached.wait(timeout) and not self._is_lost
        finally:
            self._flushes.discard(reached)

    def lose(self) -> None:
        """Forget everything, and keep nobody waiting."""
        super().lose()
        for reached in tuple(self._flushes):
            reached.set()

    def _ring_thread(self) -> None:
        self._call(self._work)

    def on_closed(self) -> None:
        """The thread ends it when the last settlement is done; all of them have been left by now."""
        self._may_end = True
        self._ring()

    @property
    def in_flight(self) -> int:
        """What it holds, and what it settles just now."""
        with self._lock:
            return len(self._held) + self._unconfirmed

    # ---- starting --------------------------------------------------------------------------------------

    def start(self, request: Request) -> None:
        """Answer the request when the broker has taken the consumer."""
        self._started = request
        self._session.link.open_channel(self._on_open, self._on_refused)

    def _on_refused(self, problem: str) -> None:
        if self._started is not None:
            self._started.finish(error=DriverUnavailable(self._session.name, problem))
        self._end()

    def _on_open(self, channel: Any) -> None:
        if self.is_closed:  # while it was opened
            channel.close()
            self._end()
            return
        self._channel = self._suspects.channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_cancel_callback(self._on_cancelled_by_broker)
        if self.queue.expired_name is not None:
            # One at a time, and no more than the credit in all: what does not fit waits in `_arrived`.
            channel.basic_qos(prefetch_count=1)
            self._consume(self.queue.expired_name, partial(self._on_message, is_expired=True))
        channel.basic_qos(prefetch_count=self._limit)
        self._consume(
            self.queue.name,
            partial(self._on_message, is_expired=False),
            exclusive=self._options.exclusive,
            callback=self._on_started,
        )

    def _consume(self, queue: str, on_message: Callable[..., None], **options: Any) -> None:
        tag = f"{self._options.consumer_tag or self.queue.name}-{os.urandom(4).hex()}"
        self._channel.basic_consume(queue, on_message, consumer_tag=tag, **options)
        self._main_tags.append(tag)

    def _on_started(self, _frame: Any) -> None:
        if self._started is not None:
            self._started.finish()

    def _on_cancelled_by_broker(self, _frame: Any) -> None:
        self._session.link.fail(f"the broker deleted or moved queue {self.queue.name}")

    def _on_channel_closed(self, _channel: Any, reason: Any) -> None:
        self._channel = self._suspects.channel = None
        if not self._session.link.consuming.is_open:
            return  # the session ends everything
        if self._started is not None and not self._started.is_done:
            problem = f"queue {self.queue.name}: {reason.reply_code} {reason.reply_text}"
            self._started.finish(error=DriverUnavailable(self._session.name, problem))
        elif not self.is_closed:
            self._session.link.fail(f"the broker closed the channel of {self.consumer}: {reason}")
        self._end()

    def _end(self) -> None:
        self._suspects.end()
        self._session.forget(self)
        self.ended.set()

    # ---- deliveries ------------------------------------------------------------------------------------

    def _on_message(
        self, _channel: Any, method: Any, properties: Any, body: bytes, *, is_expired: bool
    ) -> None:
        self._unacked[method.delivery_tag] = None
        self._arrived.append((method, properties, body, is_expired))
        if not self._is_handing_over:
            self._is_handing_over = True
            self._call(self._hand_over_arrived)  # with everything that comes in the same breath

    def _hand_over_arrived(self) -> None:
        self._is_handing_over = False
        if self._channel is None:
            return
        if self.is_paused:
            self._give_back(method.delivery_tag for method, *_ in self._arrived)
            self._arrived.clear()
            return
        deliveries: list[Delivery] = []
        room = self.credit
        while self._arrived and len(deliveries) < room:
            delivery = self._delivery_of(*self._arrived.popleft())
            if delivery is not None:
                deliveries.append(delivery)
        if deliveries and not self.hand_over(deliveries):
            self._give_back(delivery.receipt for delivery in deliveries)

    def _delivery_of(self, method: Any, properties: Any, body: bytes, is_expired: bool) -> Delivery | None:  # noqa: FBT001
        """None if it has not waited long enough yet."""
        found = received(properties, body)
        if found.delay_left:
            letter = letter_of(found.message, attempts=found.attempts, expired=found.is_expired)
            self._put_back(method.delivery_tag, letter, found.delay_left, is_settlement=False)
            return None
        is_expired = is_expired or found.is_expired
        return Delivery(
            found.message,
            self,
            found.attempts + 1,
            method.delivery_tag,
            is_suspect=(method.redelivered or found.is_suspect) and not is_expired,
            is_expired=is_expired,
        )

    # ---- settlements -----------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._channel is None or not self._channel.is_open:
            return
        if self.is_paused and not self._is_cancelled:
            self._is_cancelled = True
            for tag in self._main_tags:
                self._channel.basic_cancel(tag)
        self._settle_all(self.take_settlements())
        if self._arrived:
            self._hand_over_arrived()
        if self._may_end and not self._copying and not self._settlements:
            self._suspects.delete_queue()  # empty, now that everything is settled
            self._channel.close()

    def _settle_all(self, settlements: Iterable[Settlement]) -> None:
        acked, released = [], []
        for settlement in settlements:
            delivery = settlement.delivery
            match settlement.verb:
                case Verb.ACK:
                    acked.append(delivery.receipt)
                case Verb.RELEASE if delivery.receipt not in self._recorded:
                    released.append(delivery.receipt)
                case Verb.NACK:
                    self._put_back_settled(settlement, settlement.delay)
                case _:
                    self._put_back_settled(settlement, 0.0)
        self._ack(acked)
        self._give_back(released)
        if acked or released:
            self.confirm(len(acked) + len(released))

    def _ack(self, tags: Sequence[int]) -> None:
        """Those that have no unsettled one before them in one go."""
        self._written += len(tags)
        settled = set(tags)
        last = 0
        for tag in self._unacked:
            if tag not in settled:
                break
            last = tag
        if last:
            self._channel.basic_ack(last, multiple=True)
        for tag in tags:
            del self._unacked[tag]
            if tag > last:
                self._channel.basic_ack(tag)

    def _give_back(self, tags: Iterable[int]) -> None:
        """To where they were in the queue; the broker sees that its consumer was cancelled first."""
        for tag in tags:
            if self._unacked.pop(tag, 0) is None:
                self._written += 1
                self._channel.basic_nack(tag, requeue=True)

    def _put_back_settled(self, settlement: Settlement, delay: float) -> None:
        delivery = settlement.delivery
        letter = letter_of(delivery.message, attempts=delivery.attempt, expired=delivery.is_expired)
        self._put_back(delivery.receipt, letter, delay, is_settlement=True)

    def _put_back(self, tag: int, letter: Letter, delay: float, *, is_settlement: bool) -> None:
        """A copy takes the place of a delivery, behind what is ready, now or later."""
        step, left = step_for(delay) if delay > 0 else (0, 0.0)
        if left:
            letter.properties["headers"][DELAY_LEFT] = str(left)
        self._copying += 1

        def send() -> None:
            if not step:
                self._session.publisher.send(Publication(self.queue.name, [letter], answered=answered))
                return
            name = delay_queue_name(self.queue.name, self.queue.delay_type, step)
            publication = Publication(name, [keep_expiration(letter)], answered=answered)
            self._session.send_delayed(self.queue, step, publication)

        def answered(publication: Publication) -> None:
            if not publication.accepted and self._channel is not None:
                # The delay queue was deleted by somebody, or the broker is in trouble: the original is still here.
                self.queue.delays.pop(step, None)
                self._session.link.later(COPY_AGAIN, send)
                return
            self._copying -= 1
            if self._channel is not None:
                self._ack([tag])
                if is_settlement:
                    self.confirm(1)
                self._work()

        send()

    def _replace(self, delivery: Delivery, tag: int) -> bool:
        """A copy that counts its run has come for a delivery; False if that was settled or given back meanwhile."""
        with self._lock:
            original = delivery.receipt
            if self._held.pop(original, None) is None:
                return False
            delivery.receipt = tag
            self._held[tag] = delivery
        self._unacked[tag] = None
        self._recorded.add(tag)
        self._ack([original])
        return True

    # ---- flushing --------------------------------------------------------------------------------------

    def _answer_when_reached(self, reached: threading.Event) -> None:
        if self._channel is not None and self._channel.is_open:
            written = self._written

            def answered(_frame: Any) -> None:
                self._reached = written
                reached.set()

            self._channel.basic_qos(prefetch_count=self._limit, callback=answered)
        elif not self._is_lost:
            reached.set()  # it was closed, which the broker has confirmed
