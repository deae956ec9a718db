"""The built-in functions of expressions.

Knows: each function's arguments and answer. All are pure: no clock, no environment, no randomness, so that the same
request always gets the same decision. Work that grows with the data is paid for. Does not know syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from . import values as condition_values
from .expression_values import (
    MAX_TEXT,
    Frame,
    Misuse,
    boolean,
    bounded,
    bounded_text,
    elements,
    integer,
    mapping,
    number,
    same,
    text,
    type_name,
)

Body = Callable[[Frame], Any]


@attrs.frozen
class Function:
    """A function of plain values.

    Attributes:
        call: Takes the frame and the arguments; raises Misuse.
        least: The least number of arguments.
        most: The greatest.
        result: The type name of every answer (as `expression_values.type_name`), or None.
    """

    call: Callable[..., Any]
    least: int = 1
    most: int = 1
    result: str | None = None


def _len(_frame: Frame, value: Any) -> int:
    if not isinstance(value, str | list | tuple | Mapping):
        raise Misuse(f"expected a text, a list or a map, found {type_name(value)}")
    return len(value)


def _on_text(change: Callable[[str], str]) -> Callable[..., str]:
    return lambda frame, value: bounded_text(frame, change(text(value)))


def _trim(_frame: Frame, value: Any, characters: Any = None) -> str:
    # Without characters, white space; expr-lang's trim does the same.
    return text(value).strip(None if characters is None else text(characters))


def _split(frame: Frame, value: Any, separator: Any) -> list[str]:
    frame.spend(1 + (len(text(value)) >> 2))
    return text(value).split(separator) if text(separator) else list(text(value))


def _join(frame: Frame, parts: Any, separator: Any = "") -> str:
    found = [text(part) for part in elements(parts)]
    frame.spend(len(found))
    if sum(map(len, found)) + len(text(separator)) * len(found) > MAX_TEXT:
        raise Misuse(f"the text grows longer than {MAX_TEXT} characters")
    return separator.join(found)  # type: ignore[no-any-return]


def _replace(frame: Frame, value: Any, old: Any, new: Any) -> str:
    count = text(value).count(text(old))
    if len(value) + count * (len(text(new)) - len(old)) > MAX_TEXT:
        raise Misuse(f"the text grows longer than {MAX_TEXT} characters")
    return bounded_text(frame, value.replace(old, new))


def _int(_frame: Frame, value: Any) -> int:
    found = condition_values.number(value)
    if found is None:
        raise Misuse(f"expected a number or a text that is written like one, found {type_name(value)}")
    return integer(bounded(int(found)))


def _float(_frame: Frame, value: Any) -> float:
    found = condition_values.number(value)
    if found is None:
        raise Misuse(f"expected a number or a text that is written like one, found {type_name(value)}")
    return float(found)


def _string(frame: Frame, value: Any) -> str:
    found = "nil" if value is None else condition_values.text(value)
    if found is None:
        raise Misuse(f"expected a text, a number or a bool, found {type_name(value)}")
    return bounded_text(frame, found)


def _numbers(frame: Frame, values: tuple[Any, ...]) -> list[int | float]:
    """`max(1, 2)` or `max([1, 2])`."""
    given = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
    frame.spend(len(given))
    return [number(value) for value in given]


def _extreme(choose: Callable[[list[int | float]], int | float]) -> Callable[..., int | float]:
    def call(frame: Frame, *values: Any) -> int | float:
        found = _numbers(frame, values)
        if not found:
            raise Misuse("expected at least one number")
        return choose(found)

    return call


def _get(_frame: Frame, value: Any, key: Any, default: Any = None) -> Any:
    if isinstance(value, list | tuple):
        place = integer(key)
        return value[place] if -len(value) <= place < len(value) else default
    return default if value is None else mapping(value).get(key, default)


def _keys(frame: Frame, value: Any) -> list[Any]:
    frame.spend(len(mapping(value)))
    return list(value)


def _values(frame: Frame, value: Any) -> list[Any]:
    frame.spend(len(mapping(value)))
    return list(value.values())


def _end(place: int) -> Callable[..., Any]:
    return lambda _frame, value: elements(value)[place] if elements(value) else None


def _unique(frame: Frame, value: Any) -> list[Any]:
    found: list[Any] = []
    for item in elements(value):
        if not any(same(frame, item, other) for other in found):
            found.append(item)
    return found


FUNCTIONS: Final[Mapping[str, Function]] = {
    "len": Function(_len, result="a number"),
    "lower": Function(_on_text(str.lower), result="a text"),
    "upper": Function(_on_text(str.upper), result="a text"),
    "trim": Function(_trim, 1, 2, result="a text"),
    "trimPrefix": Function(lambda _, value, part: text(value).removeprefix(text(part)), 2, 2, "a text"),
    "trimSuffix": Function(lambda _, value, part: text(value).removesuffix(text(part)), 2, 2, "a text"),
    "hasPrefix": Function(lambda _, value, part: text(value).startswith(text(part)), 2, 2, "a bool"),
    "hasSuffix": Function(lambda _, value, part: text(value).endswith(text(part)), 2, 2, "a bool"),
    "indexOf": Function(lambda _, value, part: text(value).find(text(part)), 2, 2, "a number"),
    "split": Function(_split, 2, 2, "a list"),
    "join": Function(_join, 1, 2, "a text"),
    "replace": Function(_replace, 3, 3, "a text"),
    "abs": Function(lambda _, value: bounded(abs(number(value))), result="a number"),
    "int": Function(_int, result="a number"),
    "float": Function(_float, result="a number"),
    "string": Function(_string, result="a text"),
    "type": Function(lambda _, value: type_name(value).removeprefix("a "), result="a text"),
    "max": Function(_extreme(max), 1, 20, "a number"),
    "min": Function(_extreme(min), 1, 20, "a number"),
    "sum": Function(
        lambda frame, values: bounded(sum(_numbers(frame, (elements(values),)))), result="a number"
    ),
    "keys": Function(_keys, result="a list"),
    "values": Function(_values, result="a list"),
    "get": Function(_get, 2, 3),
    "first": Function(_end(0)),
    "last": Function(_end(-1)),
    "uniq": Function(_unique, result="a list"),
}


def _every(frame: Frame, items: Any, body: Body, weight: int) -> list[tuple[Any, Any]]:
    """Each element with what the predicate says of it; pays for the predicate each time."""
    outer = frame.item
    found = []
    try:
        for item in elements(items):
            frame.spend(weight)
            frame.item = item
            found.append((item, body(frame)))
    finally:
        frame.item = outer
    return found


def _first_where(frame: Frame, items: Any, body: Body, weight: int, *, wanted: bool) -> tuple[Any, ...]:
    """The first element of which the predicate says `wanted`, as a tuple of none or one. Stops there."""
    outer = frame.item
    try:
        for item in elements(items):
            frame.spend(weight)
            frame.item = item
            if boolean(body(frame)) is wanted:
                return (item,)
    finally:
        frame.item = outer
    return ()


def _any(frame: Frame, items: Any, body: Body, weight: int) -> bool:
    return bool(_first_where(frame, items, body, weight, wanted=True))


def _all(frame: Frame, items: Any, body: Body, weight: int) -> bool:
    return not _first_where(frame, items, body, weight, wanted=False)


def _find(frame: Frame, items: Any, body: Body, weight: int) -> Any:
    return next(iter(_first_where(frame, items, body, weight, wanted=True)), None)


def _filter(frame: Frame, items: Any, body: Body, weight: int) -> list[Any]:
    return [item for item, answer in _every(frame, items, body, weight) if boolean(answer)]


def _count(frame: Frame, items: Any, body: Body, weight: int) -> int:
    return len(_filter(frame, items, body, weight))


@attrs.frozen
class PredicateFunction:
    """A function whose second argument is evaluated for every element of its first."""

    call: Callable[[Frame, Any, Body, int], Any]
    result: str | None


PREDICATES: Final[Mapping[str, PredicateFunction]] = {
    "any": PredicateFunction(_any, "a bool"),
    "all": PredicateFunction(_all, "a bool"),
    "none": PredicateFunction(lambda *arguments: not _any(*arguments), "a bool"),
    "one": PredicateFunction(lambda *arguments: _count(*arguments) == 1, "a bool"),
    "filter": PredicateFunction(_filter, "a list"),
    "map": PredicateFunction(lambda *arguments: [answer for _, answer in _every(*arguments)], "a list"),
    "count": PredicateFunction(_count, "a number"),
    "find": PredicateFunction(_find, None),
}
