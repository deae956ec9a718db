"""What every Lua state starts with: `start.lua`, which puts the other files together.

Knows: their names and order. Must not know: what is in them, scripts.
"""

from pathlib import Path
from typing import Final


def _text(name: str) -> bytes:
    return (Path(__file__).parent / f"{name}.lua").read_bytes()


START: Final = _text("start")

#: Each is made of those before it.
PARTS: Final = tuple(
    _text(name) for name in ("limits", "catching", "faults", "plain", "bridge", "library", "calls", "loading")
)
