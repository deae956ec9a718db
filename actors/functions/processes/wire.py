"""What travels between a runtime and its worker processes.

Knows: plain data, pickled. Must not know: who sends, who receives.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ....registry import Entry
from ....security import Principal
from .failures import Failure

# ---- down: from the runtime to the child -------------------------------------------------------------


@frozen(kw_only=True)
class Setup:
    """The first message: which function to load, and what to log."""

    entry: Entry
    log_levels: Mapping[str, int]


@frozen(kw_only=True)
class MessageFrame:
    """The message that is being handled, without its body."""

    id: str
    queue: str
    attempt: int
    headers: dict[str, Any]


@frozen(kw_only=True)
class Frame:
    """The call context. Of a scope only the IDs of its policies travel: decisions are made in the runtime."""

    principal: Principal | None
    policies: tuple[str, ...] | None
    values: dict[str, Any]
    # time.monotonic() is one clock for all processes of a machine.
    deadline: float | None
    message: MessageFrame | None


@frozen(kw_only=True)
class Job:
    """One call. Its number, which grows, tells the orders for it from those for an earlier one."""

    number: int
    arguments: tuple[Any, ...]
    frame: Frame
    wants_result: bool


@frozen
class Answer:
    """To an `Ask`."""

    value: Any


# ---- up: from the child to the runtime ---------------------------------------------------------------


@frozen
class Ready:
    """The function is loaded."""


@frozen
class Ask:
    """The handler wants something that only the runtime can do; an Answer or a Failure follows.

    Its arguments are pickled by themselves: what cannot be read here is then an error of the handler's, not of ours.
    """

    name: str
    arguments: bytes


@frozen
class Logged:
    """A log record, as a mapping for `logging.makeLogRecord`."""

    record: dict[str, Any]


@frozen
class Done:
    """The call has returned; its result is pickled by itself, for the same reason."""

    result: bytes


Reply = Ready | Ask | Logged | Done | Failure

# ---- orders: down a pipe of their own, so that they overtake everything ------------------------------

CANCEL: Final = b"c"
CANCEL_TASK: Final = b"t"
END: Final = b"e"
# Shorter than PIPE_BUF, so it is written at once and whole.
ORDER: Final = struct.Struct("!cQ")
