"""`time`: moments, durations, and what happens at them.

A moment crosses as whole seconds since 1970, nanoseconds, and the text of a zone; `moments.lua` makes objects of that.
Knows: arithmetic as Go does it. Must not know: waiting (tasks.py), channels.
"""

import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import attrs

from ..faults import NOT_FOUND, LuaError, invalid
from .layouts import LayoutMismatch, read, written
from .module import Module, Surroundings
from .moments import DAY, NANOSECONDS, UTC_ZONE, YEAR_ONE, Civil, Zone, date_of, days, fixed, zone

Moment = list[Any]

UNITS: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3_600 * NANOSECONDS,
    "d": DAY * NANOSECONDS,
}
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")
_LONGEST_TEXT = 100


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"{what} required")
    return value


def _integer(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
        raise invalid(f"expected an integer as {what}")
    return int(value)


def _zone(text: Any) -> Zone:
    return UTC_ZONE if text is None else zone(text)


# ---- durations -------------------------------------------------------------------------------------------


def parse_duration(text: Any = None) -> int:
    """Nanoseconds of `1h30m`, `250ms`, `-1.5h`, `7d`."""
    given = _text(text, "duration")
    sign, rest = (-1 if given.startswith("-") else 1), given[1:] if given[:1] in {"+", "-"} else given
    if rest == "0":
        return 0
    pieces = _PIECE.findall(rest)
    if not pieces or len(rest) > _LONGEST_TEXT or "".join(map("".join, pieces)) != rest:
        raise invalid(f"invalid duration: {given[:40]}")
    return sign * sum(int(Decimal(number) * UNITS[unit]) for number, unit in pieces)


def duration_text(nanoseconds: int) -> str:
    """As Go writes it: `1h30m0s`, `1.5s`, `250ms`, `0s`."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left == 0:
        return "0s"
    if left < NANOSECONDS:
        unit = next(name for name in ("ms", "µs", "ns") if left >= UNITS[name])
        return f"{sign}{_decimal(left, UNITS[unit])}{unit}"
    minutes, rest = divmod(left, UNITS["m"])
    parts = [f"{_decimal(rest, NANOSECONDS)}s"]
    if minutes:
        parts.insert(0, f"{minutes % 60 if minutes >= 60 else minutes}m")
    if minutes >= 60:
        parts.insert(0, f"{minutes // 60}h")
    return sign + "".join(parts)


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


# ---- moments ---------------------------------------------------------------------------------------------


def now() -> Moment:
    """The moment, where this machine is."""
    return [*divmod(time.time_ns(), NANOSECONDS), "Local"]


def unix(seconds: Any = None, nanoseconds: Any = None) -> Moment:
    """The moment so long after the beginning of 1970 in UTC."""
    more, rest = divmod(_integer(nanoseconds or 0, "nanoseconds"), NANOSECONDS)
    return [_integer(seconds, "seconds") + more, rest, "Local"]


_DATE = ("year", "month", "day", "hour", "minute", "second", "nanosecond")


def date(*given: Any) -> Moment:
    """The moment at which the clocks of a zone show this; what is out of its range moves the next."""
    values = [*given[:7], *[None] * 7][:7]
    year, month, day, hour, minute, second, nanosecond = (
        _integer((value or 0) if index >= 3 else value, what)
        for index, (what, value) in enumerate(zip(_DATE, values, strict=True))
    )
    text = given[7] if len(given) > 7 and given[7] is not None else "Local"
    more, nanosecond = divmod(nanosecond, NANOSECONDS)
    civil = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second + more
    return [zone(text).moment(civil), nanosecond, text]


def parse(layout: Any = None, text: Any = None, where: Any = None) -> Moment:
    """A text in a layout."""
    wanted, given = _text(layout, "layout"), _text(text, "text to parse")
    try:
        found = read(wanted, given) if where is None else read(wanted, given, zone(where), zone(where))
    except LayoutMismatch as error:
        raise invalid(f"cannot parse {given[:60]!r} as {wanted[:60]!r}: {error}") from error
    return [found[0], found[1], found[2].text]


def add(seconds: int, nanoseconds: int, duration: int) -> Moment:
    """So much later."""
    more, rest = divmod(nanoseconds + duration, NANOSECONDS)
    return [seconds + more, rest]


def between(seconds: int, nanoseconds: int, other: int, rest: int) -> int:
    """The nanoseconds from the other moment to this one."""
    return (seconds - other) * NANOSECONDS + nanoseconds - rest


def add_date(seconds: int, where: str, *given: Any) -> int:
    """The same time of day so many years, months and days later, in seconds."""
    years, months, more = (_integer(value or 0, what) for value, what in zip(given, _DATE, strict=False))
    there = zone(where)
    day, clock = divmod(seconds + there.offset_at(seconds)[0], DAY)
    year, month, day_of_month = date_of(day)
    return there.moment(days(year + years, month + months, day_of_month + more) * DAY + clock)


def rounded(seconds: int, nanoseconds: int, duration: int, *, is_half_up: bool) -> Moment:
    """A multiple of the duration since the year 1: the last one, or the nearest."""
    if duration <= 0:
        return [seconds, nanoseconds]
    since = (seconds + YEAR_ONE) * NANOSECONDS + nanoseconds
    over = since % duration
    since += duration - over if is_half_up and over * 2 >= duration else -over
    return [since // NANOSECONDS - YEAR_ONE, since % NANOSECONDS]


def fields(seconds: int, where: str) -> dict[str, Any]:
    """What calendar and clock show."""
    return attrs.asdict(Civil.of(seconds, 0, zone(where)))


def format_(seconds: int, nanoseconds: int, where: str, layout: Any = None) -> str:
    """In a layout."""
    return written(_text(layout, "layout"), Civil.of(seconds, nanoseconds, zone(where)))


# ---- zones -----------------------------------------------------------------------------------------------


def load_location(name: Any = None) -> str:
    """The zone of this name in the tables of the system."""
    wanted = _text(name, "location name")
    if not wanted:
        raise invalid("location name required")
    try:
        found = None if wanted[0] in "+-" else zone(wanted)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        found = None
    if found is None:
        raise LuaError(f"unknown time zone {wanted[:60]}", kind=NOT_FOUND, retryable=False)
    return found.text


def fixed_zone(name: Any = None, seconds: Any = None) -> str:
    """A zone whose clocks are always so far ahead."""
    return fixed(_text(name, "zone name"), _integer(seconds, "offset in seconds")).text


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "parse_duration": parse_duration,
        "duration_text": duration_text,
        "now": now,
        "unix": unix,
        "date": date,
        "parse": parse,
        "add": add,
        "between": between,
        "add_date": add_date,
        "round": lambda *given: rounded(*given, is_half_up=True),
        "truncate": lambda *given: rounded(*given, is_half_up=False),
        "fields": fields,
        "format": format_,
        "load_location": load_location,
        "fixed_zone": fixed_zone,
        "zone_name": lambda text: _zone(text).name,
    }


MODULE = Module(name="time", functions=_functions, groundwork="moments.lua", script="time.lua")
