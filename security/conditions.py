"""Conditions of a declarative policy: a field, an operator, a value.

Knows: every operator of `spec/security.md` 2.3 with the repairs of `spec/decisions.md`: a missing field makes every
operator false except `exists` and `nexists`; a wrong type is an error, never a silent no. What an error means for an
allow or a deny is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from . import values
from .errors import ConditionError, did_you_mean
from .fields import Field, compile_field
from .principals import Request
from .regular import RegularExpression, remembered

Comparison = Callable[[Any, Any], bool]


def _wrong(operator: str, left: Any, right: Any, expected: str) -> ConditionError:
    found = f"{values.described(left)} {operator} {values.described(right)}"
    return ConditionError(f"cannot evaluate {found}: {expected}")


def _ordered(operator: str, holds: Callable[[int | float, int | float], bool]) -> Comparison:
    def compare(left: Any, right: Any) -> bool:
        left_number, right_number = values.number(left), values.number(right)
        if left_number is None or right_number is None:
            raise _wrong(operator, left, right, "both sides must be numbers or texts that are written like numbers")
        return holds(left_number, right_number)

    return compare


def _in(left: Any, right: Any) -> bool:
    if values.is_list(right):
        return any(values.equal(item, left) for item in right)
    if isinstance(right, str):
        return values.equal(left, right)
    raise _wrong("in", left, right, "the right side must be a list or a text")


def _contains(left: Any, right: Any) -> bool:
    if values.is_list(left):
        return any(values.equal(item, right) for item in left)
    whole, part = values.text(left), values.text(right)
    if whole is not None and right is None:
        return False
    if whole is None or part is None:
        raise _wrong("contains", left, right, "the left side must be a list, or both sides text")
    return part in whole


def _matches(left: Any, right: Any) -> bool:
    whole = values.text(left)
    if whole is None:
        raise _wrong("matches", left, right, "the left side must be text")
    if isinstance(right, RegularExpression):
        return right.search(whole)
    pattern = values.text(right)
    if pattern is None:
        raise _wrong("matches", left, right, "the pattern must be text")
    return remembered.search(pattern, whole)


def _not(comparison: Comparison) -> Comparison:
    return lambda left, right: not comparison(left, right)


COMPARISONS: Final[Mapping[str, Comparison]] = {
    "eq": values.equal,
    "ne": _not(values.equal),
    "lt": _ordered("lt", lambda left, right: left < right),
    "gt": _ordered("gt", lambda left, right: left > right),
    "lte": _ordered("lte", lambda left, right: left <= right),
    "gte": _ordered("gte", lambda left, right: left >= right),
    "in": _in,
    "nin": _not(_in),
    "contains": _contains,
    "ncontains": _not(_contains),
    "matches": _matches,
    "nmatches": _not(_matches),
}
OPERATORS: Final = (*COMPARISONS, "exists", "nexists")


@attrs.frozen(eq=False)
class Condition:
    """One compiled condition. Immutable and thread-safe.

    Attributes:
        text: The condition as a reader would say it, for explanations.
        field: Where the left side comes from.
        operator: One of OPERATORS.
        value: The right side: a constant, a compiled pattern, or the Field of `value_from`.
        strict: Whether a missing field is an error.
    """

    text: str
    field: Field
    operator: str
    value: Any
    strict: bool = False

    @property
    def uses_meta(self) -> bool:
        """Whether the outcome can depend on the metadata of the request."""
        return self.field.uses_meta or (isinstance(self.value, Field) and self.value.uses_meta)

    def holds(self, request: Request) -> bool:
        """Whether the condition is true for the request.

        Raises:
            ConditionError: A value has the wrong type, or, when strict, is missing.
            PolicyError: A pattern is refused or the text is too long for it.
        """
        left, right = self.sides(request)
        if self.operator in ("exists", "nexists"):
            return self._exists(left, right)
        if left is None:
            if self.strict:
                raise ConditionError(f"{self.field.path} is missing, and the policy is strict")
            return False
        if self.strict and right is None and isinstance(self.value, Field):
            raise ConditionError(f"{self.value.path} is missing, and the policy is strict")
        return COMPARISONS[self.operator](left, right)

    def sides(self, request: Request) -> tuple[Any, Any]:
        """What is compared: the field's value and the value it is compared with."""
        right = self.value
        return self.field.read(request), right.read(request) if isinstance(right, Field) else right

    def why_not(self, request: Request) -> str:
        """A sentence that says why the condition does not hold."""
        left, _ = self.sides(request)
        if left is None:
            return f"{self.text} is false: {self.field.path} is missing"
        return f"{self.text} is false: {self.field.path} is {values.described(left)}"

    def _exists(self, left: Any, right: Any) -> bool:
        wanted = self.operator == "exists"
        if isinstance(right, bool):
            return (left is not None) == (right == wanted)
        if left is None:
            raise _wrong(self.operator, left, right, "the value must be true or false")
        return wanted


def compile_condition(
    field: str,
    operator: str,
    value: Any = None,
    value_from: str | None = None,
    *,
    strict: bool = False,
) -> Condition:
    """Check a condition and turn it into something that can be evaluated.

    Args:
        field: The path of the left side.
        operator: One of OPERATORS.
        value: The right side; None counts as absent.
        value_from: The path of the right side; wins over `value`.
        strict: Whether a missing field is an error instead of making the condition false.

    Raises:
        ConditionError: A path, the operator or the value is wrong; the message says what was expected.
        PatternRefused: The literal pattern of `matches` or `nmatches` is refused.
    """
    if operator not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise ConditionError(f"unknown operator {operator!r}{did_you_mean(operator, OPERATORS)}; known are {known}")
    left = compile_field(field)
    if value_from is not None:
        return Condition(f"{field} {operator} {value_from}", left, operator, compile_field(value_from), strict)
    text = f"{field} {operator} {values.described(value)}"
    return Condition(text, left, operator, _constant(operator, value), strict)


def _constant(operator: str, value: Any) -> Any:
    if value is None:
        raise ConditionError("a condition needs `value` or `value_from`, found neither")
    if operator in ("exists", "nexists") and not isinstance(value, bool):
        raise ConditionError(f"{operator} expects true or false, found {value!r}")
    if operator in ("matches", "nmatches"):
        pattern = values.text(value)
        if pattern is None:
            raise ConditionError(f"{operator} expects a regular expression, found {values.described(value)}")
        return RegularExpression(pattern)
    if operator in ("in", "nin") and not isinstance(value, str) and not values.is_list(value):
        raise ConditionError(f"{operator} expects a list or a text, found {values.described(value)}")
    if operator in ("lt", "gt", "lte", "gte") and values.number(value) is None:
        raise ConditionError(f"{operator} expects a number, found {values.described(value)}")
    return value
