"""What every Lua state starts with: `start.lua`, which puts the other files together.

Knows: their names and order. Must not know: what is in them, scripts.
"""

from pathlib import Path
from typing import Final


def text_of(name: str) -> bytes:
    """One file."""
    return (Path(__file__).parent / f"{name}.lua").read_bytes()


START: Final = text_of("start")

#: Each is made of those before it.
PARTS: Final = tuple(
    text_of(name)
    for name in (
        "limits",
        "catching",
        "private",
        "faults",
        "plain",
        "bridge",
        "patterns",
        "library",
        "calls",
        "kit",
        "loading",
    )
)
