"""What goes wrong in Lua, as Python sees it, and what goes wrong in Python, as Lua sees it.

Knows: the fields of an error object and which Python error is of which kind. Must not know: Lua states, how errors
travel.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Self

from ....registry import NoriaError
from ....security.errors import AccessDenied
from ...errors import (
    ActorsError,
    AlreadySettled,
    FunctionNotFound,
    HandlerTimeout,
    NotRunning,
    QueueNotFound,
)
from ...outcome import describe

NOT_FOUND = "NotFound"
ALREADY_EXISTS = "AlreadyExists"
INVALID = "Invalid"
PERMISSION_DENIED = "PermissionDenied"
UNAVAILABLE = "Unavailable"
INTERNAL = "Internal"
CANCELED = "Canceled"
CONFLICT = "Conflict"
TIMEOUT = "Timeout"
RATE_LIMITED = "RateLimited"
UNKNOWN = ""

_PLACE = re.compile(r"^\s*(?P<file>[^\[\]\n]*?):(?P<line>\d+): ")
_TRACED = re.compile(r"^\s*(?P<place>[^\[\]\n]+?(?P<line>:\d+)?): in ", re.MULTILINE)
_FOLDERS = re.compile(r" \([^()]*/(?=[^/()]+:\d+\)$)")


class LuaError(ActorsError):
    """A Lua function raised an error, or returned one.

    Attributes:
        kind: `NotFound`, `Invalid`, …; empty when its script did not say.
        message: what the script said, without a place.
        details: what it added, or None.
        place: `task_handler.lua:11` where it was raised; None for an error that was returned.
        stack: the Lua traceback, one frame a line; may be empty.
    """

    def __init__(  # noqa: PLR0913  (the fields of an error)
        self,
        message: str,
        *,
        kind: str = "",
        retryable: bool | None = None,
        details: Any = None,
        place: str | None = None,
        stack: str = "",
        text: str | None = None,
    ) -> None:
        self.kind = kind
        self.message = message
        self.says_retryable = retryable
        self.retryable = bool(retryable)
        self.details = details
        self.place = place
        self.stack = stack
        self.text = text
        shown = text or message
        where = f"{place}: " if place and not shown.startswith(place) else ""
        super().__init__(f"{where}{shown}" + (f"\nstack traceback:\n{stack}" if stack else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Its fields survive a way through pickle, which would else ask `__init__` for a text alone."""
        return _restored, (type(self), self.args, self.__dict__)

    @classmethod
    def raised(cls, problem: Any, traceback: str) -> Self:
        """An error that left a script: a text that begins with its place, or an error object."""
        stack = "\n".join(line for line in traceback.splitlines() if _TRACED.match(line))
        traced = _TRACED.search(stack)
        place = traced["place"] if traced else None
        if isinstance(problem, LuaError):
            fields = problem.fields()
            return cls.of({**fields, "place": place, "stack": stack or fields["stack"]})
        if isinstance(problem, dict | list):
            message = json.dumps(problem, ensure_ascii=False, sort_keys=True, default=repr)
            return cls(message, kind=INTERNAL, details=problem, place=place, stack=stack)
        message = problem if isinstance(problem, str) else repr(problem)
        found = _PLACE.match(message)
        if found is None:
            return cls(message, kind=INTERNAL, place=place, stack=stack)
        return cls(
            message[found.end() :], kind=INTERNAL, place=f"{found['file']}:{found['line']}", stack=stack
        )

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The error whose fields came out of a state."""
        retryable = fields.get("retryable")
        return cls(
            str(fields.get("message", "")),
            kind=str(fields.get("kind") or ""),
            retryable=retryable if isinstance(retryable, bool) else None,
            details=fields.get("details"),
            place=fields.get("place"),
            stack=str(fields.get("stack") or ""),
            text=fields.get("text"),
        )

    def fields(self) -> dict[str, Any]:
        """What travels into a Lua state."""
        return {
            "message": self.message,
            "kind": self.kind,
            "retryable": self.says_retryable,
            "details": self.details,
            "stack": self.stack,
            "text": self.text,
        }


def invalid(text: str) -> LuaError:
    """An error of the script's making: what it gave cannot be meant."""
    return LuaError(text, kind=INVALID, retryable=False)


def _restored(cls: type[LuaError], arguments: tuple[Any, ...], fields: Mapping[str, Any]) -> LuaError:
    error = cls.__new__(cls, *arguments)
    error.__dict__.update(fields)
    return error


class LuaLimit(LuaError):
    """A call was ended because it took too much: its state is thrown away, its worker goes on.

    Attributes:
        limit: `instructions`, `memory`, `cancelled`, or `interrupted` by an exception that is no error.
    """

    def __init__(self, limit: str, allowed: int, traceback: str = "", *, is_late: bool = False) -> None:
        self.limit = limit
        said = {
            "instructions": f"it ran more than {allowed} instructions (limits.instructions)",
            "memory": f"it wanted more than {allowed} bytes of memory (limits.memory)",
            "cancelled": "its time was up"
            if is_late
            else "its consumer stops, or its caller has cancelled it",
        }.get(limit, limit)
        kind = CANCELED if limit == "cancelled" else INTERNAL
        stack = "\n".join(line for line in traceback.splitlines() if _TRACED.match(line))
        traced = _TRACED.search(stack)
        if limit == "memory" and traced and traced["line"]:
            said += ", here or soon after"
        super().__init__(
            f"the call was ended: {said}", kind=kind, place=traced["place"] if traced else None, stack=stack
        )


_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (AccessDenied, PERMISSION_DENIED),
    (QueueNotFound, NOT_FOUND),
    (FunctionNotFound, NOT_FOUND),
    (AlreadySettled, INVALID),
    (HandlerTimeout, TIMEOUT),
    (NotRunning, UNAVAILABLE),
)


def fault_of(error: Exception) -> LuaError:
    """A Python error as scripts see it."""
    if isinstance(error, LuaError):
        return error
    kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), None)
    retryable = error.retryable if isinstance(error, NoriaError) else None
    if kind is None:
        kind = UNAVAILABLE if retryable else INTERNAL
    if isinstance(error, NoriaError):
        return LuaError(str(error), kind=kind, retryable=retryable)
    # Where a file lies is nothing that scripts have to know.
    text = _FOLDERS.sub(" (", describe(error))
    return LuaError(f"{type(error).__name__}: {error}", kind=kind, text=text)
