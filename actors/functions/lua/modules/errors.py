"""`errors`: errors as objects, with a kind.

Knows: nothing of its own; `errors.lua` is all of it.
"""

from .module import Module

MODULE = Module(name="errors", script="errors.lua")
