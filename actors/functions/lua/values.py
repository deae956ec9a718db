"""Plain data on its way into a Lua state and out of it, Python's half; `sandbox/plain.lua` has the other.

Knows: the flat form (one letter for each value, and the scalars in order), depth, cycles, ranges. Must not know: states,
modules, who sends what.

    n nil    v a boolean, number or string    l list: its length    m map: its size, then keys and values    e an error
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .faults import LuaError

DEEPEST = 128

Flat = tuple[bytes | None, list[Any]]


class Unplain(LuaError):
    """A Python value that has no form in Lua."""

    def __init__(self, what: str, place: str) -> None:
        where = f" (at {place})" if place else ""
        super().__init__(f"{what} cannot be passed to Lua{where}", kind="Invalid", retryable=False)


class Flattener:
    """Makes values flat.

    Args:
        largest: the largest integer that this Lua holds exactly.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest

    def flat(self, values: Iterable[Any]) -> Flat:
        """Codes and scalars; without any list, map or error the values alone, and None for the codes.

        Raises:
            Unplain: something in it is no plain data, contains itself, is nested too deep or out of range.
        """
        values = tuple(values)
        if not any(isinstance(value, Mapping | list | tuple | LuaError) for value in values):
            return None, [self._scalar(value, "") for value in values]
        codes, scalars = bytearray(), list[Any]()
        for value in values:
            self._put(value, codes, scalars, "", ())
        return bytes(codes), scalars

    def _put(
        self, value: Any, codes: bytearray, scalars: list[Any], place: str, around: tuple[int, ...]
    ) -> None:
        if value is None:
            codes += b"n"
        elif isinstance(value, Mapping | list | tuple):
            self._put_many(value, codes, scalars, place, around)
        elif isinstance(value, LuaError):
            codes += b"e"
            self._put_many(value.fields(), codes, scalars, place, around)
        else:
            codes += b"v"
            scalars.append(self._scalar(value, place))

    def _put_many(
        self, value: Any, codes: bytearray, scalars: list[Any], place: str, around: tuple[int, ...]
    ) -> None:
        if id(value) in around:
            raise Unplain("a value that contains itself", place)
        if len(around) >= DEEPEST:
            raise Unplain(f"a value nested more than {DEEPEST} levels deep", place)
        around = (*around, id(value))
        scalars.append(len(value))
        if not isinstance(value, Mapping):
            codes += b"l"
            for index, item in enumerate(value):
                self._put(item, codes, scalars, f"{place}[{index}]", around)
            return
        codes += b"m"
        for key, item in value.items():
            if isinstance(key, bool) or not isinstance(key, str | bytes | int):
                raise Unplain(f"a key of type {type(key).__name__}", place)
            codes += b"v"
            scalars.append(self._scalar(key, place))
            self._put(item, codes, scalars, f"{place}.{key!s}", around)

    def _scalar(self, value: Any, place: str) -> Any:
        match value:
            case None | bool() | bytes():
                return value
            case str():
                # A half of a surrogate pair, which JSON may hold, comes back as it was.
                return value.encode("utf-8", "surrogatepass")
            case int():
                if not -self._largest - 1 <= value <= self._largest:
                    raise Unplain(f"the integer {str(value)[:40]}, which Lua cannot hold exactly,", place)
                return int(value)
            case float():
                return float(value)
            case bytearray() | memoryview():
                return bytes(value)
        raise Unplain(f"a value of type {type(value).__name__}", place)


def plain(codes: bytes | None, values: Iterable[Any]) -> list[Any]:
    """The reverse: the values that Lua's half has made flat."""
    if codes is None:
        return [text(value) for value in values]
    letters, scalars = iter(codes), iter(values)
    return list(_values(letters, scalars))


def _values(letters: Iterator[int], scalars: Iterator[Any]) -> Iterator[Any]:
    for letter in letters:
        yield _value(letter, letters, scalars)


def _value(letter: int, letters: Iterator[int], scalars: Iterator[Any]) -> Any:
    match chr(letter):
        case "n":
            return None
        case "v":
            return text(next(scalars))
        case "l":
            return [_value(next(letters), letters, scalars) for _ in range(next(scalars))]
        case "e":
            return LuaError.of(_value(next(letters), letters, scalars))
    made = {}
    for _ in range(next(scalars)):
        key = _value(next(letters), letters, scalars)
        made[key] = _value(next(letters), letters, scalars)
    return made


def text(value: Any) -> Any:
    """A Lua string is text if it can be, else bytes; everything else is itself."""
    if not isinstance(value, bytes):
        return value
    for errors in ("strict", "surrogatepass"):
        try:
            return value.decode("utf-8", errors)
        except UnicodeDecodeError:
            continue
    return value
