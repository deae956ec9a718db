"""A Python program as a child process that tells by lines what it does: for crashes, and for many on one queue.

Knows: processes that print JSON lines. Must not know: noria.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .child import LOG_TAIL, Child

PATIENCE = 60.0


class Process:
    """Runs a script with this Python; each line it prints is a record.

    A line that is JSON is read, another is kept as text. A last line without an end was torn by a kill, and is
    left out. The script has to flush: `print(json.dumps(record), flush=True)`.

    Args:
        script: The program.
        arguments: What it finds in `sys.argv[1:]`, as text.
        folder: Where it runs, and where `errors`, the file with its stderr, is.
        environment: More variables.
    """

    def __init__(
        self, script: Path, *arguments: object, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.errors = folder / "stderr.txt"
        self._lines: list[Any] = []
        self._ended = False
        self._changed = threading.Condition()
        with self.errors.open("ab") as errors:
            self._child = Child(
                [sys.executable, script, *map(str, arguments)],
                environment=environment,
                folder=folder,
                output=subprocess.PIPE,
                errors=errors,
            )
        self._reader = threading.Thread(target=self._read, name=f"lines-of-{self.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        output = self._child.process.stdout
        assert output is not None
        with output:
            for line in output:
                if line.endswith(b"\n"):
                    self._add(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, line: bytes) -> None:
        record: Any
        try:
            record = json.loads(line)
        except ValueError:
            record = line.decode(errors="replace").rstrip("\n")
        with self._changed:
            self._lines.append(record)
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.is_running

    @property
    def lines(self) -> list[Any]:
        """All so far; after `wait` and `kill`, all there are."""
        with self._changed:
            return list(self._lines)

    def wait_for(self, condition: Callable[[list[Any]], bool], what: str = "its lines") -> list[Any]:
        """All lines, as soon as `condition` is true of them.

        Raises:
            AssertionError: it ended before, or a minute passed; with the end of what it wrote to stderr.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or condition(self._lines), PATIENCE)
            assert condition(self._lines), (
                f"waited for {what}, {'but it ended' if self._ended else 'in vain'};"
                f" the last of {len(self._lines)} lines: {self._lines[-5:]}; stderr:\n{self._tail()}"
            )
            return list(self._lines)

    def wait_for_line(self, record: Any) -> None:
        """Returns when it has printed this."""
        self.wait_for(lambda lines: record in lines, repr(record))

    def kill(self) -> None:
        """SIGKILL for it and its children; gone when this returns, and what it printed before is in `lines`."""
        self._child.kill()
        self._reader.join(PATIENCE)

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self._child.terminate()

    def pause(self) -> None:
        """SIGSTOP: it lives and does nothing, not even a heartbeat."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, negative for a signal, when it has ended and every line is in `lines`."""
        code = self._child.wait(patience)
        self._reader.join(PATIENCE)
        return code

    def _tail(self) -> str:
        return self.errors.read_text(errors="replace")[-LOG_TAIL:]
