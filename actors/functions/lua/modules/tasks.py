"""Waiting, for the tasks of a call: until a moment, until something happens, until the call is cancelled.

No script sees this module; `tasks.lua` makes of it what `channel`, `coroutine`, `time` and `funcs` need. A state is only
used by the thread that made it, so there is one thing to wake for each thread.
Knows: the call context. Must not know: tasks, what is waited for.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .....security import current_context
from .module import Module, Surroundings

# Longer waits are cut into pieces, for the C library's sake.
LONGEST_WAIT = 3600.0


class Waker:
    """What a thread waits with. Waking it before it waits is waking it as well."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def cancel(self) -> None:
        """Wake it: the call was cancelled, or something else happened that it should look at."""
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Return when woken, or after so many seconds. Whoever waits looks again at what it waits for."""
        self._woken.wait(seconds)
        self._woken.clear()


class _Here(threading.local):
    def __init__(self) -> None:
        self.waker = Waker()


_here = _Here()


def waker() -> Waker:
    """The one of this thread."""
    return _here.waker


def wait(due: float | None = None) -> None:
    """Until this moment of the monotonic clock, until it is woken, or until the call must end."""
    limits = [LONGEST_WAIT]
    if due is not None:
        limits.append(max(0.0, due - time.monotonic()))
    context = current_context()
    if context is not None:
        context.pass_cancel_on(_here.waker)
        remaining = context.remaining()
        if remaining is not None:
            limits.append(remaining)
    _here.waker.wait(min(limits))


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {"wait": wait, "now": time.monotonic}


MODULE = Module(name="tasks", functions=_functions, script="tasks.lua")
