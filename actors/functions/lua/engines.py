"""The Lua engines, which come with `lupa`.

Knows: how each one is imported and what it cannot do. Must not know: entries, scripts.
"""

import importlib
from typing import Any, Final

from attrs import frozen

INSTALL: Final = "pip install 'noria[lua]'"


@frozen(kw_only=True)
class Engine:
    """One implementation of Lua.

    Attributes:
        module: of lupa.
        largest: the largest integer it holds exactly.
        limits_memory: its allocator can be given a limit; else only what is in use is looked at, between instructions.
        hooks_stop_compiling: its compiled code calls no hooks, so it is only compiled where nothing is counted.
    """

    module: str
    largest: int
    limits_memory: bool
    hooks_stop_compiling: bool


ENGINES: Final = {
    "lua54": Engine(module="lupa.lua54", largest=2**63 - 1, limits_memory=True, hooks_stop_compiling=False),
    "luajit": Engine(module="lupa.luajit21", largest=2**53, limits_memory=False, hooks_stop_compiling=True),
}


def what_is_missing(name: str) -> str | None:
    """Why this engine cannot be used here, or None."""
    try:
        importlib.import_module(ENGINES[name].module)
    except ImportError:
        return f"Lua functions need lupa: {INSTALL}"
    return None


def new_runtime(engine: Engine) -> Any:
    """An empty state: strings are bytes, `python` has neither eval nor builtins, attributes are closed."""
    more = {"max_memory": 0} if engine.limits_memory else {}
    return importlib.import_module(engine.module).LuaRuntime(
        encoding=None,
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        attribute_filter=_no_attribute,
        **more,
    )


def _no_attribute(_subject: object, _name: object, _is_setting: bool) -> str:  # noqa: FBT001
    raise AttributeError("attributes of Python objects cannot be reached from Lua")
