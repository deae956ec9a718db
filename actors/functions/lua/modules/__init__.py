"""The modules that scripts may `require`: one file each, and here the table of them.

To add one: write `name.py` with a `MODULE`, its Lua half in `name.lua` if it needs one, and a line below.
"""

from typing import Final

from . import context, env, errors, funcs, json, logger, print, queue, registry, security, store, uuid  # noqa: A004
from .module import Module

MODULES: Final[dict[str, Module]] = {
    each.MODULE.name: each.MODULE
    for each in (context, env, errors, funcs, json, logger, print, queue, registry, security, store, uuid)
}

#: There without being listed, and global.
ALWAYS: Final = ("errors", "print")

#: What an entry may list.
LISTED: Final = tuple(sorted(set(MODULES) - {"print"}))
