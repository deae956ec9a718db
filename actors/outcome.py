"""How a handler run can end.

Knows: the three endings and which exception means which. Must not know: drivers, threads, the clock.
"""

import traceback
from pathlib import Path

from attrs import frozen

from .errors import ChildTraceback, HandlerTimeout, Reject, Retry

MAX_ERROR_LENGTH = 2000
EXPIRED = "expired"
OURS = tuple(str(Path(__file__).parents[1] / package) for package in ("actors", "registry", "security"))


@frozen
class Ack:
    """Done: the message is removed."""


@frozen
class Nack:
    """It failed: deliver it again, after `delay` seconds or, without one, after the queue's growing delay."""

    error: str
    delay: float | None = None


@frozen
class Rejection:
    """Never again on this queue: dead-letter it, `reason` says why."""

    reason: str
    error: str


Outcome = Ack | Nack | Rejection

ACK = Ack()


def outcome_of(error: BaseException) -> Outcome:
    """What an exception out of a handler means. The only place that decides it."""
    match error:
        case Retry():
            return Nack(_cut(error.reason), error.delay)
        case Reject():
            return Rejection("rejected", _cut(error.reason))
        case HandlerTimeout():  # in the words of whoever settles at a deadline, so that both are one error
            return Nack(str(error))
        case _:
            return Nack(describe(error))


def describe(error: BaseException) -> str:
    """The exception in one line, with the place in the handler's own code where it came from."""
    if isinstance(error.__cause__, ChildTraceback):
        return error.__cause__.description
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    # Ours, or a handler file's, whose module has a name that means nothing to anybody and is another one each time.
    if type(error).__module__.startswith(("noria.", "_noria_")):
        text = text.removeprefix(f"{type(error).__module__}.")
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return _cut(text, MAX_ERROR_LENGTH - len(place)) + place


def _cut(text: object, length: int = MAX_ERROR_LENGTH) -> str:
    return str(text)[:length]
