"""Looking at a queue by taking messages and giving them back, for AMQP knows no other way.

Knows: basic.get on a channel of its own. Must not know: threads, subscriptions.
"""

from collections.abc import Callable
from typing import Any

import pika

from ...driver import StoredMessage
from .headers import received
from .link import Link


class Peek:
    """Takes up to `limit` messages one by one; the end of its channel gives all of them back. In the link's thread.

    Args:
        queue: its name in the broker.
        limit: how many.
        answer: called once with what was found, and with a problem if the broker refused.
    """

    def __init__(self, queue: str, limit: int, answer: Callable[[list[StoredMessage], str], None]) -> None:
        self._queue = queue
        self._limit = limit
        self._answer = answer
        self._found: list[StoredMessage] = []

    def begin(self, link: Link) -> None:
        """Open the channel."""
        link.open_channel(self._on_open, lambda problem: self._answer([], problem))

    def _on_open(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_closed)
        channel.add_callback(lambda _frame: channel.close(), [pika.spec.Basic.GetEmpty], one_shot=True)
        self._get(channel)

    def _get(self, channel: Any) -> None:
        if len(self._found) < self._limit:
            channel.basic_get(self._queue, self._on_message)
        else:
            channel.close()

    def _on_message(self, channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        found = received(properties, body)
        self._found.append(StoredMessage(message=found.message, attempts=found.attempts, state="ready"))
        self._get(channel)

    def _on_closed(self, _channel: Any, reason: Any) -> None:
        # 0 and 200: closed by us.
        is_ours = getattr(reason, "reply_code", 0) in (0, 200)
        self._answer(self._found, "" if is_ours else str(reason))
