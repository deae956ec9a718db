"""The connection that publishers and everybody else who waits for an answer share.

Knows: a link, who waits. Must not know: what they ask.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ..io_thread import Request
from .link import LOST, Command, Link


class Callers:
    """Sends what many threads ask in one trip: whoever is first takes along what the others have left meanwhile.

    No thread of its own: one that asks alone pays for no wake-up.

    Args:
        link: the connection.
        lost: told when it breaks.
    """

    def __init__(self, link: Link, lost: Callable[[BaseException], None]) -> None:
        self._link = link
        self._lost = lost
        self._asked: deque[tuple[Sequence[Command], Request]] = deque()
        self._turn = threading.Lock()

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, each of which may be a ResponseError.

        Raises:
            RedisError, OSError: the connection is lost.
        """
        request = Request()
        self._asked.append((commands, request))
        with self._turn:
            if not request.is_done:
                self._answer_all()
        replies: list[Any] = request.outcome()
        return replies

    def _answer_all(self) -> None:
        taken = []
        try:
            while self._asked:
                taken.append(self._asked.popleft())
            replies = iter(self._link.run([command for commands, _ in taken for command in commands]))
        except BaseException as error:
            is_lost = isinstance(error, LOST)
            problem = error if is_lost else ConnectionAbortedError("its reader was interrupted")
            for _, request in taken:
                request.finish(error=problem)
            self._lost(problem)
            if is_lost:
                return
            raise
        for commands, request in taken:
            request.finish([next(replies) for _ in commands])
