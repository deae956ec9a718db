"""`channel`: how the tasks of one call hand values to each other.

Knows: nothing of its own; `channel.lua` is all of it.
"""

from .module import Module

MODULE = Module(name="channel", script="channel.lua")
