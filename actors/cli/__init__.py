"""The command line: `noria`.

Knows: that Ctrl-C ends a program without a word, from its first moment on. Must not know: anything that takes time to
import; `main` imports it.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process; never with a traceback for a broken pipe or Ctrl-C.

    Args:
        arguments: what stands behind `noria`; None: `sys.argv`.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        # Nothing is open yet. An exception could be swallowed by a callback of the import system.
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(INTERRUPTED))
    from .program import run

    signal.signal(signal.SIGINT, before)
    run(arguments)
