"""A process that runs an application until it is told to stop, or is killed: `worker.py APPLICATION LOG`.

Each handler run is a line in LOG, written by one system call before the handler returns, so a kill tears none.
"""

import os
import signal
import sys
import threading
from types import ModuleType

from noria.actors import Runtime, message


class Journal(ModuleType):
    """What the application's handler file imports as `journal`."""

    def __init__(self, path: str) -> None:
        super().__init__("journal")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, body: object) -> None:
        os.write(self._file, f"{body} {message().attempt} {os.getpid()}\n".encode())


def main(application: str, log: str) -> None:
    sys.modules["journal"] = Journal(log)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Runtime.load(application):
        print('"running"', flush=True)
        stopping.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
