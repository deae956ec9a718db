"""Go's layouts: a moment as a text that looks like the reference moment, and back.

The reference is Mon Jan 2 15:04:05 MST 2006; whatever in a layout is no part of it stands for itself. What Go reads by
oversight, a sign inside of a number, is refused.
Knows: the parts, and what Go does with each. Must not know: Lua, the clock.
"""

import re
from collections.abc import Callable, Mapping

from .moments import DAY, LOCAL_ZONE, UTC_ZONE, Civil, Zone, date_of, days, days_in, fixed

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

_PART = re.compile(
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|__2|_2(?!006)|2|3|4|5|PM|pm"
    "|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07|[.,](?:0+|9+)(?![0-9])"
)
_ZONE_NAME = re.compile(
    r"ChST|MeST|GMT(?:[+-](?:2[0-3]|1[0-9]|0?[0-9])(?![0-9]))?|[+-](?:2[0-3]|1[0-9]|0?[0-9])(?![0-9])"
    r"|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])"
)


class LayoutMismatch(ValueError):
    """A text does not look like its layout."""


# ---- writing ---------------------------------------------------------------------------------------------


def _offset_text(layout: str, seconds: int) -> str:
    sign, ahead = "-" if seconds < 0 else "+", abs(seconds)
    parts = [f"{ahead // 3600:02d}", f"{ahead // 60 % 60:02d}", f"{ahead % 60:02d}"]
    pattern = layout[1:]
    count = pattern.count(":") + 1 if ":" in pattern else len(pattern) // 2
    return sign + (":" if ":" in pattern else "").join(parts[:count])


_WRITERS: Mapping[str, Callable[[Civil], str]] = {
    "January": lambda at: MONTHS[at.month - 1],
    "Jan": lambda at: MONTHS[at.month - 1][:3],
    "1": lambda at: str(at.month),
    "01": lambda at: f"{at.month:02d}",
    "Monday": lambda at: WEEKDAYS[at.weekday],
    "Mon": lambda at: WEEKDAYS[at.weekday][:3],
    "2": lambda at: str(at.day),
    "_2": lambda at: f"{at.day:2d}",
    "02": lambda at: f"{at.day:02d}",
    "__2": lambda at: f"{at.year_day:3d}",
    "002": lambda at: f"{at.year_day:03d}",
    "15": lambda at: f"{at.hour:02d}",
    "3": lambda at: str(at.hour % 12 or 12),
    "03": lambda at: f"{at.hour % 12 or 12:02d}",
    "4": lambda at: str(at.minute),
    "04": lambda at: f"{at.minute:02d}",
    "5": lambda at: str(at.second),
    "05": lambda at: f"{at.second:02d}",
    "2006": lambda at: f"{'-' if at.year < 0 else ''}{abs(at.year):04d}",
    "06": lambda at: f"{at.year % 100:02d}",
    "PM": lambda at: "PM" if at.hour >= 12 else "AM",
    "pm": lambda at: "pm" if at.hour >= 12 else "am",
    "MST": lambda at: at.abbreviation or _offset_text("-0700", at.offset),
}


def _written(part: str, at: Civil) -> str:
    writer = _WRITERS.get(part)
    if writer is not None:
        return writer(at)
    if part[0] in "Z-":
        return "Z" if part[0] == "Z" and at.offset == 0 else _offset_text(part, at.offset)
    digits = f"{at.nanosecond:09d}"[: len(part) - 1]
    if part[1] == "0":
        return part[0] + digits
    digits = digits.rstrip("0")
    return part[0] + digits if digits else ""


def written(layout: str, at: Civil) -> str:
    """A moment in a layout."""
    return _PART.sub(lambda match: _written(match.group(), at), layout)


# ---- reading ---------------------------------------------------------------------------------------------


