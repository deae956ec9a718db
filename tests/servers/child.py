"""A child process that cannot outlive the test run, and a server that is one.

Knows: processes, their signals and their logs. Must not know: what the process does.
"""

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

PATIENCE = 60.0
POLL = 0.05
LOG_TAIL = 4000

# It reads until its parent is gone, however that happened, and then kills the group it was told.
GUARD = 'read -r _; kill -s KILL -- "-$1"'


class NotStarted(Exception):
    """A server did not come up.

    Fields:
        name: Which one.
        reason: What happened instead.
        log: The end of what it had to say.
    """

    def __init__(self, name: str, reason: str, log: str) -> None:
        self.name, self.reason, self.log = name, reason, log
        super().__init__(f"{name} {reason}. The end of its log:\n{log}")


class Child:
    """A process in a session of its own, so that a signal to it, or to the tests, reaches nobody else."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path,
        output: IO[bytes] | int,
        errors: IO[bytes] | int = subprocess.STDOUT,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL for it and its children; gone when this returns."""
        if self.is_running:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, negative for a signal."""
        code = self.process.wait(patience)
        # Its job is done, and it must not kill who gets the number next.
        self._guard.kill()
        self._guard.communicate()
        return code

    def stop(self, patience: float = PATIENCE) -> None:
        """Ask it to end, and make it end when it does not."""
        self.terminate()
        try:
            self.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()


class Server(ABC):
    """A server with a folder of its own, which it finds again after a restart."""

    name: str

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "server.log"
        self._child: Child | None = None

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it does its work. May raise OSError while it does not."""

    def _environment(self) -> Mapping[str, str]:
        return {}

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} is not running"
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_running

    def start(self) -> None:
        """Returns when it answers.

        Raises:
            NotStarted: it ended, or said nothing for a minute.
        """
        assert not self.is_running, f"{self.name} is running already"
        with self.log.open("ab") as log:
            self._child = Child(
                self._command(), environment=self._environment(), folder=self.folder, output=log
            )
        deadline = time.monotonic() + PATIENCE
        while not self._is_up():
            # Waiting for its end is the pause between two questions, and notices at once that there is no point.
            if ended_within(self._child, POLL):
                self._child.wait()
                raise NotStarted(self.name, f"ended with {self._child.process.returncode}", self.log_tail())
            if time.monotonic() > deadline:
                self.kill()
                raise NotStarted(self.name, f"did not answer within {PATIENCE:g} s", self.log_tail())

    def _is_up(self) -> bool:
        try:
            return self._answers()
        except OSError:
            return False

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self._child is not None:
            self._child.stop()

    def settle(self) -> None:  # noqa: B027  (most need not do anything)
        """Returns when a kill would lose nothing that it has confirmed."""

    def kill(self) -> None:
        """SIGKILL: what it had not yet written is lost."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """On the same port with the same data, whether it runs, was stopped or was killed."""
        self.stop()
        self.start()

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL:]


def ended_within(child: Child, seconds: float) -> bool:
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def eventually(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """For what only polling can tell: the state inside a server."""
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        pause.wait(POLL)
