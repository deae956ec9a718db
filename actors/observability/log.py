"""Events as log records: one sink, two formatters.

Knows: how important each event is, and how a record becomes a line. Must not know: handlers, terminals, where lines
go. An event holds no message body, so no line does.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from ...registry import Bus, Event, NoriaError
from ...security.events import Denied
from ..events import (
    ApplicationChanged,
    ConsumerDrained,
    MessageAcked,
    MessageDeadLettered,
    MessageFailed,
    WorkerStuck,
)
from ..supervision.errors import describe
from ..supervision.events import (
    ChildFailed,
    ChildGaveUp,
    ChildStarted,
    ChildStopped,
    ChildStopTimeout,
    SupervisorFailed,
    Undelivered,
)

LOGGER: Final = "noria"

LEVELS: Final[Mapping[type[Event], int]] = {
    ApplicationChanged: logging.INFO,
    MessageAcked: logging.DEBUG,
    MessageFailed: logging.WARNING,
    MessageDeadLettered: logging.WARNING,
    WorkerStuck: logging.ERROR,
    ConsumerDrained: logging.DEBUG,
    ChildStarted: logging.DEBUG,
    ChildFailed: logging.WARNING,
    ChildStopped: logging.DEBUG,
    ChildGaveUp: logging.ERROR,
    ChildStopTimeout: logging.ERROR,
    SupervisorFailed: logging.ERROR,
    Undelivered: logging.WARNING,
    Denied: logging.WARNING,
}

_LEVEL_NAMES: Final = {"warning": "warn", "critical": "error"}


class LogSink:
    """Writes every event it is given to the logger `noria`. Thread-safe.

        LogSink().listen(runtime.bus)

    The message of a record is the event's name as words; the name itself is in `event` and the fields are in
    `fields` (both through `extra`), where formatters find them. What starts and stops as it should is at level debug,
    and so is a drain of nothing: what failed, or was started again, is not.

    Args:
        logger: where records go; None: the logger `noria`.
        more: gives fields to add to the record of an event that is logged.
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        *,
        more: Callable[[Event], Mapping[str, Any]] = lambda _event: {},
    ) -> None:
        self._logger = logger or logging.getLogger(LOGGER)
        self._more = more

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = self._level(event)
        if not self._logger.isEnabledFor(level):
            return
        name = type(event).__name__
        fields = {**attrs.asdict(event, recurse=False), **self._more(event)}
        error = fields.get("error")
        unexpected = isinstance(error, BaseException) and not isinstance(error, NoriaError)
        self._logger.log(
            level,
            "%s",
            words(name),
            extra={
                "event": name,
                "fields": {key: plain(value) for key, value in fields.items() if value is not None},
            },
            exc_info=error if unexpected else None,
        )

    def listen(self, bus: Bus) -> Callable[[], None]:
        """Subscribe to all that this logger's level shows; return the function that ends it.

        Acknowledgements are only built while somebody listens to them, one for each message: at the levels above
        debug this does not.
        """
        if self._logger.isEnabledFor(logging.DEBUG):
            return bus.subscribe(self)
        return bus.subscribe(self, *(kind for kind in LEVELS if kind is not MessageAcked))

    def _level(self, event: Event) -> int:
        match event:
            case ChildStarted(restarts=restarts) if restarts:
                return logging.INFO
            case ChildStopped(error=BaseException()):
                return logging.WARNING
            case ConsumerDrained() if event.abandoned or event.unfinished:
                return logging.ERROR
            case ConsumerDrained() if event.finished or event.settled or event.returned:
                return logging.INFO
        return LEVELS.get(type(event), logging.INFO)


def words(name: str) -> str:
    """`message dead lettered` for `MessageDeadLettered`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def plain(value: Any) -> Any:
    """A field as JSON can hold it; an error as one sentence."""
    if isinstance(value, BaseException):
        return describe(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (ISO 8601, UTC), `level`, `logger`, `event`, `text`, then the event's fields.

    A field never takes the place of one of those names. What is no event, such as a handler's own logging, has no
    `event`. A traceback is in `traceback`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds"),
            "level": level_name(record),
            "logger": record.name,
        }
        if hasattr(record, "event"):
            line["event"] = record.event
        line["text"] = record.getMessage()
        for name, value in _fields(record).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Half of a surrogate pair, from a file name for example, must not break the stream it is written to.
        return json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()


class TextFormatter(logging.Formatter):
    """`18:03:12.250 warn  message failed  queue=app:tasks attempt=1 error="ValueError: boom"`, in local time.

    A traceback follows on lines of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = _moment(record).astimezone().strftime("%H:%M:%S")
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        text = record.getMessage()
        # Only fields are quoted, so only they may hold whatever a handler's error said.
        line = (
            f"{moment}.{int(record.msecs):03d} {level_name(record):<5} {text}{' ' if fields else ''}{fields}"
        )
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line.encode("utf-8", "backslashreplace").decode()


def level_name(record: logging.LogRecord) -> str:
    """`debug`, `info`, `warn` or `error`: the words of `.noria.yaml`."""
    name = record.levelname.lower()
    return _LEVEL_NAMES.get(name, name)


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _shown(value: Any) -> str:
    """A value of a line: bare when it is one plain word, else as JSON, in which no control character survives."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str) and (not re.fullmatch(r"[^\s\"=]+", text) or not text.isprintable()):
        return json.dumps(text, ensure_ascii=not text.replace("\n", " ").isprintable())
    return text
