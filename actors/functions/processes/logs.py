"""What a handler logs in its process comes out of the runtime's logging.

Knows: `logging`. Must not know: pipes, handlers.
"""

import logging
import logging.handlers
import pickle
from collections.abc import Callable
from typing import Any

STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({})))


def levels() -> dict[str, int]:
    """The levels that are set in this process, by the logger's name; the root's is ''."""
    named = logging.root.manager.loggerDict.items()
    own = {name: each.level for name, each in named if isinstance(each, logging.Logger) and each.level}
    return {**own, "": logging.root.level}


def forward(log_levels: dict[str, int], send: Callable[[dict[str, Any]], None]) -> None:
    """Send every record of this process instead of writing it."""
    logging.root.handlers[:] = [_Forwarding(send)]
    for name, level in log_levels.items():
        logging.getLogger(name or None).setLevel(level)


def log(record: dict[str, Any]) -> None:
    """Hand on a record that another process has sent."""
    made = logging.makeLogRecord(record)
    logger = logging.getLogger(made.name)
    if logger.isEnabledFor(made.levelno):
        logger.handle(made)


class _Forwarding(logging.handlers.QueueHandler):
    """`prepare` of the standard library makes a record one that can be pickled, as far as it has a say."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        logging.Handler.__init__(self)
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        fields = dict(vars(record))
        try:
            pickle.dumps(fields)
        except Exception:
            # Somebody's `extra`. What is logged matters more than how.
            fields = {
                name: value if name in STANDARD_FIELDS else repr(value) for name, value in fields.items()
            }
        self._send(fields)
