"""Asking: a request to a supervisor that may be killed before it answers.

Knows: that an answer can be lost with whoever was about to give it. Does not know: who takes a killed one's place.
"""

from __future__ import annotations

import time
from typing import Any

import pykka

from .bells import LOOK_EVERY
from .errors import SupervisorStopping
from .supervised import Lifeline


def is_answered(supervisor: pykka.ActorRef[Any], life: Lifeline, request: Any, end: float) -> bool:
    """Ask, and wait until `end`; False: it died before it answered, or is about to.

    Raises what it refuses the request with; `pykka.Timeout`.
    """
    try:
        reply = supervisor.ask(request, block=False)
        while not _has_come(reply, end):
            life.bury()
            if life.ended:
                return False
    except (pykka.ActorDeadError, SupervisorStopping):
        return False
    return True


def _has_come(reply: pykka.Future[Any], end: float) -> bool:
    left = end - time.monotonic()
    try:
        reply.get(timeout=max(0.0, min(left, LOOK_EVERY)))
    except pykka.Timeout:
        if left <= LOOK_EVERY:
            raise
        return False
    return True
