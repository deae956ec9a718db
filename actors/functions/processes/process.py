"""One worker process, as the runtime sees it.

Knows: how a child is started, told, heard and ended, and that it never outlives us. Must not know: calls, deadlines.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe, spawn
from typing import Any

from ....registry import Entry, EntryID
from ...errors import FunctionBroken, ProcessDied
from . import logs
from .failures import Failure, unpacked
from .wire import ORDER, Logged, Ready, Reply, Setup

# A handler's file may import a lot, but one that never ends must not keep its runtime from starting.
START_LIMIT = 60.0
# How long a child may take to exit once nobody talks to it any more.
EXIT_LIMIT = 1.0

# Our path first, for what noria itself is imported from.
BOOT = """\
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
sys.path[:] = connection.recv()
from noria.actors.functions.processes.child import main
main(connection, int(sys.argv[2]), int(sys.argv[3]))
"""


class WorkerProcess:
    """A child with one function in it. One thread talks to it at a time; `order` and `kill` are for any thread.

    Three pipes lead to it. One carries calls and answers. One carries orders, which must not wait behind a call. The
    third carries nothing: the kernel kills the child when our end of it closes, and nothing closes it but our end.
    """

    def __init__(self, entry: Entry) -> None:
        self.function: EntryID = entry.id
        self._entry = entry
        self._connection, theirs = Pipe()
        orders, self._orders = os.pipe()
        life, self._life = os.pipe()
        os.set_blocking(self._orders, False)
        # Whoever writes to a pipe, or to a process, must not find another one under its number.
        self._lock = threading.Lock()
        self._is_over = False
        try:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves)
                [
                    *_interpreter(),
                    "-P",
                    "-c",
                    BOOT,
                    *map(str, (theirs.fileno(), orders, life)),
                    str(entry.id),
                ],
                pass_fds=(theirs.fileno(), orders, life),
                stdin=subprocess.DEVNULL,
                # Signals to our group, such as Ctrl-C, are for us; and what a handler starts is in its own group.
                start_new_session=True,
            )
        except BaseException:
            self._connection.close()
            os.close(self._orders)
            os.close(self._life)
            raise
        finally:
            theirs.close()
            os.close(orders)
            os.close(life)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Return when the function is loaded.

        Raises:
            FunctionBroken: it cannot be; the child is over.
        """
        limit = time.monotonic() + START_LIMIT
        word = self._first_word(limit)
        if isinstance(word, Ready):
            return
        is_late = self.is_alive and time.monotonic() >= limit
        if is_late:
            self.kill()
        died = self.end()
        if isinstance(word, Failure):
            raise unpacked(word)
        source = self._entry.config.source
        file = (source and source.path) or self._entry.source.file
        problem = (
            f"was not loaded within {START_LIMIT:g} s" if is_late else f"while it was loaded, {died.how}"
        )
        raise FunctionBroken(str(self.function), problem, file=file, line=1)

    def _first_word(self, limit: float) -> Reply | None:
        """What it says about its function; None when it ends, or the time does, before."""
        try:
            self._connection.send([str(step) for step in sys.path])
            self.send(pickle.dumps(Setup(entry=_bare(self._entry), log_levels=logs.levels())))
            while self._connection.poll(max(0.0, limit - time.monotonic())):
                word = self.receive()
                if not isinstance(word, Logged):
                    return word
                logs.log(word.record)
        except (EOFError, OSError):
            return None
        return None

    def send(self, data: bytes) -> None:
        """Raises OSError: it is over."""
        self._connection.send_bytes(data)

    def receive(self) -> Reply:
        """The next thing that it says. Raises EOFError or OSError: it is over."""
        reply: Reply = pickle.loads(self._connection.recv_bytes())  # noqa: S301  (our own child)
        return reply

    def order(self, what: bytes, number: int) -> None:
        """Tell it something about a call, also while it is busy. Never waits. Thread-safe."""
        # A pipe that is full, after thousands of orders that nobody read, is one of a child that is to be killed.
        with self._lock, contextlib.suppress(OSError):
            if not self._is_over:
                os.write(self._orders, ORDER.pack(what, number))

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and what it has started, at once. Thread-safe, and harmless once it is over."""
        # Until somebody has waited for it, a process that has ended keeps its number, and a group while it has members.
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if not self._is_over:
                os.killpg(self._process.pid, signal.SIGKILL)

    def hang_up(self) -> None:
        """Let an idle one exit by itself."""
        self._connection.close()

    def end(self, patience: float = EXIT_LIMIT) -> ProcessDied:
        """See to it that it is over, with what it has started; say how it ended.

        Args:
            patience: seconds for it to exit by itself.
        """
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()
        self._process.wait()
        with self._lock:
            if not self._is_over:
                self._is_over = True
                os.close(self._orders)
                os.close(self._life)
        return ProcessDied(str(self.function), self._process.pid, self._process.returncode)


def _interpreter() -> list[str]:
    # Whoever embeds Python sets it for multiprocessing, and so for us.
    executable: Any = spawn.get_executable()
    return [
        os.fsdecode(executable or sys.executable),
        *(["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []),
        *(f"-W{option}" for option in sys.warnoptions),
    ]


def _bare(entry: Entry) -> Entry:
    """What a child needs of an entry, and no more of the application."""
    return Entry(id=entry.id, kind=entry.kind, config=entry.config, source=entry.source)
