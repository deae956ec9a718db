"""Moments, dates and zones without limits: what `time` computes with.

A moment is whole seconds since 1970 in UTC, and nanoseconds; a civil moment is the same count on the clocks of a zone.
Knows: the calendar, zoneinfo, and how Go chooses where clocks are put forward or back. Must not know: Lua, texts of
moments.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from attrs import frozen

DAY = 86_400
# Go counts from the year 1, and so does rounding.
YEAR_ONE = 62_135_596_800
NANOSECONDS = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What the tables of zones reach; further away their first and last rules go on.
_EARLIEST, _LATEST = -62_000_000_000, 253_000_000_000

Offset = tuple[int, str]


@frozen(kw_only=True)
class Zone:
    """A time zone.

    Attributes:
        text: what a script's objects keep: `UTC`, `Local`, `Europe/Paris`, or `+3600 NAME` for a fixed one.
        name: as people know it.
        offset_at: how far the clocks are ahead of UTC at a moment, in seconds, and what that is called.
    """

    text: str
    name: str
    offset_at: Callable[[int], Offset]

    def moment(self, civil: int) -> int:
        """The moment at which the clocks show this. Where they show it twice or never, Go's choice."""
        guess = self.offset_at(civil)[0]
        return civil - self.offset_at(civil - guess)[0] if guess else civil

    def offset_of(self, name: str, civil: int) -> int | None:
        """The offset that has this name here, best about this moment, else at any time."""
        for months in sorted(range(-6, 7), key=abs):
            offset, found = self.offset_at(self.moment(civil + months * 30 * DAY))
            if found == name:
                return offset
        return _names_of(self).get(name)


def _local(moment: int) -> Offset:
    found = time.localtime(min(max(moment, _EARLIEST), _LATEST))
    return found.tm_gmtoff, found.tm_zone


def _of(zone: ZoneInfo) -> Callable[[int], Offset]:
    def offset_at(moment: int) -> Offset:
        near = min(max(moment, _EARLIEST), _LATEST)
        found = (_EPOCH + timedelta(seconds=near)).astimezone(zone)
        ahead = found.utcoffset()
        return (0 if ahead is None else int(ahead.total_seconds())), found.tzname() or ""

    return offset_at


def fixed(name: str, seconds: int) -> Zone:
    """A zone whose clocks are always as far ahead."""
    return Zone(text=f"{seconds:+d} {name}", name=name, offset_at=lambda _moment: (seconds, name))


UTC_ZONE = Zone(text="UTC", name="UTC", offset_at=lambda _moment: (0, "UTC"))
LOCAL_ZONE = Zone(text="Local", name="Local", offset_at=_local)


@lru_cache(maxsize=512)
def zone(text: str) -> Zone:
    """The zone of a text.

    Raises:
        ValueError, OSError, ZoneInfoNotFoundError: there is no such zone.
    """
    if text in {"UTC", "Local"}:
        return UTC_ZONE if text == "UTC" else LOCAL_ZONE
    if text[:1] in {"+", "-"}:
        seconds, _, name = text.partition(" ")
        return fixed(name, int(seconds))
    return Zone(text=text, name=text, offset_at=_of(ZoneInfo(text)))


@lru_cache(maxsize=64)
def _names_of(where: Zone) -> dict[str, int]:
    """The offset of each name that a zone ever had."""
    names: dict[str, int] = {}
    for day in range(days(1880, 1, 1), days(2038, 1, 1), 60):
        offset, name = where.offset_at(day * DAY)
        names.setdefault(name, offset)
    return names


# ---- the calendar ----------------------------------------------------------------------------------------


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; months and days may be out of their range."""
    year, month = year + (month - 1) // 12, (month - 1) % 12
    # Years that begin in March have their odd day at the end.
    shifted, month = (year, month - 2) if month >= 2 else (year - 1, month + 10)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * month + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def date_of(day: int) -> tuple[int, int, int]:
    """The reverse: year, month and day."""
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    year = era * 400 + year_of_era + (month >= 10)
    return year, month + 3 if month < 10 else month - 9, day_of_year - (153 * month + 2) // 5 + 1


def days_in(year: int, month: int) -> int:
    """How many days a month has."""
    return days(year, month + 1, 1) - days(year, month, 1)


@frozen(kw_only=True)
class Civil:
    """What clock and calendar of a zone show at a moment. Sunday is 0."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanosecond: int
    weekday: int
    year_day: int
    offset: int
    abbreviation: str

    @classmethod
    def of(cls, seconds: int, nanoseconds: int, where: Zone) -> "Civil":
        """At a moment."""
        offset, abbreviation = where.offset_at(seconds)
        day, clock = divmod(seconds + offset, DAY)
        year, month, day_of_month = date_of(day)
        return cls(
            year=year,
            month=month,
            day=day_of_month,
            hour=clock // 3600,
            minute=clock // 60 % 60,
            second=clock % 60,
            nanosecond=nanoseconds,
            weekday=(day + 4) % 7,
            year_day=day - days(year, 1, 1) + 1,
            offset=offset,
            abbreviation=abbreviation,
        )
