"""One life of the driver, from `open` to `close`: its connections, channels and subscriptions.

Knows: how questions from other threads are put and answered. Must not know: what a driver promises of errors.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from ...delivery import Message
from ...driver import StoredMessage
from ...errors import DriverRefused, DriverUnavailable
from ..io_thread import Request
from .config import AmqpConfig
from .control import Control, Refusal
from .declared import DeclaredQueue
from .delay_steps import (
    delay_queue_arguments,
    delay_queue_name,
    is_to_be_declared_again,
)
from .link import TERMINAL, Link
from .options import type_arguments
from .peek import Peek
from .publication import Publication
from .publisher import Publisher
from .subscription import AmqpSubscription, Terms

# How long a broker may take for one answer.
ANSWER_PATIENCE = 10.0
CLOSE_PATIENCE = 3.0


@frozen
class Figures:
    """What the broker says of a queue and its helpers."""

    ready: int
    delayed: int
    consumers: int


class Session:
    """Opened once, closed once. What begins with "in the thread" is for the link's thread.

    Args:
        name: the driver's, for errors.
        config: where to connect to.
        queues: what was declared, by name; the driver adds to it.
        failed: called once, when the broker is lost.
        store: the driver's `publish`.
    """

    def __init__(
        self,
        name: str,
        config: AmqpConfig,
        queues: Mapping[str, DeclaredQueue],
        failed: Callable[[BaseException], None],
        store: Callable[[str, Sequence[Message], float], None],
    ) -> None:
        self.name = name
        self.store = store
        self.link = Link(name, config, self._on_lost)
        self.control = Control(self.link)
        self.publisher = Publisher(self.link, self.control)
        self.error: DriverUnavailable | None = None
        self._queues = queues
        self._failed = failed
        self._lock = threading.Lock()
        self._requests: set[Request] = set()
        self._subscriptions: dict[tuple[str, str], AmqpSubscription] = {}

    def open(self) -> None:
        """Connect. Raises DriverUnavailable or DriverRefused."""
        self.link.open()
        self.link.call(self.control.open)
        self.link.call(self.publisher.open)

    def close(self) -> None:
        """Give everything back, disconnect. Bounded, whatever the broker does."""
        with self._lock:
            subscriptions = list(self._subscriptions.values())
        for subscription in subscriptions:
            subscription.close()
        deadline = time.monotonic() + CLOSE_PATIENCE
        for subscription in subscriptions:
            subscription.ended.wait(max(0.0, deadline - time.monotonic()))
        self.link.close()
        self._lose(DriverUnavailable(self.name))

    def _check(self) -> None:
        if self.error is not None:
            raise DriverUnavailable(self.name, self.error.problem)

    # ---- questions from other threads ------------------------------------------------------------------

    def ask(self, question: Callable[[Request], None]) -> Any:
        """Put a question in the thread, and wait for its answer.

        Raises:
            DriverUnavailable: the broker is lost, or did not answer in time.
        """
        request = Request()
        with self._lock:
            self._check()
            self._requests.add(request)
        try:
            self.link.call(lambda: question(request))
            if not request.wait(ANSWER_PATIENCE):
                raise DriverUnavailable(self.name, f"no answer within {ANSWER_PATIENCE:g} s")
            return request.outcome()
        finally:
            with self._lock:
                self._requests.discard(request)

    def declare(self, queue: DeclaredQueue) -> None:
        """Declare it in the broker, and where its expired messages go."""
        options = queue.options
        if queue.expired_name is not None:
            arguments = type_arguments(options.queue_type)
            self._declare_one(queue.expired_name, durable=options.durable, arguments=arguments)
        self._declare_one(
            queue.name, durable=options.durable, auto_delete=options.auto_delete, arguments=queue.arguments
        )

    def _declare_one(self, name: str, **options: Any) -> None:
        def question(request: Request) -> None:
            self.control.declare(name, lambda _frame, refusal: request.finish(refusal), **options)

        refusal = self.ask(question)
        if refusal is not None:
            raise self._refused(name, refusal, options)

    def _refused(
        self, name: str, refusal: Refusal, options: Mapping[str, Any]
    ) -> DriverRefused | DriverUnavailable:
        asked = ", ".join(f"{option}={value!r}" for option, value in options.items())
        problem = (
            f"queue {name}: noria declares it with {asked}; the broker says: {refusal.code} {refusal.text}"
        )
        kind = DriverRefused if refusal.code in TERMINAL else DriverUnavailable
        return kind(self.name, problem)

    def figures(self, queue: DeclaredQueue) -> Figures:
        """Count what waits."""

        def question(request: Request) -> None:
            waiting, delays = queue.waiting_names(), queue.delay_names()
            counted: list[tuple[int, int]] = []

            def add(messages: int, consumers: int) -> None:
                counted.append((messages, consumers))
                if len(counted) == len(waiting) + len(delays):
                    messages_in = [count for count, _ in counted]
                    request.finish(
                        Figures(
                            ready=sum(messages_in[: len(waiting)]),
                            delayed=sum(messages_in[len(waiting) :]),
                            consumers=counted[0][1],
                        )
                    )

            for name in (*waiting, *delays):
                self.control.count(name, add)

        figures: Figures = self.ask(question)
        return figures

    def purge(self, queue: DeclaredQueue) -> int:
        """Remove what waits; how many messages that were."""

        def purge_one(name: str) -> int:
            def question(request: Request) -> None:
                def tell(frame: Any, refusal: Refusal | None) -> None:
                    # A delay queue that nobody needed is gone by itself.
                    request.finish(0 if refusal is not None else frame.method.message_count)

                self.control.purge(name, tell)

            count: int = self.ask(question)
            return count

        return sum(purge_one(name) for name in (*queue.waiting_names(), *queue.delay_names()))

    def peek(self, queue: DeclaredQueue, limit: int) -> list[StoredMessage]:
        """What is ready, in order."""

        def question(request: Request) -> None:
            def answer(found: list[StoredMessage], problem: str) -> None:
                error = DriverUnavailable(self.name, f"queue {queue.name}: {problem}") if problem else None
                request.finish(found, error)

            Peek(queue.name, limit, answer).begin(self.link)

        found: list[StoredMessage] = self.ask(question)
        return found

    # ---- publishing ------------------------------------------------------------------------------------

    def publish(self, publication: Publication, timeout: float) -> None:
        """Send it, and wait until it is safe, or the time is up; the publication says what became of it."""
        with self._lock:
            self._check()
            self._requests.add(publication)
        try:
            began = time.monotonic()
            self.link.call(lambda: self.publisher.send(publication))
            if not publication.wait(timeout):
                self.link.call(lambda: self.publisher.end_waiting(publication))
                if not publication.wait(max(1.0, began + ANSWER_PATIENCE - time.monotonic())):
                    self.link.call(lambda: self.publisher.withdraw(publication))
        finally:
            with self._lock:
                self._requests.discard(publication)

    def send_delayed(self, queue: DeclaredQueue, step: int, publication: Publication) -> None:
        """In the thread: send it to a delay queue, which is declared before, if that was long ago or never."""
        declared_at = queue.delays.get(step)
        if declared_at is not None and not is_to_be_declared_again(step, time.monotonic() - declared_at):
            self.publisher.send(publication)
            return
        name = delay_queue_name(queue.name, queue.delay_type, step)

        def on_declared(_frame: Any, refusal: Refusal | None) -> None:
            if refusal is None:
                queue.delays[step] = time.monotonic()
                self.publisher.send(publication)
            else:
                self.link.fail(f"cannot delay messages in queue {name}: {refusal.code} {refusal.text}")

        arguments = delay_queue_arguments(queue.name, queue.delay_type, step)
        self.control.declare(name, on_declared, durable=True, arguments=arguments)

    # ---- subscriptions ---------------------------------------------------------------------------------

    def subscribe(self, queue: DeclaredQueue, terms: Terms) -> AmqpSubscription:
        """Begin to deliver."""
        with self._lock:
            earlier = self._subscriptions.get((queue.name, terms.consumer))
        if earlier is not None:
            earlier.close()
            earlier.ended.wait(CLOSE_PATIENCE)
        if queue.may_vanish:
            self.declare(queue)
        made = AmqpSubscription(self, queue, terms)
        with self._lock:
            self._subscriptions[queue.name, terms.consumer] = made
        try:
            self.ask(made.start)
        except DriverUnavailable:
            made.close()  # should it begin all the same, nobody would settle what it gets
            self.forget(made)
            raise
        return made

    def subscriptions_of(self, queue: DeclaredQueue) -> list[AmqpSubscription]:
        """Those that live."""
        with self._lock:
            return [each for each in self._subscriptions.values() if each.queue is queue]

    def forget(self, subscription: AmqpSubscription) -> None:
        """It has ended."""
        with self._lock:
            key = (subscription.queue.name, subscription.consumer)
            if self._subscriptions.get(key) is subscription:
                del self._subscriptions[key]

    # ---- the end ---------------------------------------------------------------------------------------

    def _on_lost(self, error: DriverUnavailable) -> None:
        """In the thread."""
        self._lose(error)
        self._failed(error)

    def _lose(self, error: DriverUnavailable) -> None:
        with self._lock:
            if self.error is not None:
                return
            self.error = error
            requests, subscriptions = list(self._requests), list(self._subscriptions.values())
            self._subscriptions.clear()
        for subscription in subscriptions:
            subscription.lose()
            subscription.ended.set()
        self.publisher.lose(self._queues.values())
        for request in requests:
            if isinstance(request, Publication):
                request.stop(error.problem)
                request.end()
            else:
                request.finish(error=error)
