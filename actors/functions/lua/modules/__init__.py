"""The modules that scripts may `require`: one file each, and here the table of them.

To add one: write `name.py` with a `MODULE`, its Lua half in `name.lua` if it needs one, and a line below.
"""

from typing import Final

from . import (
    channel,
    context,
    coroutine,
    env,
    errors,
    funcs,
    json,
    logger,
    print,  # noqa: A004
    queue,
    registry,
    security,
    store,
    tasks,
    time,
    uuid,
)
from .module import Module

_ALL: Final = (
    *(channel, context, coroutine, env, errors, funcs, json, logger, print, queue, registry),
    *(security, store, tasks, time, uuid),
)

MODULES: Final[dict[str, Module]] = {each.MODULE.name: each.MODULE for each in _ALL}

#: What other modules are made of, and no script sees.
BENEATH: Final = ("tasks",)

#: There without being listed, and global.
ALWAYS: Final = ("channel", "coroutine", "errors", "print")

#: What an entry may list.
LISTED: Final = tuple(sorted(set(MODULES) - {*BENEATH, "print"}))
