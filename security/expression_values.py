"""What values an expression works on, and what one evaluation carries.

Knows: the types of expr-lang (nil, bool, number, text, list, map), equality and order between them, the budget of
work. Does not know syntax. Unlike conditions, expressions never read a text as a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import values as condition_values
from .principals import Request

MAX_WORK: Final = 100_000
MAX_TEXT: Final = 65_536
INTEGERS: Final = range(-(2**63), 2**63)


class Misuse(Exception):
    """An operator or function got a value that it has no answer for."""


class Frame:
    """One evaluation: the request, the element that `#` stands for, and the work that is left.

    Not thread-safe; one evaluation makes its own.
    """

    __slots__ = ("item", "request", "work")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.item: Any = None
        self.work = MAX_WORK

    def spend(self, steps: int) -> None:
        """Pay for work that grows with the data. Raises Misuse when the budget is used up."""
        self.work -= steps
        if self.work < 0:
            raise Misuse(f"takes too much work (more than {MAX_WORK} steps)")


def type_name(value: Any) -> str:
    """The type of a value, as a user of the language calls it."""
    return "nil" if value is None else condition_values.type_name(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number; bools are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any) -> int | float:
    """The value, if it is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misuse(f"expected a number, found {type_name(value)}")
    return value


def integer(value: Any) -> int:
    """The value, if it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misuse(f"expected an integer, found {'a float' if is_number(value) else type_name(value)}")
    return value


def text(value: Any) -> str:
    """The value, if it is a text."""
    if not isinstance(value, str):
        raise Misuse(f"expected a text, found {type_name(value)}")
    return value


def elements(value: Any) -> list[Any] | tuple[Any, ...]:
    """The value, if it is a list."""
    if not isinstance(value, list | tuple):
        raise Misuse(f"expected a list, found {type_name(value)}")
    return value


def mapping(value: Any) -> Mapping[Any, Any]:
    """The value, if it is a map."""
    if not isinstance(value, Mapping):
        raise Misuse(f"expected a map, found {type_name(value)}")
    return value


def boolean(value: Any) -> bool:
    """The value, if it is a bool."""
    if not isinstance(value, bool):
        raise Misuse(f"expected a bool, found {type_name(value)}")
    return value


def bounded(value: float) -> float:
    """The result of arithmetic, if a 64-bit integer or a float can hold it."""
    if isinstance(value, int) and value not in INTEGERS:
        raise Misuse("the result is too large for an integer")
    return value


def bounded_text(frame: Frame, value: str) -> str:
    """A text that was built, if it is not too long; pays for it."""
    if len(value) > MAX_TEXT:
        raise Misuse(f"the text grows longer than {MAX_TEXT} characters")
    frame.spend(1 + (len(value) >> 6))
    return value


def same(frame: Frame, left: Any, right: Any) -> bool:
    """`==`: by structure; values of different types are different, a bool is no number."""
    frame.spend(1)
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(
            same(frame, one, other) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(frame, left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)
