"""What stands ready for scripts, with its members: asked of a state, so that no list has to be kept.

Knows: how to ask one. Must not know: entries, what is in a module.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from attrs import frozen

from ....registry import EntryID
from .background import Background
from .engines import ENGINES
from .modules import ALWAYS, LISTED
from .modules.module import Surroundings
from .script import Chunk, Script
from .state import LuaState

_ASKING: Final = """
local function members_of(tables)
  local found = {}
  for name, value in pairs(tables) do
    if type(value) == "table" and value ~= _G then
      found[name] = {}
      for member in pairs(value) do
        table.insert(found[name], member)
      end
    end
  end
  return found
end

return function(modules)
  local required = {}
  for _, name in ipairs(modules) do
    required[name] = require(name)
  end
  return { globals = members_of(_G), modules = members_of(required) }
end
"""

Tables = Mapping[str, frozenset[str]]


@frozen(kw_only=True)
class Ready:
    """The members of the tables that any script has, and of the modules that it may list."""

    globals: Tables
    modules: Tables


@cache
def ready_in(engine: str) -> Ready:
    """What a state of this engine has."""
    names = {name: name for name in (*LISTED, *ALWAYS)}
    asking = Chunk(key="noria:ready", name="ready", text=_ASKING, names=names)
    surroundings = Surroundings(entry=EntryID.parse(asking.key), background=Background())
    script = Script(main=asking, libraries=(), modules=LISTED)
    state = LuaState(script, ENGINES[engine], surroundings, instructions=0, memory=0)
    try:
        _, found = state.call("handler", [list(LISTED)], wants_value=True)
    finally:
        state.close()
    return Ready(globals=_tables(found["globals"]), modules=_tables(found["modules"]))


def _tables(found: Mapping[str, list[str]]) -> Tables:
    return {name: frozenset(members) for name, members in found.items()}
