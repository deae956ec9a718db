"""The worker processes of one function: who has which, who waits, and who has had enough time.

Knows: calls and processes. Must not know: what travels (wire.py), who answers (serving.py), how a child is ended.
"""

import itertools
import math
import pickle
import threading
import time
from typing import Any, NoReturn

from ....registry import Entry
from ....security import current_context
from ...errors import (
    CallsItself,
    HandlerTimeout,
    NoProcess,
    NotInHandler,
    NotRunning,
    NotSendable,
    ProcessDied,
)
from ...handle import HandlerContext
from . import logs
from .call import Call
from .failures import Failure, packed, unpacked
from .process import EXIT_LIMIT, WorkerProcess
from .serving import answer, frame_of, loads
from .wire import CANCEL_TASK, Ask, Done, Job, Logged

LONGEST_WAIT = 3600.0
# How long a close waits for threads whose processes were killed.
CLOSE_LIMIT = 5.0


class ProcessPool:
    """Runs the calls of one function in up to `size` child processes. Thread-safe.

    The first is started with the runtime, to see that the function can be loaded; the others when so many calls run
    at once. The one that was used last is the one to use next.
    """

    def __init__(self, entry: Entry, size: int) -> None:
        self._entry = entry
        self._size = size
        self._numbers = itertools.count(1)
        # Taken by `with self._lock` only, see queue.py.
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._alarm = threading.Condition(self._lock)
        self._idle: list[WorkerProcess] = []
        self._processes: set[WorkerProcess] = set()
        self._reserved = 0
        self._calls: dict[HandlerContext, Call] = {}
        self._watch: threading.Thread | None = None
        self._next_look = math.inf
        self._is_closed = self._is_retired = False
        self._first: WorkerProcess | None = None
        self._here = threading.local()

    # ---- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the first process; return at once."""
        self._first = WorkerProcess(self._entry)
        with self._lock:
            self._processes.add(self._first)
            self._reserved += 1

    def wait_ready(self) -> None:
        """Return when the first process has loaded the function.

        Raises:
            FunctionBroken: it cannot be loaded.
        """
        first = self._first
        assert first is not None  # noqa: S101  (for the type checker)
        first.wait_ready()
        with self._lock:
            self._first = None
            self._idle.append(first)

    def close(self) -> None:
        """End every process. Idle ones exit; what still runs is told to end, and killed soon after."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            over = self._let_go()
            self._freed.notify_all()
        limit = time.monotonic() + EXIT_LIMIT
        for process in over:
            process.end(max(0.0, limit - time.monotonic()))
        with self._lock:
            self._processes.difference_update(over)
            self._freed.wait_for(lambda: not self._processes, CLOSE_LIMIT)
            left = tuple(self._processes)
        for process in left:  # whose thread was interrupted twice
            process.end(0)

    def retire(self) -> None:
        """End each process as soon as nobody is in it. A call that comes late gets one of its own."""
        if self._first is not None:
            self.close()  # nobody has called it yet
            return
        with self._lock:
            self._is_retired = True
            idle, self._idle = self._idle, []
            self._alarm.notify()
        for process in idle:
            self._see_off(process)

    def _let_go(self) -> list[WorkerProcess]:
        """Tell every process to end; those that no thread of ours sees to are returned. Under the lock."""
        now = time.monotonic()
        idle, self._idle = self._idle, []
        for process in idle:
            process.hang_up()
        busy = {call.process for call in self._calls.values()}
        for process in self._processes.difference(idle, busy):
            process.kill()  # it is still starting
        for call in self._calls.values():
            call.condemn(NotRunning(is_stopping=True), now)
        if self._calls:
            self._call_for_watch(now)
        return idle if self._first is None else [*idle, self._first]

    # ---- calling ---------------------------------------------------------------------------------------

    def call(self, *arguments: Any) -> Any:
        """Call the function in a process, in the context that is current here, and return its result.

        Raises:
            NotSendable: an argument or the result cannot be pickled.
            ProcessDied: the process ended during the call.
            HandlerTimeout: the context's deadline passed; the process was ended.
        """
        return self._run(arguments, wants_result=True)

    def handle(self, body: Any) -> None:
        """Handle a message: its time begins when a process is free, and whatever it returns is left where it is."""
        self._run((body,), wants_result=False)

    def cancel_task(self, context: HandlerContext) -> None:
        """Cancel the async handler of this context. A plain one can only be asked."""
        with self._lock:
            call = self._calls.get(context)
            if call is not None and call.process is not None:
                call.process.order(CANCEL_TASK, call.number)

    def kill(self, context: HandlerContext) -> None:
        """Kill the process in which this context's call runs."""
        with self._lock:
            call = self._calls.get(context)
            if call is not None and call.process is not None:
                call.why = call.why or NotRunning(is_stopping=True)
                call.process.kill()

    def _run(self, arguments: tuple[Any, ...], *, wants_result: bool) -> Any:
        context = current_context()
        if not isinstance(context, HandlerContext):
            raise NotInHandler(str(self._entry.id))
        if getattr(self._here, "is_calling", False):
            raise CallsItself(str(self._entry.id))
        call = Call(context=context, number=next(self._numbers), changed=self._cancelled)
        self._here.is_calling = True
        with self._lock:
            self._calls[context] = call
        context.pass_cancel_on(call)
        try:
            process = self._take(call, has_own_clock=not wants_result)
            return self._converse(call, process, arguments, wants_result=wants_result)
        finally:
            self._here.is_calling = False
            with self._lock:
                del self._calls[context]

    def _converse(
        self, call: Call, process: WorkerProcess, arguments: tuple[Any, ...], *, wants_result: bool
    ) -> Any:
        reply: Done | Failure | None = None
        try:
            data = self._packed_job(call, arguments, wants_result=wants_result)
        except BaseException:
            self._give_back(call, process)
            raise
        try:
            reply = self._exchange(process, data, call.context)
        except (EOFError, OSError):
            reply = None  # it has ended, by itself or by us
        except BaseException:  # a Ctrl-C in the program that called
            process.kill()
            self._give_back(call, process, is_over=True)
            raise
        died = self._give_back(call, process, is_over=reply is None)
        if call.why is not None:
            raise call.why
        match reply:
            case Failure():
                raise unpacked(reply)
            case Done():
                return loads(self._entry.id, "its result", reply.result)
        assert died is not None  # noqa: S101  (for the type checker)
        raise died

    def _packed_job(self, call: Call, arguments: tuple[Any, ...], *, wants_result: bool) -> bytes:
        job = Job(
            number=call.number,
            arguments=arguments,
            frame=frame_of(call.context),
            wants_result=wants_result,
        )
        try:
            return pickle.dumps(job)
        except Exception as error:
            raise NotSendable(str(self._entry.id), "an argument", str(error)) from error

    def _exchange(self, process: WorkerProcess, data: bytes, context: HandlerContext) -> Done | Failure:
        process.send(data)
        while True:
            reply = process.receive()
            match reply:
                case Ask():
                    process.send(_packed_answer(reply, context))
                case Logged():
                    logs.log(reply.record)
                case Done() | Failure():
                    return reply

    # ---- processes -------------------------------------------------------------------------------------

    def _take(self, call: Call, *, has_own_clock: bool) -> WorkerProcess:
        """A process for this call, which is then its own until it is given back."""
        context = call.context
        timeout = None if context.deadline is None else context.deadline - context.since
        if has_own_clock:
            context.since = math.inf  # its time has not begun
        process = self._next_place(context, has_own_clock=has_own_clock)
        while process is not None and not process.is_alive:
            self._give_back(call, process, is_over=True)  # killed from outside, while nobody looked
            process = self._next_place(context, has_own_clock=has_own_clock)
        if process is None:
            process = self._start_another()
        if has_own_clock and context.cancelled.is_set():
            self._give_back(call, process)
            self._leave_unseen(context)
        now = time.monotonic()
        if has_own_clock:
            context.since = now
            context.deadline = None if timeout is None else now + timeout
        self._begin(call, process, now)
        return process

    def _next_place(self, context: HandlerContext, *, has_own_clock: bool) -> WorkerProcess | None:
        """A process that is free, as soon as there is one; None: there is room for one more, and it is reserved."""
        deadline = math.inf if has_own_clock or context.deadline is None else context.deadline
        with self._lock:
            while not self._is_closed:
                if self._idle:
                    return self._idle.pop()
                if self._reserved < self._size:
                    self._reserved += 1
                    return None
                left = deadline - time.monotonic()
                if context.cancelled.is_set() or left <= 0:
                    break
                self._freed.wait(min(left, LONGEST_WAIT))
        if self._is_closed or context.cancelled.is_set():
            self._leave_unseen(context)
        raise HandlerTimeout(round(deadline - context.since, 3))

    def _leave_unseen(self, context: HandlerContext) -> NoReturn:
        """Give a delivery that no handler has seen back as it came."""
        delivery = context.delivery
        if context.since == math.inf and delivery is not None and delivery.claim():
            delivery.started = False
            delivery.subscription.release((delivery,))
        raise NoProcess(str(self._entry.id))

    def _start_another(self) -> WorkerProcess:
        """In the place that the caller has reserved."""
        process: WorkerProcess | None = None
        try:
            process = WorkerProcess(self._entry)
            with self._lock:
                self._processes.add(process)
                if self._is_closed:
                    process.kill()
            process.wait_ready()
        except BaseException:
            if process is not None:
                process.kill()
                process.end()
            with self._lock:
                self._reserved -= 1
                self._processes -= {process}
                self._freed.notify_all()
            raise
        return process

    def _begin(self, call: Call, process: WorkerProcess, now: float) -> None:
        with self._lock:
            call.process = process
            call.began = call.context.since
            call.deadline = math.inf if call.context.deadline is None else call.context.deadline
            if self._is_closed:
                call.why = NotRunning(is_stopping=True)
                process.kill()
            if call.context.cancelled.is_set():
                call.tell_cancelled()
            self._call_for_watch(call.look(now))

    def _give_back(self, call: Call, process: WorkerProcess, *, is_over: bool = False) -> ProcessDied | None:
        """Make it free for others, or see to it that it is over."""
        with self._lock:
            call.process = None
            if not (is_over or call.is_condemned or self._is_closed or self._is_retired):
                self._idle.append(process)
                self._freed.notify()
                return None
        if call.is_condemned:
            process.kill()
        return self._see_off(process)

    def _see_off(self, process: WorkerProcess) -> ProcessDied:
        """Wait until it has ended, and let another one have its place."""
        died = process.end()
        with self._lock:
            self._processes.discard(process)
            self._reserved -= 1
            self._freed.notify_all()
        return died

    # ---- time ------------------------------------------------------------------------------------------

    def _cancelled(self, call: Call) -> None:
        with self._lock:
            call.tell_cancelled()
            self._freed.notify_all()

    def _call_for_watch(self, moment: float) -> None:
        """See to it that somebody looks at the calls at this moment. Under the lock."""
        if moment >= self._next_look:
            return
        self._next_look = moment
        if self._watch is None:
            self._watch = threading.Thread(
                target=self._look_after_calls, name=f"{self._entry.id}-deadlines", daemon=True
            )
            self._watch.start()
        else:
            self._alarm.notify()

    def _look_after_calls(self) -> None:
        """End calls whose time is over; after a close, or once it is retired, until none is left."""
        with self._lock:
            while True:
                now = time.monotonic()
                looks = [call.look(now) for call in self._calls.values()]
                self._next_look = min(looks, default=math.inf)
                if (self._is_closed or self._is_retired) and self._next_look == math.inf:
                    self._watch = None  # whoever comes late calls for another one
                    return
                self._alarm.wait(min(max(0.0, self._next_look - now), LONGEST_WAIT))


def _packed_answer(ask: Ask, context: HandlerContext) -> bytes:
    reply = answer(ask, context)
    try:
        return pickle.dumps(reply)
    except Exception as error:
        return pickle.dumps(packed(NotSendable(ask.name, "its result", str(error))))
