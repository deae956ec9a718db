"""Fields of config classes: `reference` to another entry, a number `between` two bounds, a `secret`.

Knows: attrs. Does not know: which entries exist (references.py checks), nor files (structure.py reads).
"""

from __future__ import annotations

import fnmatch
import typing
from typing import Any, Final

import attrs
from attrs import NOTHING

from .values import DURATION_RULE, DurationFormat
from .wording import Expected, one_of

REFERENCE: Final = "noria.reference"
BETWEEN: Final = "noria.between"
HIDDEN: Final = "noria.hidden"


@attrs.frozen
class Reference:
    """What a reference may point to: patterns of kinds, or any kind when there are none."""

    kinds: tuple[str, ...]

    def accepts(self, kind: str) -> bool:
        """Whether an entry of `kind` may stand here."""
        return not self.kinds or any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.kinds)

    @property
    def wanted(self) -> str:
        """The kinds as a sentence names them."""
        return f"an entry of kind {one_of(self.kinds)}" if self.kinds else "an entry"


@attrs.frozen
class Between:
    """The bounds of a number, both included; an attrs validator."""

    low: float
    high: float | None

    def __call__(self, _instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        """Raise Expected unless `value` is None, or a number within the bounds."""
        if value is not None and not self.holds(value):
            raise Expected(self.phrase(attribute.type), value)

    def holds(self, value: Any) -> bool:
        """Whether `value` is a number (a boolean is none) within the bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        # Written this way round so that a NaN, which compares false with everything, is refused.
        return value >= self.low and (self.high is None or value <= self.high)

    def phrase(self, annotation: Any) -> str:
        """`an integer from 1 to 1000`, `a number of at least 0`: what may stand in such a field."""
        is_time = _mentions(annotation, "Duration")
        noun = DURATION_RULE if is_time else "a number" if _mentions(annotation, "float") else "an integer"
        if self.high is not None:
            limits = f"from {self.low} to {self.high}"
        elif is_time and self.low == 0:
            return noun
        else:
            limits = f"of at least {self.low}"
        return f"{noun}, {limits} seconds" if is_time else f"{noun} {limits}"


def _mentions(annotation: Any, name: str) -> bool:
    """Whether a type, or a member of a union, is `Duration` or `float`."""
    if isinstance(annotation, str):  # of a class whose annotations nobody has resolved yet
        return name in annotation
    if hasattr(annotation, "__metadata__"):
        return name == "Duration" and any(
            isinstance(mark, DurationFormat) for mark in annotation.__metadata__
        )
    return (annotation is float and name == "float") or any(
        _mentions(member, name) for member in typing.get_args(annotation)
    )


def reference(*kinds: str, default: Any = NOTHING) -> Any:
    """A field that names another entry: `EntryID`, `EntryID | None`, or a tuple or list of EntryIDs.

    The entry must exist and be of one of `kinds`; `queue.driver.*` stands for all kinds that begin so, and
    no kinds for any kind. A bare name belongs to the namespace of the entry that refers. Whatever is
    referred to is a dependency: it comes earlier in `Registry.levels()`.
    """
    return attrs.field(default=default, metadata={REFERENCE: Reference(kinds)})


def between(low: float, high: float | None = None, default: Any = NOTHING) -> Any:
    """A field of type int, float or Duration (or one of them or None) within bounds, both included.

    The bounds also hold for config classes that are built in Python: they raise a ValueError.
    """
    bounds = Between(low, high)
    return attrs.field(default=default, validator=bounds, metadata={BETWEEN: bounds})


def secret(default: Any = NOTHING, validator: Any = None) -> Any:
    """A field such as a key or a password: neither `repr()` nor a message about it shows what it holds."""
    return attrs.field(default=default, validator=validator, repr=False, metadata={HIDDEN: True})
