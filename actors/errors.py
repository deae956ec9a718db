"""What can go wrong while running things.

Knows: the names of our failures and the fields each one carries; messages are built here, never where they
are raised. Must not know: who raises them.

    NoriaError                      (registry) .retryable
    ├─ ActorsError
    │  ├─ NotRunning                the runtime was not started, or has stopped
    │  ├─ QueueNotFound             .queue .nearest
    │  ├─ QueueFull                 .queue .accepted .timeout; retryable
    │  ├─ QueueUnavailable          .queue .timeout; retryable
    │  ├─ DriverUnavailable         .driver .problem .accepted; retryable
    │  ├─ DriverRefused             .driver .problem; it can never work like this
    │  ├─ BodyRefused               .queue; the body or a header cannot be sent
    │  ├─ FunctionNotFound          .function .nearest
    │  ├─ ConsumerNotFound          .consumer .nearest
    │  ├─ FunctionBroken            .function .file .line
    │  ├─ NotInHandler              message(), context() or publish() where nothing is handled
    │  ├─ AlreadySettled            .message_id
    │  ├─ HandlerTimeout            .seconds
    │  ├─ LuaError                  (functions.lua.faults) .kind .message .details .place .stack
    │  ├─ HandlerFailed             .description; in a worker process, with an error that only it knows
    │  ├─ ProcessDied               .function .pid .exit_code .how; retryable
    │  ├─ NoProcess                 .function; retryable
    │  ├─ NotSendable               .function .what .problem
    │  ├─ NotInProcess              .name
    │  ├─ CallsItself               .function
    │  ├─ WorkersUnfinished         .consumer .workers .messages
    │  ├─ StopFromHandler           a handler cannot wait for itself
    │  ├─ StopIncomplete            .report .unfinished
    │  ├─ NotIdle                   .seconds .waiting
    │  ├─ ChangeInProgress          retryable
    │  ├─ ChangeOutdated            .since .current
    │  ├─ ChangeFromHandler         .consumer
    │  ├─ ChangeWouldLose           .messages
    │  └─ ChangeFailed              .is_undone
    ├─ Reject                       a handler's wish: dead-letter this message now
    └─ Retry                        a handler's wish: deliver this message again after .delay
"""

import math
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..registry import NoriaError

if TYPE_CHECKING:
    from .drain_report import DrainReport


class ActorsError(NoriaError):
    """Anything that goes wrong while running."""


class NotRunning(ActorsError):
    """The runtime was not started yet, is stopping, or has stopped."""

    def __init__(self, *, is_stopping: bool = False) -> None:
        super().__init__(
            "the runtime is stopping"
            if is_stopping
            else "the runtime is not running: call start() first, or use it as a context manager"
        )


class QueueNotFound(ActorsError):
    """No queue has this ID."""

    def __init__(self, queue: str, nearest: str | None = None) -> None:
        self.queue = queue
        self.nearest = nearest
        hint = f", did you mean {nearest}?" if nearest else ""
        super().__init__(f"queue not found: {queue}{hint}")


class QueueFull(ActorsError):
    """The queue had no room within the publisher's timeout.

    Attributes:
        accepted: how many messages of the batch the queue took before it was full; they are the first ones.
    """

    retryable = True

    def __init__(self, queue: str, *, accepted: int, timeout: float) -> None:
        self.queue = queue
        self.accepted = accepted
        self.timeout = timeout
        super().__init__(f"queue is full: {queue} had no room within {timeout:g} s ({accepted} accepted)")


class QueueUnavailable(ActorsError):
    """The queue did not come up in time: its driver is down, or it has not started yet.

    Attributes:
        accepted: how many messages of the batch, from the first, were stored before.
    """

    retryable = True

    def __init__(self, queue: str, *, accepted: int, timeout: float) -> None:
        self.queue = queue
        self.accepted = accepted
        self.timeout = timeout
        super().__init__(
            f"queue is not running: {queue} did not come up within {timeout:g} s ({accepted} accepted)"
        )


class DriverUnavailable(ActorsError):
    """The driver is closed, has lost its backend, or got no answer in time.

    Attributes:
        problem: what the backend or the network said; never a password.
        accepted: how many messages of the batch, from the first, were stored before.
    """

    retryable = True

    def __init__(self, driver: str, problem: str = "", *, accepted: int = 0) -> None:
        self.driver = driver
        self.problem = problem
        self.accepted = accepted
        super().__init__(
            f"queue driver not available: {driver}: {problem}"
            if problem
            else f"queue driver not started: {driver}"
        )


