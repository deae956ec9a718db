"""`logger`: structured lines of the log.

Knows: Python's logging, and the names under which noria's formatters look for fields. Must not know: where lines go.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from .....security import current_context
from ....handle import HandlerContext
from .module import Module, Surroundings

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def write(level: str, text: Any, fields: Mapping[str, Any], *, location: str, name: str = "") -> None:
    """One record, with what the formatters of `noria.actors.observability` expect in `fields`."""
    # One logger for all: Python keeps every logger for ever, and the names come from scripts.
    logger = logging.getLogger("noria.lua")
    number = LEVELS[level]
    if not logger.isEnabledFor(number):
        return
    added = {**fields, **({"named": name} if name else {}), "location": location}
    context = current_context()
    if isinstance(context, HandlerContext) and context.delivery is not None:
        added["message"] = context.delivery.message.id
    # A text is never a format: what stands in it comes from messages.
    logger.log(number, "%s", text, extra={"fields": added})


def _functions(surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    def log(level: str, text: Any, fields: Any, line: int, name: str) -> None:
        named = (
            {key: value for key, value in fields.items() if isinstance(key, str)}
            if isinstance(fields, dict)
            else {}
        )
        write(level, text, named, location=f"{surroundings.entry}:{line}", name=name)

    return {"log": log}


MODULE = Module(name="logger", functions=_functions, script="logger.lua")