class _Reading:
    """What was read so far, and what is left of the text."""

    def __init__(self, text: str) -> None:
        self.rest = text
        self.year = self.hour = self.minute = self.second = self.nanosecond = 0
        self.month: int | None = None
        self.day: int | None = None
        self.year_day: int | None = None
        self.is_afternoon: bool | None = None
        self.is_utc = False
        self.offset: int | None = None
        self.zone_name = ""

    def take(self, pattern: str) -> str:
        match = re.match(pattern, self.rest)
        if match is None:
            raise LayoutMismatch(f"expected something else at {self.rest[:40]!r}")
        self.rest = self.rest[match.end() :]
        return match.group()

    def number(self, pattern: str, lowest: int, highest: int, what: str) -> int:
        found = int(self.take(pattern))
        if not lowest <= found <= highest:
            raise LayoutMismatch(f"{what} out of range")
        return found

    def one_of(self, names: tuple[str, ...], length: int | None) -> int:
        for index, name in enumerate(names):
            wanted = name[:length]
            if self.rest[: len(wanted)].lower() == wanted.lower():
                self.rest = self.rest[len(wanted) :]
                return index
        raise LayoutMismatch(f"expected a name at {self.rest[:40]!r}")

    def fraction(self, digits: str) -> None:
        self.nanosecond = int(digits[:9].ljust(9, "0"))

    def skip(self, literal: str) -> None:
        """A space of the layout is as many as the text has."""
        for piece in re.findall(" +|[^ ]", literal):
            if piece[0] == " ":
                if self.rest and self.rest[0] != " ":
                    raise LayoutMismatch(f"expected a space at {self.rest[:40]!r}")
                self.rest = self.rest.lstrip(" ")
            elif self.rest[:1] != piece:
                raise LayoutMismatch(f"expected {piece!r} at {self.rest[:40]!r}")
            else:
                self.rest = self.rest[1:]

    # ---- one part of a layout ------------------------------------------------------------------------

    def part(self, part: str, following: str) -> None:
        if part in _READERS:
            _READERS[part](self)
        elif part in {"5", "05"}:
            self._second(part, following)
        elif part == "MST":
            self._name_of_zone()
        elif part[0] in "Z-":
            self._offset(part)
        else:
            self._fraction(part)

    def _second(self, part: str, following: str) -> None:
        self.second = self.number("[0-9]{2}" if part == "05" else "[0-9]{1,2}", 0, 59, "second")
        # A text may have a fraction that its layout does not show.
        if not following.startswith((".", ",")) and re.match("[.,][0-9]", self.rest):
            self.fraction(self.take("[.,][0-9]+")[1:])

    def _fraction(self, part: str) -> None:
        if part[1] == "0":
            self.fraction(self.take(f"[.,][0-9]{{{len(part) - 1}}}")[1:])
        elif re.match("[.,][0-9]", self.rest):
            self.fraction(self.take("[.,][0-9]+")[1:])

    def _offset(self, part: str) -> None:
        if part[0] == "Z" and self.rest.startswith("Z"):
            self.rest, self.is_utc = self.rest[1:], True
            return
        found = self.take("[+-]" + re.sub("[0-9]", "[0-9]", part[1:]))
        hours, minutes, seconds = ([int(pair) for pair in re.findall("[0-9]{2}", found)] + [0, 0])[:3]
        if hours > 24 or minutes > 60 or seconds > 60:
            raise LayoutMismatch("time zone offset out of range")
        ahead = (hours * 60 + minutes) * 60 + seconds
        self.offset = -ahead if found[0] == "-" else ahead

    def _name_of_zone(self) -> None:
        if self.rest.startswith("UTC"):
            self.rest, self.is_utc = self.rest[3:], True
            return
        match = _ZONE_NAME.match(self.rest)
        if match is None:
            raise LayoutMismatch(f"expected a time zone at {self.rest[:40]!r}")
        self.zone_name, self.rest = match.group(), self.rest[match.end() :]

    # ---- what it comes to ----------------------------------------------------------------------------

    def civil(self) -> int:
        hour = self.hour
        if self.is_afternoon and hour < 12:
            hour += 12
        elif self.is_afternoon is False and hour == 12:
            hour = 0
        return self._day_number() * DAY + hour * 3600 + self.minute * 60 + self.second

    def _day_number(self) -> int:
        if self.year_day is None:
            month, day = self.month or 1, 1 if self.day is None else self.day
            if not 1 <= day <= days_in(self.year, month):
                raise LayoutMismatch("day out of range")
            return days(self.year, month, day)
        if not 1 <= self.year_day <= days(self.year + 1, 1, 1) - days(self.year, 1, 1):
            raise LayoutMismatch("day-of-year out of range")
        number = days(self.year, 1, self.year_day)
        _, month, day = date_of(number)
        if self.month not in {None, month} or self.day not in {None, day}:
            raise LayoutMismatch("day-of-year does not match month or day")
        return number