class DriverRefused(ActorsError):
    """The backend will never accept this: wrong credentials, a corrupt file, a queue with other arguments."""

    retryable = False

    def __init__(self, driver: str, problem: str) -> None:
        self.driver = driver
        self.problem = problem
        super().__init__(f"queue driver refused: {driver}: {problem}")


class BodyRefused(ActorsError):
    """A body that the queue's codec cannot write, or a header that no driver could carry."""

    def __init__(self, queue: str, problem: str) -> None:
        self.queue = queue
        super().__init__(f"cannot publish to {queue}: {problem}")


class FunctionNotFound(ActorsError):
    """No function has this ID."""

    def __init__(self, function: str, nearest: str | None = None) -> None:
        self.function = function
        self.nearest = nearest
        hint = f", did you mean {nearest}?" if nearest else ""
        super().__init__(f"function not found: {function}{hint}")


class ConsumerNotFound(ActorsError):
    """No consumer has this ID."""

    def __init__(self, consumer: str, nearest: str | None = None) -> None:
        self.consumer = consumer
        self.nearest = nearest
        hint = f", did you mean {nearest}?" if nearest else ""
        super().__init__(f"consumer not found: {consumer}{hint}")


class FunctionBroken(ActorsError):
    """A function's source cannot be loaded."""

    def __init__(self, function: str, problem: str, *, file: Path | str, line: int) -> None:
        self.function = function
        self.file = file
        self.line = line
        super().__init__(f"{file}:{line}: {function}: {problem}")


class NotInHandler(ActorsError):
    """Asked for something that only a running handler has."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name}() works inside a function that a runtime called, and in what inherits its context"
        )


class AlreadySettled(ActorsError):
    """A delivery is settled once; this was the second time."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        super().__init__(f"message already settled: {message_id}")


class HandlerTimeout(ActorsError):
    """A handler ran longer than its consumer's `timeout`."""

    retryable = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"handler did not finish within {seconds:g} s")


class HandlerFailed(ActorsError):
    """A handler in a worker process raised an error that exists only there: its class is in the handler's file.

    Attributes:
        description: that error in one line, with its place in the handler's file.
    """

    def __init__(self, description: str) -> None:
        self.description = description
        super().__init__(description)


class ChildTraceback(Exception):
    """Not raised: the cause of an error that comes from a worker process, to show where it was raised there.

    Attributes:
        description: the error in one line, with its place in the handler's file.
        text: the traceback of the other process, as Python prints it.
    """

    def __init__(self, description: str, text: str) -> None:
        self.description = description
        self.text = text
        super().__init__(f"\n\n{text}")


