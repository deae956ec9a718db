"""What a module of Lua's is made of.

Knows: its parts. Must not know: any module, states.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import field, frozen

from .....registry import EntryID
from ..background import Background


@frozen(kw_only=True)
class Surroundings:
    """What a module may know of where it is used.

    Attributes:
        entry: the function whose state it is in.
        background: where the runtime lets calls run that nobody waits for.
    """

    entry: EntryID
    background: Background


def _no_functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {}


@frozen(kw_only=True)
class Module:
    """One module, such as `json`.

    Attributes:
        name: what scripts `require`.
        functions: makes its Python functions, by name. They get plain data and return plain data; Lua sees `value, nil`,
            or `nil, err` for what they raise. A LuaError says which kind of error it is.
        groundwork: a file that is called before `script`, in the same way, where one would be too long.
        script: the file of its Lua half, beside this one; it is called with the table of those functions and the kit of
            `sandbox/kit.lua`, and returns the module. None: the module is the table of functions.
    """

    name: str
    functions: Callable[[Surroundings], Mapping[str, Callable[..., Any]]] = field(default=_no_functions)
    groundwork: str | None = None
    script: str | None = None


@cache
def _text(file: str) -> bytes:
    return (Path(__file__).parent / file).read_bytes()


def scripts_of(module: Module) -> tuple[bytes | None, ...]:
    """The texts of its Lua half; what the last one returns is the module. None: the table of its functions is."""
    files = [file for file in (module.groundwork, module.script) if file is not None]
    return tuple(_text(file) for file in files) or (None,)
