"""The small types that texts in definition files become: durations and texts read from files.

Knows: their syntax. Does not know: fields, files on disk, the environment.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Self

import attrs

from .wording import Expected

_SECONDS: Final = {
    "ns": Decimal("0.000000001"),
    "us": Decimal("0.000001"),
    "µs": Decimal("0.000001"),  # U+00B5, the micro sign
    "μs": Decimal("0.000001"),  # U+03BC, the Greek letter: keyboards have the one or the other
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART: Final = re.compile(rf"({_NUMBER})({'|'.join(_SECONDS)})")
_WHOLE: Final = re.compile(rf"\+?(?:{_PART.pattern})+")
_BARE: Final = re.compile(rf"\+?{_NUMBER}")

DURATION_RULE: Final = 'a duration such as "1h30m", "250ms" or a number of seconds'


@attrs.frozen
class DurationFormat:
    """Marks a float as a duration, for whoever structures it."""


#: A duration in seconds (float). In a file: `1h30m`, `250ms`, `1.5s`, `7d`, or a bare number of seconds.
Duration = Annotated[float, DurationFormat()]


def parse_duration(value: Any) -> float:
    """Seconds of a duration as files write it (spec, supervisor 1; decisions: days, bare numbers).

    Units are ns, us, ms, s, m, h and d, and may be combined. Raises Expected (a ValueError) for anything
    else: negative and infinite numbers, booleans, unknown units.
    """
    match value:
        case bool():
            pass
        case int() | float() if value >= 0 and math.isfinite(value):
            return float(value)
        case str():
            return _parse_text(value.strip(), value)
    raise Expected(DURATION_RULE, value)


def _parse_text(text: str, original: str) -> float:
    if _BARE.fullmatch(text):
        seconds = Decimal(text)
    elif _WHOLE.fullmatch(text):
        # Decimal, because 0.1s + 0.2s is 0.3 s for whoever wrote it.
        seconds = sum((Decimal(n) * _SECONDS[unit] for n, unit in _PART.findall(text)), Decimal(0))
    else:
        raise Expected(DURATION_RULE, original)
    if math.isinf(float(seconds)):
        raise Expected(DURATION_RULE, original)
    return float(seconds)


class FileText(str):
    """A text that may have been read from a file, and then knows which.

    The type of a field whose `file://` value is wanted with its origin: `path` is the absolute path of
    the file, or None when the text stands in the definition file itself.
    """

    __slots__ = ("path",)

    path: Path | None

    def __new__(cls, text: str, path: Path | None = None) -> Self:
        """A text, and the file it was read from if it was."""
        self = super().__new__(cls, text)
        self.path = path
        return self

    def __getnewargs__(self) -> tuple[str, Path | None]:  # type: ignore[override]  # copies keep the path
        return (str(self), self.path)