class ProcessDied(ActorsError):
    """The worker process of a call ended before the call did.

    Attributes:
        exit_code: of the process; below 0 it is the number of the signal that killed it.
        how: `its process 4711 was killed by SIGSEGV`.
    """

    retryable = True

    def __init__(self, function: str, pid: int, exit_code: int) -> None:
        self.function = function
        self.pid = pid
        self.exit_code = exit_code
        end = (
            f"was killed by {_signal_name(-exit_code)}"
            if exit_code < 0
            else f"ended with exit code {exit_code}"
        )
        self.how = f"its process {pid} {end}"
        super().__init__(f"{function}: {self.how}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class NoProcess(ActorsError):
    """The call was cancelled before one of its function's worker processes was free for it."""

    retryable = True

    def __init__(self, function: str) -> None:
        self.function = function
        super().__init__(f"{function}: cancelled before one of its processes was free")


class NotSendable(ActorsError):
    """What a function in a worker process is given, or gives back, has to be pickled, and cannot be."""

    def __init__(self, function: str, what: str, problem: str) -> None:
        self.function = function
        self.what = what
        self.problem = problem
        super().__init__(f"{function}: {what} cannot be sent from process to process: {problem}")


class NotInProcess(ActorsError):
    """Asked for something in a worker process that only the runtime's own process has."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no {name} in a worker process")


class CallsItself(ActorsError):
    """A function with worker processes was called by a call of its own, which might wait for itself."""

    def __init__(self, function: str) -> None:
        self.function = function
        super().__init__(f"{function} has worker processes and cannot call itself, not even by way of others")


class WorkersUnfinished(ActorsError):
    """A consumer stopped, and some of its workers did not finish in time (the seed's fourth step)."""

    def __init__(self, consumer: str, workers: Sequence[str], messages: Sequence[str]) -> None:
        self.consumer = consumer
        self.workers = tuple(workers)
        self.messages = tuple(messages)
        super().__init__(
            f"{consumer}: {len(self.workers)} of its workers did not finish in time: {', '.join(self.workers)}"
            f" (messages not lost: {', '.join(self.messages) or 'none'})"
        )


class StopFromHandler(ActorsError):
    """A handler asked its own runtime to stop, which would wait for that handler."""

    def __init__(self) -> None:
        super().__init__(
            "a handler cannot stop the runtime that it runs in, for the stop would wait for it:"
            " let another thread do it, threading.Thread(target=runtime.stop).start()"
        )


class StopIncomplete(ActorsError):
    """The runtime has stopped, but not everything finished in time. No message is lost by that.

    Attributes:
        report: the drain report; its `abandoned` are the messages whose handlers did not finish.
        unfinished: the actors that did not end, named with their threads.
    """

    def __init__(self, report: "DrainReport", unfinished: Sequence[str]) -> None:
        self.report = report
        self.unfinished = tuple(unfinished)
        details = [f"actors that did not end: {', '.join(self.unfinished)}"] if self.unfinished else []
        if report.abandoned:
            details.append(f"messages whose handlers did not finish: {', '.join(report.abandoned)}")
        super().__init__(f"stopped, but not everything finished in time; {'; '.join(details)}")


class NotIdle(ActorsError):
    """There was still work when the time was up, or work that nobody is left to do.

    Attributes:
        waiting: queue to how many messages it holds; None where its driver is down.
    """

    def __init__(self, seconds: float, waiting: Mapping[str, int | None], gave_up: Mapping[str, str]) -> None:
        self.seconds = seconds
        self.waiting = dict(waiting)
        self.gave_up = dict(gave_up)
        where = ", ".join(
            f"{queue}: {'its driver is down' if count is None else count}"
            for queue, count in self.waiting.items()
        )
        failed = "".join(f"; {service} gave up: {error}" for service, error in self.gave_up.items())
        super().__init__(f"not idle after {seconds:.3g} s ({where or 'a handler is still running'}){failed}")


class ChangeInProgress(ActorsError):
    """Somebody else is changing the application just now."""

    retryable = True

    def __init__(self) -> None:
        super().__init__("another change of this application is under way; try again when it is done")


class ChangeOutdated(ActorsError):
    """The application is not as it was when somebody looked at it to change it; nothing has changed.

    Attributes:
        since: the version they had seen.
        current: the version that holds.
    """

    def __init__(self, since: int, current: int) -> None:
        self.since = since
        self.current = current
        super().__init__(
            f"the change was made for version {since}, and version {current} holds now: look again"
        )


class ChangeFromHandler(ActorsError):
    """A handler asked for a change that would restart its own consumer, and so wait for that handler."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        super().__init__(
            f"the change would restart {consumer}, whose handler asks for it, and cannot wait for its own end:"
            " let another consumer's handler, or the program, apply it"
        )


class ChangeWouldLose(ActorsError):
    """The change would drop messages that are in this process only; nothing has changed.

    Attributes:
        messages: how many there are, by the ID of their queue; None where nobody can tell.
    """

    def __init__(self, messages: Mapping[str, int | None]) -> None:
        self.messages = dict(messages)
        where = ", ".join(
            f"{queue}: {'unknown' if count is None else count}" for queue, count in self.messages.items()
        )
        super().__init__(
            f"the change would lose messages that are only in memory ({where}): let them be handled first"
        )


class ChangeFailed(ActorsError):
    """What was to start after a change did not; `__cause__` says why.

    Attributes:
        is_undone: what ran before runs again. False where that would have lost messages that had been accepted
            meanwhile: then the change holds, and its supervisor goes on trying.
    """

    def __init__(self, error: Exception, *, is_undone: bool = True) -> None:
        self.is_undone = is_undone
        what = (
            "what ran before runs again"
            if is_undone
            else "it holds all the same, for messages came meanwhile"
        )
        super().__init__(f"the change failed, and {what}: {error}")


REJECTED: Final = "rejected by the handler"


class Reject(NoriaError):
    """Raise it in a handler: this message can never succeed; dead-letter it now.

    Without a dead-letter queue the message is kept and retried, ever slower: nothing is lost.
    """

    def __init__(self, reason: str = REJECTED) -> None:
        self.reason = reason
        super().__init__(reason)


class Retry(NoriaError):
    """Raise it in a handler: deliver this message again.

    Attributes:
        delay: seconds to wait; None for the queue's own growing delay.
    """

    retryable = True

    def __init__(self, reason: str = "retry asked for by the handler", *, delay: float | None = None) -> None:
        check_delay(delay)
        self.reason = reason
        self.delay = delay
        super().__init__(reason)


def check_delay(delay: object) -> None:
    """Raises ValueError for a delay that is neither None nor a finite number of seconds from 0."""
    if delay is None:
        return
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < math.inf:
        raise ValueError(f"delay must be a number of seconds from 0, found {delay!r}")
