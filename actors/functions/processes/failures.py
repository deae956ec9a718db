"""How an exception crosses from one process into another.

Knows: pickling, and what outcome.py has to be able to tell apart. Must not know: pipes, processes.
"""

import pickle
import traceback
from typing import Any

from attrs import frozen

from ...errors import ChildTraceback, HandlerFailed, Reject, Retry
from ...outcome import describe

MAX_TRACEBACK_LENGTH = 20_000


@frozen(kw_only=True)
class Failure:
    """An exception on its way.

    Attributes:
        pickled: it itself; None where it cannot travel.
        stand_in: what to raise where `pickled` cannot be read, for its class lives in the handler's file: a Retry
            or a Reject stays one.
        description: in one line, with its place in the handler's file.
        traceback: as Python prints it.
    """

    pickled: bytes | None
    stand_in: bytes
    description: str
    traceback: str


def packed(error: BaseException) -> Failure:
    """An exception, ready to travel."""
    description = describe(error)
    return Failure(
        pickled=_pickled(error),
        stand_in=pickle.dumps(_fields(_stand_in(error, description))),
        description=description,
        traceback="".join(traceback.format_exception(error))[-MAX_TRACEBACK_LENGTH:],
    )


def unpacked(failure: Failure) -> BaseException:
    """The exception, with the other process's traceback as its cause."""
    error = _read(failure.pickled) or _read(failure.stand_in) or HandlerFailed(failure.description)
    error.__cause__ = ChildTraceback(failure.description, failure.traceback)
    return error


def _pickled(error: BaseException) -> bytes | None:
    """By its own pickling, or else by its fields, whichever brings back an equal exception.

    An exception that builds its message in `__init__` is built wrongly by its own pickling, and nobody is told.
    """
    for form in (error, _fields(error)):
        try:
            data = pickle.dumps(form)
            if _shown(_read(data)) == _shown(error):
                return data
        except Exception:  # noqa: S112  (whatever a class's own methods raise, there is a next way)
            continue
    return None


def _shown(error: BaseException | None) -> tuple[Any, ...]:
    """What tells two exceptions apart; exceptions themselves, as those within a group, never compare equal."""
    return type(error), str(error), repr(error and error.args)


def _fields(error: BaseException) -> tuple[type[BaseException], tuple[Any, ...], dict[str, Any]]:
    return type(error), error.args, dict(error.__dict__)


def _read(data: bytes | None) -> BaseException | None:
    try:
        # What a child of ours says is as trusted as the handler that runs in it.
        form = None if data is None else pickle.loads(data)  # noqa: S301
        if isinstance(form, tuple):
            kind, arguments, fields = form
            form = kind.__new__(kind, *arguments)
            form.args = arguments
            form.__dict__.update(fields)
    except Exception:
        return None
    return form if isinstance(form, BaseException) else None


def _stand_in(error: BaseException, description: str) -> BaseException:
    match error:
        case Retry():
            return Retry(str(error.reason), delay=error.delay)
        case Reject():
            return Reject(str(error.reason))
        case _:
            return HandlerFailed(description)
