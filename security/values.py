"""How two values of a condition are compared, as Wippy compares them.

Knows: numbers, numeric strings, texts, lists, maps, nothing else. Bools are no numbers. Does not know fields,
operators or policies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

NUMERIC = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]+")
# Longer texts are no numbers: reading them would take more than linear time.
MAX_NUMERIC = 310
# In this order: a bool is an int, too.
TYPE_NAMES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool,), "a bool"),
    ((int, float), "a number"),
    ((str,), "a text"),
    ((list, tuple), "a list"),
    ((Mapping,), "a map"),
)


def number(value: Any) -> int | float | None:
    """The value as a number: a number, or a text that is written like one; None for everything else.

    Whole numbers stay exact, so that two long identifiers that differ in the last digit stay different.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str) or len(value) > MAX_NUMERIC or not NUMERIC.fullmatch(value):
        return None
    return int(value) if WHOLE.fullmatch(value) else float(value)


def text(value: Any) -> str | None:
    """The value as text: texts, numbers and bools; None for everything else. Whole floats lose their `.0`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return (
            str(int(value))
            if math.isfinite(value) and value.is_integer() and abs(value) < 1e15
            else repr(value)
        )
    return str(value) if isinstance(value, int) else None


def is_list(value: Any) -> bool:
    """Whether the value is a list; principals hold theirs as tuples."""
    return isinstance(value, list | tuple)


def equal(left: Any, right: Any) -> bool:
    """`eq`: lists and maps by structure, then as numbers if both are, else as texts if both are, else never."""
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    left_number, right_number = number(left), number(right)
    if left_number is not None and right_number is not None:
        return left_number == right_number
    left_text, right_text = text(left), text(right)
    if left_text is not None and right_text is not None:
        return left_text == right_text
    return type(left) is type(right) and bool(left == right)


def described(value: Any) -> str:
    """The value for a sentence, short enough for a log line."""
    if value is None:
        return "nothing"
    shown = repr(_as_written(value))
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _as_written(value: Any) -> Any:
    """Lists and maps as they look in a file, not as a principal keeps them."""
    if isinstance(value, Mapping):
        return {key: _as_written(item) for key, item in value.items()}
    return [_as_written(item) for item in value] if is_list(value) else value


def type_name(value: Any) -> str:
    """The type of a value, for a sentence that must not repeat the value."""
    if value is None:
        return "nothing"
    return next((name for types, name in TYPE_NAMES if isinstance(value, types)), f"a {type(value).__name__}")
