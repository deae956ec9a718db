"""What the operators of expressions do with two values.

Knows: each operator's meaning in expr-lang. A wrong type is a Misuse; nothing is converted. Does not know syntax or
positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from .expression_values import (
    Frame,
    Misuse,
    bounded,
    bounded_text,
    integer,
    is_number,
    number,
    same,
    text,
    type_name,
)
from .regular import remembered

Operator = Callable[[Frame, Any, Any], Any]

MAX_RANGE: Final = 10_000


def _compared(sign: str, holds: Callable[[Any, Any], bool]) -> Operator:
    def compare(_frame: Frame, left: Any, right: Any) -> bool:
        both_numbers = is_number(left) and is_number(right)
        if both_numbers or (isinstance(left, str) and isinstance(right, str)):
            return holds(left, right)
        raise Misuse(f"cannot compare {type_name(left)} with {type_name(right)} by {sign}")

    return compare


def _add(frame: Frame, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return bounded_text(frame, left + right)
    if is_number(left) and is_number(right):
        return bounded(left + right)
    raise Misuse(f"cannot add {type_name(left)} and {type_name(right)}")


def _divide(_frame: Frame, left: Any, right: Any) -> float:
    if number(right) == 0:
        raise Misuse("division by zero")
    return number(left) / right  # type: ignore[no-any-return]


def _remainder(_frame: Frame, left: Any, right: Any) -> int:
    if integer(right) == 0:
        raise Misuse("division by zero")
    # The sign of the dividend, as in Go; Python's % takes the divisor's.
    rest: int = abs(integer(left)) % abs(right)
    return -rest if left < 0 else rest


def _power(_frame: Frame, left: Any, right: Any) -> float:
    # Always a float, as in expr-lang; so 10 ** 10 ** 10 overflows at once instead of growing.
    try:
        return math.pow(number(left), number(right))
    except (OverflowError, ValueError):
        raise Misuse("the result of ** is no number") from None


def _range(frame: Frame, low: Any, high: Any) -> list[int]:
    size = max(0, integer(high) - integer(low) + 1)
    if size > MAX_RANGE:
        raise Misuse(f"a range of {size} integers is too long; at most {MAX_RANGE}")
    frame.spend(size)
    return list(range(low, high + 1))


def _in(frame: Frame, left: Any, right: Any) -> bool:
    match right:
        case None:
            return False
        case list() | tuple():
            return any(same(frame, left, item) for item in right)
        case Mapping():
            return isinstance(left, str) and left in right
    raise Misuse(f"cannot look for something in {type_name(right)}; a part of a text is found by contains")


def _matches(frame: Frame, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    frame.spend(1 + len(text(left)))
    return remembered.search(text(right), left)


def _on_texts(sign: str, holds: Callable[[str, str], bool]) -> Operator:
    """Operators between texts; nil on either side makes them false, as in expr-lang."""

    def evaluate(frame: Frame, left: Any, right: Any) -> bool:
        if left is None or right is None:
            return False
        if not isinstance(left, str) or not isinstance(right, str):
            raise Misuse(f"{sign} needs two texts, found {type_name(left)} and {type_name(right)}")
        frame.spend(1 + (len(left) >> 6))
        return holds(left, right)

    return evaluate


OPERATORS: Final[Mapping[str, Operator]] = {
    "==": same,
    "!=": lambda frame, left, right: not same(frame, left, right),
    "<": _compared("<", lambda left, right: left < right),
    "<=": _compared("<=", lambda left, right: left <= right),
    ">": _compared(">", lambda left, right: left > right),
    ">=": _compared(">=", lambda left, right: left >= right),
    "+": _add,
    "-": lambda _, left, right: bounded(number(left) - number(right)),
    "*": lambda _, left, right: bounded(number(left) * number(right)),
    "/": _divide,
    "%": _remainder,
    "**": _power,
    "..": _range,
    "in": _in,
    "contains": _on_texts("contains", lambda left, right: right in left),
    "startsWith": _on_texts("startsWith", str.startswith),
    "endsWith": _on_texts("endsWith", str.endswith),
    "matches": _matches,
}
RESULTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches"), "a bool"
    ),
    **dict.fromkeys(("-", "*", "/", "%", "**"), "a number"),
    "..": "a list",
}
