"""The channel for questions: declare, count, purge.

Knows: that the broker closes a channel on which it refuses something. Must not know: messages, publishers, consumers.

One question at a time, so that a refusal belongs to the question that was asked. Lives in the link's thread.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .link import NOT_FOUND, Link

Answer = Callable[[Any, "Refusal | None"], None]


@frozen
class Refusal:
    """Why the broker did not do what it was asked."""

    code: int
    text: str


class Control:
    """Asks the broker one thing after the other.

    Args:
        link: whose thread and connection it uses.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Any = None
        self._waiting: deque[tuple[Callable[[Any, Callable[[Any], None]], None], Answer]] = deque()
        self._asked: Answer | None = None

    def open(self) -> None:
        """Open the channel; questions may be put already."""
        self._link.consuming.channel(on_open_callback=self._on_open)

    def declare(self, queue: str, answer: Answer, **options: Any) -> None:
        """Declare a queue: `durable`, `auto_delete`, `arguments`."""
        self._ask(lambda channel, done: channel.queue_declare(queue, callback=done, **options), answer)

    def count(self, queue: str, answer: Callable[[int, int], None]) -> None:
        """How many messages are ready in a queue, and how many consumers it has; nothing if it is not there."""

        def tell(frame: Any, refusal: Refusal | None) -> None:
            if refusal is None:
                answer(frame.method.message_count, frame.method.consumer_count)
            elif refusal.code == NOT_FOUND:
                answer(0, 0)
            else:
                self._link.fail(f"cannot look at queue {queue}: {refusal.code} {refusal.text}")

        self.declare(queue, tell, passive=True)

    def purge(self, queue: str, answer: Answer) -> None:
        """Remove what is ready in a queue."""
        self._ask(lambda channel, done: channel.queue_purge(queue, callback=done), answer)

    def _ask(self, question: Callable[[Any, Callable[[Any], None]], None], answer: Answer) -> None:
        self._waiting.append((question, answer))
        self._next()

    def _next(self) -> None:
        if self._asked is None and self._waiting and self._channel is not None:
            question, self._asked = self._waiting.popleft()
            question(self._channel, self._on_answer)

    def _on_answer(self, frame: Any) -> None:
        answer, self._asked = self._asked, None
        if answer is not None:
            answer(frame, None)
        self._next()

    def _on_open(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_closed)
        self._next()

    def _on_closed(self, _channel: Any, reason: Any) -> None:
        answer, self._asked, self._channel = self._asked, None, None
        if not self._link.consuming.is_open:
            return  # whoever waits hears of it from the session
        self.open()
        code, text = getattr(reason, "reply_code", 0), getattr(reason, "reply_text", str(reason))
        if answer is None:
            self._link.fail(f"the broker closed a channel: {code} {text}")
        else:
            answer(None, Refusal(code, text))