def _short_year(reading: _Reading) -> int:
    found = int(reading.take("[0-9]{2}"))
    return found + (1900 if found >= 69 else 2000)


def _setter(field: str, read: Callable[[_Reading], object]) -> Callable[[_Reading], None]:
    return lambda reading: setattr(reading, field, read(reading))


_READERS: Mapping[str, Callable[[_Reading], object]] = {
    "2006": _setter("year", lambda reading: int(reading.take("[0-9]{4}"))),
    "06": _setter("year", _short_year),
    "January": _setter("month", lambda reading: reading.one_of(MONTHS, None) + 1),
    "Jan": _setter("month", lambda reading: reading.one_of(MONTHS, 3) + 1),
    "1": _setter("month", lambda reading: reading.number("[0-9]{1,2}", 1, 12, "month")),
    "01": _setter("month", lambda reading: reading.number("[0-9]{2}", 1, 12, "month")),
    "Monday": lambda reading: reading.one_of(WEEKDAYS, None),
    "Mon": lambda reading: reading.one_of(WEEKDAYS, 3),
    "2": _setter("day", lambda reading: int(reading.take("[0-9]{1,2}"))),
    "_2": _setter("day", lambda reading: int(reading.take(" ?[0-9]{1,2}"))),
    "02": _setter("day", lambda reading: int(reading.take("[0-9]{2}"))),
    "__2": _setter("year_day", lambda reading: int(reading.take(" {0,2}[0-9]{1,3}"))),
    "002": _setter("year_day", lambda reading: int(reading.take("[0-9]{3}"))),
    "15": _setter("hour", lambda reading: reading.number("[0-9]{1,2}", 0, 23, "hour")),
    "3": _setter("hour", lambda reading: reading.number("[0-9]{1,2}", 0, 12, "hour")),
    "03": _setter("hour", lambda reading: reading.number("[0-9]{2}", 0, 12, "hour")),
    "4": _setter("minute", lambda reading: reading.number("[0-9]{1,2}", 0, 59, "minute")),
    "04": _setter("minute", lambda reading: reading.number("[0-9]{2}", 0, 59, "minute")),
    "PM": _setter("is_afternoon", lambda reading: reading.take("PM|AM") == "PM"),
    "pm": _setter("is_afternoon", lambda reading: reading.take("pm|am") == "pm"),
}


def read(layout: str, text: str, default: Zone = UTC_ZONE, local: Zone = LOCAL_ZONE) -> tuple[int, int, Zone]:
    """Seconds, nanoseconds and zone of a text in a layout.

    Args:
        layout: what it looks like.
        text: it.
        default: the zone of a text that says nothing of one.
        local: whose offsets and names are known; a text with others gets a fixed zone.

    Raises:
        LayoutMismatch: it looks different, or names a day that does not exist.
    """
    reading, at = _Reading(text), 0
    for match in _PART.finditer(layout):
        reading.skip(layout[at : match.start()])
        at = match.end()
        reading.part(match.group(), _next_part(layout, at))
    reading.skip(layout[at:])
    if reading.rest:
        raise LayoutMismatch(f"extra text: {reading.rest[:40]!r}")
    moment, where = _placed(reading, reading.civil(), default, local)
    return moment, reading.nanosecond, where


def _next_part(layout: str, at: int) -> str:
    match = _PART.search(layout, at)
    return "" if match is None else match.group()


def _placed(reading: _Reading, civil: int, default: Zone, local: Zone) -> tuple[int, Zone]:
    if reading.is_utc:
        return civil, UTC_ZONE
    if reading.offset is not None:
        moment = civil - reading.offset
        offset, name = local.offset_at(moment)
        is_local = offset == reading.offset and reading.zone_name in {"", name}
        return moment, local if is_local else fixed(reading.zone_name, reading.offset)
    if reading.zone_name:
        known = local.offset_of(reading.zone_name, civil)
        if known is not None:
            return civil - known, local
        named = re.fullmatch("GMT([+-][0-9]+)", reading.zone_name)
        # A name alone says nothing, as Go has it: only the difference of GMT+3 is known, and does not move the moment.
        return civil, fixed(reading.zone_name, int(named[1]) * 3600 if named else 0)
    return default.moment(civil), default
