"""`coroutine`: Lua's own, and `spawn`, which starts another task of the same call.

Knows: nothing of its own; `coroutine.lua` is all of it.
"""

from .module import Module

MODULE = Module(name="coroutine", script="coroutine.lua")
