"""`print`: a line of the log, at level info.

Knows: Python's logging. Must not know: who reads it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .logger import write
from .module import Module, Surroundings


def _functions(surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    def say(line: str, number: int) -> None:
        write("info", line, {}, location=f"{surroundings.entry}:{number}")

    return {"say": say}


MODULE = Module(name="print", functions=_functions, script="print.lua")
