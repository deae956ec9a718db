"""What runs in a worker process: the function, one call after the other, until nobody is left to call it.

The main thread talks to the runtime and runs the handler. A second one reads orders, which come while a handler runs.
Knows: how a call is run, cancelled and ended here. Must not know: other processes, pools.
"""

import asyncio
import contextlib
import contextvars
import faulthandler
import fcntl
import logging
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

from ....security.context import enter, leave
from ...errors import NotInHandler, NotSendable
from ...function import Function
from ...handle import HandlerContext
from ..python import PythonFunctions
from . import logs
from .failures import Failure, packed, unpacked
from .remote import context_of
from .wire import CANCEL, CANCEL_TASK, END, ORDER, Answer, Ask, Done, Job, Logged, Ready, Reply, Setup

# Other than the runtime's own: an exception class of a handler's file must not be taken for one of another file there.
MODULE_PREFIX = "_noria_process"


class Ended(SystemExit):
    """Raised where a handler is that has to end; `finally` blocks run."""


def pickled(who: object, what: str, value: Any) -> bytes:
    """Raises NotSendable."""
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise NotSendable(str(who), what, str(error)) from error


class Line:
    """The pipe to the runtime. Thread-safe: handlers may have threads, and anything may log."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        # Whoever asks keeps it until the answer is there.
        self._asking = threading.Lock()
        self._number = 0

    def receive_setup(self) -> Setup:
        """The first message."""
        setup: Setup = pickle.loads(self._connection.recv_bytes())  # noqa: S301  (our parent)
        return setup

    def receive_job(self) -> bytes | None:
        """The next call; None: there will be none."""
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def send(self, reply: Reply) -> None:
        """Tell the runtime."""
        data = pickle.dumps(reply)
        with self._sending:
            self._connection.send_bytes(data)

    def log(self, record: dict[str, Any]) -> None:
        """Send a log record; where nobody listens any more, it is lost."""
        with contextlib.suppress(OSError):
            self.send(Logged(record))

    def begin(self, number: int) -> None:
        """From now on, this call may ask."""
        with self._asking:
            self._number = number

    def end(self, reply: Done | Failure) -> None:
        """End the call; nothing that it left running can ask any more."""
        with self._asking:
            self.send(reply)
            self._number = 0

    def ask(self, number: int, name: str, *arguments: Any) -> Any:
        """Have the runtime do something for a call, and return what it says or raise what it raises."""
        with self._asking:
            if number != self._number:
                raise NotInHandler(name)
            self.send(Ask(name, pickled(name, "an argument", arguments)))
            reply = pickle.loads(self._connection.recv_bytes())  # noqa: S301  (our parent)
        if isinstance(reply, Failure):
            raise unpacked(reply)
        assert isinstance(reply, Answer)  # noqa: S101  (for the type checker)
        return reply.value


class Calls:
    """Runs calls in the main thread, and carries out orders about them from another one."""

    def __init__(self, function: Function, line: Line) -> None:
        self._function = function
        self._line = line
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._number = 0
        self._context: HandlerContext | None = None
        self._task: asyncio.Task[Any] | None = None
        # Orders for the next call that were faster than the call.
        self._early: list[tuple[bytes, int]] = []
        self._is_ending = False

    def run(self, data: bytes) -> None:
        """Run one call and tell what became of it."""
        reply: Done | Failure
        try:
            job: Job = pickle.loads(data)  # noqa: S301  (our parent)
        except Exception as error:
            self._line.end(packed(NotSendable(str(self._function.id), "an argument", str(error))))
            return
        try:
            result = self._call(job)
            reply = Done(pickled(self._function.id, "its result", result if job.wants_result else None))
        except Ended:
            raise
        except BaseException as error:  # a stray sys.exit() ends its own call, as it does everywhere
            reply = packed(error)
        finally:
            self._finish()
        flush()
        self._line.end(reply)

    def _call(self, job: Job) -> Any:
        def ask(name: str, *arguments: Any) -> Any:
            return self._line.ask(job.number, name, *arguments)

        context = context_of(job.frame, ask)
        self._line.begin(job.number)
        self._begin(job.number, context)
        token = enter(context)
        try:
            if not self._function.is_async:
                return self._function.call(*job.arguments)
            if self._runner is None:
                self._runner = asyncio.Runner()
            # The runner would use the context of its own making, in which no message is being handled.
            return self._runner.run(self._as_task(job.arguments), context=contextvars.copy_context())
        finally:
            leave(token)

    async def _as_task(self, arguments: tuple[Any, ...]) -> Any:
        self._task = asyncio.current_task()
        if self._is_ending:
            raise Ended
        try:
            return await self._function.call(*arguments)
        finally:
            self._task = None

    def _begin(self, number: int, context: HandlerContext) -> None:
        with self._lock:
            self._number, self._context = number, context
            early, self._early = self._early, []
        for what, meant in early:
            self.obey(what, meant)

    def _finish(self) -> None:
        with self._lock:
            self._number, self._context = 0, None

    # ---- orders --------------------------------------------------------------------------------------

    def obey(self, what: bytes, number: int) -> None:
        """Carry out an order, unless it is about a call that is over."""
        with self._lock:
            if number != self._number or self._context is None:
                self._early.append((what, number))
                del self._early[:-10]
                return
            context, task = self._context, self._task
        if what == CANCEL:
            context.cancel()
        elif task is not None and what in {CANCEL_TASK, END}:
            # The loop may close at any moment, and has nothing to cancel then.
            with contextlib.suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)
        elif what == END:
            self._is_ending = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """A signal to every process of a service, as its manager sends to stop it, is for the runtime to act on."""
        if self._is_ending:
            raise Ended

    def close(self) -> None:
        """Release the event loop of async handlers, if one was needed."""
        if self._runner is not None:
            self._runner.close()


def main(connection: Connection, orders: int, life: int) -> None:
    """Load the function, and run calls until the runtime hangs up."""
    die_with_the_runtime(life)
    with contextlib.suppress(Exception):  # there may be no standard error
        faulthandler.enable()  # a crash shows where the handler was
    for number in (connection.fileno(), orders, life):
        os.set_inheritable(number, False)  # noqa: FBT003  (it takes no names)
    line = Line(connection)
    setup = line.receive_setup()
    logs.forward(dict(setup.log_levels), line.log)
    try:
        function = PythonFunctions(MODULE_PREFIX).load_here(setup.entry)
    except BaseException as error:  # whatever it is, it goes to who started the runtime
        line.send(packed(error))
        return
    calls = Calls(function, line)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, calls.on_signal)
    threading.Thread(target=read_orders, args=(orders, calls), name="noria-orders", daemon=True).start()
    os.register_at_fork(after_in_child=lambda: be_a_stranger(connection.fileno(), orders, life))
    line.send(Ready())
    try:
        while (data := line.receive_job()) is not None:
            calls.run(data)
    finally:
        calls.close()


def read_orders(orders: int, calls: Calls) -> None:
    """Until the runtime is gone, and this process with it."""
    with open(orders, "rb", closefd=False) as file:
        while len(data := file.read(ORDER.size)) == ORDER.size:
            calls.obey(*ORDER.unpack(data))
    leave_at_once()


def leave_at_once() -> NoReturn:
    """With all that the handler has started."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def die_with_the_runtime(life: int) -> None:
    """Have the kernel kill this process's group when the other end of a pipe closes, even when no Python can run here.

    Only Linux can; elsewhere the thread that reads orders has to notice.
    """
    if not hasattr(fcntl, "F_SETSIG"):
        return
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def be_a_stranger(*ours: int) -> None:
    """In a process that the handler has forked: it has nothing to do with the runtime, and must not hold its pipes."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in ours:
        os.dup2(nothing, number, inheritable=False)
    logging.root.handlers.clear()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def flush() -> None:
    """What a handler printed is out when its call ends: nobody knows how its process will."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
