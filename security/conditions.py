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
from .errors import ConditionError, PolicyError, did_you_mean
from .fields import Field, compile_field
from .principals import Request
from .regular import RegularExpression, remembered

Comparison = Callable[[Any, Any], bool]


def _wrong(left: Any, right: Any, expected: str) -> ConditionError:
    # Types only: the right side may be a secret of the configuration, and the message ends in logs.
    found = f"{values.type_name(left)} and {values.type_name(right)}"
    return ConditionError(f"{expected}, found {found}")


def _ordered(holds: Callable[[int | float, int | float], bool]) -> Comparison:
    def compare(left: Any, right: Any) -> bool:
        left_number, right_number = values.number(left), values.number(right)
        if left_number is None or right_number is None:
            raise _wrong(left, right, "expected two numbers, or texts that are written like numbers")
        return holds(left_number, right_number)

    return compare


def _in(left: Any, right: Any) -> bool:
    if values.is_list(right):
        return any(values.equal(item, left) for item in right)
    if isinstance(right, str):
        return values.equal(left, right)
    raise _wrong(left, right, "expected a list or a text on the right")


def _contains(left: Any, right: Any) -> bool:
    if values.is_list(left):
        return any(values.equal(item, right) for item in left)
    whole, part = values.text(left), values.text(right)
    if whole is not None and right is None:
        return False
    if whole is None or part is None:
        raise _wrong(left, right, "expected a list on the left, or two texts")
    return part in whole


def _matches(left: Any, right: Any) -> bool:
    whole = values.text(left)
    if whole is None:
        raise _wrong(left, right, "expected a text on the left")
    if isinstance(right, RegularExpression):
        return right.search(whole)
    pattern = values.text(right)
    if pattern is None:
        raise _wrong(left, right, "expected a text as the pattern")
    return remembered.search(pattern, whole)


def _not(comparison: Comparison) -> Comparison:
    return lambda left, right: not comparison(left, right)


COMPARISONS: Final[Mapping[str, Comparison]] = {
    "eq": values.equal,
    "ne": _not(values.equal),
    "lt": _ordered(lambda left, right: left < right),
    "gt": _ordered(lambda left, right: left > right),
    "lte": _ordered(lambda left, right: left <= right),
    "gte": _ordered(lambda left, right: left >= right),
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

    def shown_as(self, value: Any) -> Condition:
        """The same condition, whose explanations show another value: the placeholder that stands for a secret."""
        return attrs.evolve(self, text=f"{self.field.path} {self.operator} {values.described(value)}")

    @property
    def uses_meta(self) -> bool:
        """Whether the outcome can depend on the metadata of the request."""
        return self.field.uses_meta or (isinstance(self.value, Field) and self.value.uses_meta)

    def holds(self, request: Request) -> bool:
        """Whether the condition is true for the request.

        Raises:
            ConditionError: A value has the wrong type, a pattern is refused, a text is too long to match, or, when
                strict, a field is missing.
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
        try:
            return COMPARISONS[self.operator](left, right)
        except PolicyError as error:
            raise ConditionError(f"{self.text} cannot be evaluated: {error}") from error

    def sides(self, request: Request) -> tuple[Any, Any]:
        """What is compared: the field's value and the value it is compared with."""
        right = self.value
        return self.field.read(request), right.read(request) if isinstance(right, Field) else right

    def why_not(self, request: Request) -> str:
        """A sentence that says why the condition does not hold."""
        left, right = self.sides(request)
        if left is None:
            return f"{self.text} is false: {self.field.path} is missing"
        found = f"{self.field.path} is {values.described(left)}"
        if isinstance(self.value, Field):
            other = "missing" if right is None else values.described(right)
            found += f", {self.value.path} is {other}"
        return f"{self.text} is false: {found}"

    def _exists(self, left: Any, right: Any) -> bool:
        wanted = self.operator == "exists"
        if isinstance(right, bool):
            return (left is not None) == (right == wanted)
        if left is None:
            raise _wrong(left, right, "expected true or false on the right")
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
        raise ConditionError(
            f"unknown operator {operator!r}{did_you_mean(operator, OPERATORS)}; known are {known}"
        )
    left = compile_field(field)
    if value_from is not None:
        return Condition(
            f"{field} {operator} {value_from}", left, operator, compile_field(value_from), strict
        )
    return Condition(
        f"{field} {operator} {values.described(value)}",
        left,
        operator,
        check_constant(operator, value),
        strict,
    )


def check_constant(operator: str, value: Any) -> Any:
    """The right side of a condition, made ready: a pattern is compiled.

    Raises:
        ConditionError: The value is absent or cannot be right for the operator. The message does not repeat it.
        PatternRefused: The pattern of `matches` or `nmatches` is refused.
    """
    if value is None:
        raise ConditionError("a condition needs `value` or `value_from`, found neither")
    if operator in ("exists", "nexists") and not isinstance(value, bool):
        raise ConditionError(f"{operator} expects true or false, found {values.type_name(value)}")
    if operator in ("matches", "nmatches"):
        pattern = values.text(value)
        if pattern is None:
            raise ConditionError(f"{operator} expects a regular expression, found {values.type_name(value)}")
        return RegularExpression(pattern)
    if operator in ("in", "nin") and not isinstance(value, str) and not values.is_list(value):
        raise ConditionError(f"{operator} expects a list or a text, found {values.type_name(value)}")
    if operator in ("lt", "gt", "lte", "gte") and values.number(value) is None:
        raise ConditionError(f"{operator} expects a number, found {values.type_name(value)}")
    return value
