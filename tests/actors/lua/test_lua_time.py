"""The module `time`: moments, durations, layouts, zones, and waiting."""

import re
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.functions.lua.faults import LuaError
from noria.actors.functions.lua.modules.layouts import LayoutMismatch, read, written
from noria.actors.functions.lua.modules.moments import UTC_ZONE, Civil, date_of, days, zone
from noria.actors.functions.lua.modules.time import duration_text, parse_duration

ENGINES = ("lua54", "luajit")


@pytest.fixture(params=ENGINES)
def run(lua, request):
    """What a body returns that has `time` at hand, in both engines."""

    def make(body):
        return lua(f"local time = require('time')\n{body}", f"engine: {request.param}", modules="time")()

    return make


# ---- durations -------------------------------------------------------------------------------------------

DURATIONS = {
    "1h30m": 5_400_000_000_000,
    "250ms": 250_000_000,
    "1.5s": 1_500_000_000,
    "-1.5h": -5_400_000_000_000,
    "+2us": 2_000,
    "3µs": 3_000,
    "7ns": 7,
    ".5s": 500_000_000,
    "0": 0,
    "0s": 0,
    "7d": 604_800_000_000_000,
}


@pytest.mark.parametrize("text", DURATIONS)
def test_texts_of_durations(text):
    assert parse_duration(text) == DURATIONS[text]


@pytest.mark.parametrize(
    "text", ["", "1", "s", "1x", "1h 2m", "--1s", "1s ", "1e3s", "٣s", "1." + "0" * 200 + "s"]
)
def test_what_is_no_duration(text):
    with pytest.raises(LuaError, match="invalid duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (-5_400_000_000_000, "-1h30m0s"),
        (60_000_000_000, "1m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nanoseconds, text):
    assert duration_text(nanoseconds) == text
    assert parse_duration(text) == nanoseconds


def test_a_duration_object_tells_its_length_in_every_unit(run):
    assert run("""
        local d = time.parse_duration("1h30m0.5s")
        return { d:nanoseconds() / 1e9, d:microseconds(), d:milliseconds(), d:seconds(), d:minutes() > 90, d:hours() > 1.5,
                 tostring(d), time.parse_duration(-1500000):milliseconds(), d > time.parse_duration("1h"),
                 d == time.parse_duration(d), tostring(time.parse_duration(90 * time.SECOND)) }
    """) == [5400.5, 5_400_500_000, 5_400_500, 5400.5, True, True, "1h30m0.5s", -1, True, True, "1m30s"]  # fmt: skip


def test_units_are_nanoseconds_and_months_and_weekdays_count_as_in_go(run):
    assert run("""
        return { time.NANOSECOND, time.MICROSECOND, time.MILLISECOND, time.SECOND, time.MINUTE / time.SECOND,
                 time.HOUR / time.SECOND, time.JANUARY, time.DECEMBER, time.SUNDAY, time.SATURDAY }
    """) == [1, 1000, 1_000_000, 1_000_000_000, 60, 3600, 1, 12, 0, 6]


# ---- moments ---------------------------------------------------------------------------------------------


def test_a_moment_tells_its_fields_in_its_location(run):
    assert run("""
        local paris = time.load_location("Europe/Paris")
        local t = time.date(2024, time.FEBRUARY, 29, 23, 59, 58, 123456789, paris)
        local y, m, d = t:date()
        local hour, minute, second = t:clock()
        return { y, m, d, hour, minute, second, t:year(), t:month(), t:day(), t:hour(), t:minute(), t:second(),
                 t:nanosecond(), t:weekday(), t:year_day(), t:unix(), t:location():string(), tostring(t:utc()),
                 t:is_zero(), time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero() }
    """) == [
        *(2024, 2, 29, 23, 59, 58, 2024, 2, 29, 23, 59, 58, 123456789, 4, 60, 1709247598, "Europe/Paris"),
        *("2024-02-29 22:59:58.123456789 +0000 UTC", False, True),
    ]


def test_arithmetic_with_moments(run):
    assert run("""
        local t = time.date(2024, 1, 31, 12, 0, 0, 0, time.utc)
        local later = t:add("1h30m")
        local day = "2006-01-02 15:04:05"
        return { later:format(day), t:add(-1):nanosecond(), tostring(later:sub(t)), t:add_date(0, 1, 0):format(day),
                 t:add_date(-1, 0, 1):format(day), t:before(later), t:after(later), t:equal(t:in_local()), later > t,
                 t == t:add(0) and t ~= {} and t ~= time.utc, later:truncate("1h"):format(day), later:round(time.HOUR):format(day),
                 t:add(time.parse_duration("1ms")):truncate(time.SECOND) == t }
    """) == [
        *(
            "2024-01-31 13:30:00",
            999_999_999,
            "1h30m0s",
            "2024-03-02 12:00:00",
            "2023-02-01 12:00:00",
            True,
            False,
        ),
        *(True, True, True, "2024-01-31 13:00:00", "2024-01-31 14:00:00", True),
    ]


def test_moments_out_of_seconds(run):
    assert run("""
        local t = time.unix(1700000000, 1500000000):utc()
        return { t:format_rfc3339(), t:nanosecond(), t:unix(), t:format(time.RFC3339NANO),
                 time.unix(1700000000, 0):unix_nano() / 1e9 }
    """) == ["2023-11-14T22:13:21Z", 500_000_000, 1_700_000_001, "2023-11-14T22:13:21.5Z", 1_700_000_000]


def test_now_is_now(run):
    before = time.time()

    seconds = run("local t = time.now() return t:unix() + t:nanosecond() / 1e9")

    assert before - 0.001 <= seconds <= time.time()


def test_zones(run):
    assert run("""
        local kathmandu = time.fixed_zone("NPT", 20700)
        local t = time.unix(1700000000, 0)
        local ny = t:in_location(time.load_location("America/New_York"))
        return { t:in_location(kathmandu):format("15:04 MST -07:00"), ny:format(time.RFC1123), tostring(time.utc),
                 tostring(kathmandu), t:in_local():location() == time.localtz, t:in_location(kathmandu):equal(t) }
    """) == ["03:58 NPT +05:45", "Tue, 14 Nov 2023 17:13:20 EST", "UTC", "NPT", True, True]


def test_what_is_out_of_its_range_moves_the_next(run):
    assert run("""
        local function at(...) return (time.date(...)):format("2006-01-02 15:04:05") end
        return { at(2023, 14, 31, 0, 0, 0, 0, time.utc), at(2024, 1, 0, 25, -1, 61, 0, time.utc),
                 time.date(2024, 1, 1):location() == time.localtz }
    """) == ["2024-03-02 00:00:00", "2024-01-01 01:00:01", True]


def test_clocks_that_are_put_forward_and_back(run):
    """2024-03-31 02:30 is no time in Paris, 2024-10-27 02:30 is two."""
    assert run("""
        local paris = time.load_location("Europe/Paris")
        local function at(...) return (time.date(...)):format(time.RFC3339) end
        return { at(2024, 3, 31, 2, 30, 0, 0, paris), at(2024, 10, 27, 2, 30, 0, 0, paris) }
    """) == ["2024-03-31T03:30:00+02:00", "2024-10-27T02:30:00+01:00"]


@given(st.dates(), st.times(), st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"]))
def test_fields_are_those_of_python(day, clock, name):
    there = ZoneInfo(name)
    moment = datetime.combine(day, clock, tzinfo=UTC)
    if not 2 <= day.year <= 9998:
        return

    found = Civil.of(
        (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1),
        clock.microsecond * 1000,
        zone(name),
    )

    expected = moment.astimezone(there)
    assert (found.year, found.month, found.day) == (expected.year, expected.month, expected.day)
    assert (found.hour, found.minute, found.second) == (expected.hour, expected.minute, expected.second)
    assert (found.weekday, found.year_day) == (expected.isoweekday() % 7, expected.timetuple().tm_yday)
    assert found.abbreviation == expected.tzname()


@given(st.integers(-(10**7), 10**7))
def test_the_calendar_goes_on_for_ever_both_ways(day):
    assert days(*date_of(day)) == day


# ---- layouts: the cases are those of Go's own documentation and tests ------------------------------------

AT = Civil.of(1_233_810_057, 12_345_600, zone("America/Los_Angeles"))  # Wed Feb 4 21:00:57.0123456 PST 2009

WRITTEN = {
    "Mon Jan _2 15:04:05 2006": "Wed Feb  4 21:00:57 2009",
    "Mon Jan _2 15:04:05 MST 2006": "Wed Feb  4 21:00:57 PST 2009",
    "Mon Jan 02 15:04:05 -0700 2006": "Wed Feb 04 21:00:57 -0800 2009",
    "02 Jan 06 15:04 MST": "04 Feb 09 21:00 PST",
    "Monday, 02-Jan-06 15:04:05 MST": "Wednesday, 04-Feb-09 21:00:57 PST",
    "2006-01-02T15:04:05Z07:00": "2009-02-04T21:00:57-08:00",
    "2006-01-02T15:04:05.999999999Z07:00": "2009-02-04T21:00:57.0123456-08:00",
    "3:04PM": "9:00PM",
    "3:04pm": "9:00pm",
    "06 01 02": "09 02 04",
    "Jan": "Feb",
    "January": "February",
    "Januari": "Januari",
    "Month": "Month",
    "Jan _2 15:04:05.000": "Feb  4 21:00:57.012",
    "Jan _2 15:04:05.000000": "Feb  4 21:00:57.012345",
    "Jan _2 15:04:05.000000000": "Feb  4 21:00:57.012345600",
    "05,000": "57,012",
    "05.0000000000": "57.012345600",
    "05.0001": "57.0002",
    "Jan  2 002 __2 2": "Feb  4 035  35 4",
    "_2006": "_2009",
    "1/2/06 3h4m5s": "2/4/09 9h0m57s",
    "-07 -070000 -07:00:00 Z07": "-08 -080000 -08:00:00 -08",
}


@pytest.mark.parametrize("layout", WRITTEN)
def test_a_moment_in_a_layout(layout):
    assert written(layout, AT) == WRITTEN[layout]


READ = [
    ("2006-01-02T15:04:05Z07:00", "2010-02-04T21:00:57Z", 1265317257, 0, 0),
    ("2006-01-02T15:04:05Z07:00", "2010-02-04T21:00:57-08:00", 1265346057, 0, -28800),
    ("2006-01-02T15:04:05Z07:00", "2010-02-04T21:00:57.012345678-08:00", 1265346057, 12345678, -28800),
    ("Mon Jan _2 15:04:05 2006", "Thu Feb  4 21:00:57 2010", 1265317257, 0, 0),
    ("Mon Jan _2 15:04:05 2006", "thu feb 4 21:00:57,5 2010", 1265317257, 500_000_000, 0),
    ("Mon Jan _2 15:04:05 MST 2006", "Thu Feb  4 21:00:57 UTC 2010", 1265317257, 0, 0),
    ("Mon Jan _2 15:04:05 MST 2006", "Thu Feb  4 21:00:57 XYZ 2010", 1265317257, 0, 0),
    ("Mon Jan 02 15:04:05 -0700 2006", "Thu Feb 04 21:00:57 -0800 2010", 1265346057, 0, -28800),
    ("2006-01-02 15:04:05.000", "2010-02-04 21:00:57.012", 1265317257, 12_000_000, 0),
    ("2006-01-02 15:04:05.999", "2010-02-04 21:00:57", 1265317257, 0, 0),
    ("2006-002 15:04:05", "2010-035 21:00:57", 1265317257, 0, 0),
    ("02 Jan 06", "04 Feb 69", -28598400, 0, 0),
    ("2006-01-02 3:04:05PM", "2010-02-04 12:00:57AM", 1265241657, 0, 0),
    ("2006-01-02 3:04:05 pm", "2010-02-04 9:00:57 pm", 1265317257, 0, 0),
    ("2006-01-02 15:04:05 MST", "2010-02-04 21:00:57 GMT-3", 1265317257, 0, -10800),
    ("15:04", "00:00", -62167219200, 0, 0),
]


@pytest.mark.parametrize(("layout", "text", "seconds", "nanoseconds", "offset"), READ)
def test_a_text_in_a_layout(layout, text, seconds, nanoseconds, offset):
    found = read(layout, text, UTC_ZONE, UTC_ZONE)

    assert (found[0], found[1], found[2].offset_at(found[0])[0]) == (seconds, nanoseconds, offset)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02", "2023-02-29"),
        ("2006-01-02", "2023-13-01"),
        ("2006-01-02", "2023-1-1"),
        ("2006-01-02", "2023-01-01 "),
        ("2006-01-02", "23-01-01"),
        ("2006-01-02", ""),
        ("15:04:05", "24:00:00"),
        ("15:04:05", "23:60:00"),
        ("15:04:05", "23:00:60"),
        ("3:04PM", "13:00PM"),
        ("3:04PM", "1:00XM"),
        ("Jan 2", "Foo 2"),
        ("05.000", "01.00"),
        ("2006 002", "2023 366"),
        ("2006-01-02 002", "2023-03-01 059"),
        ("-0700", "08:00"),
        ("-07:00", "+25:00"),
        ("MST", "x"),
    ],
)
def test_what_a_layout_does_not_take(layout, text):
    with pytest.raises(LayoutMismatch):
        read(layout, text)


@given(
    st.integers(-62_135_596_800, 253_300_000_000),
    st.integers(0, 999_999_999),
    st.sampled_from(["UTC", "Asia/Kathmandu", "+3600 X"]),
)
def test_what_is_written_with_everything_in_it_is_read_as_it_was(seconds, nanoseconds, name):
    layout = "Monday, January _2 2006 15:04:05.999999999 -07:00:00"
    text = written(layout, Civil.of(seconds, nanoseconds, zone(name)))

    assert read(layout, text)[:2] == (seconds, nanoseconds)


def test_the_name_of_a_zone_is_known_there_whenever_it_was_in_use():
    there = zone("America/New_York")

    found = [
        read("2006 MST", f"{year} {name}", there, there) for year, name in ((2010, "EDT"), (1000, "EST"))
    ]

    assert [(seconds, where) for seconds, _, where in found] == [(1262318400, there), (-30610206000, there)]


def test_a_text_without_zone_is_in_the_zone_that_is_given(run):
    assert run("""
        local paris = time.load_location("Europe/Paris")
        local layout = "2006-01-02 15:04"
        local known = time.parse(layout .. " MST", "2024-07-01 12:00 CEST", paris)
        return { time.parse(layout, "2024-07-01 12:00"):format_rfc3339(),
                 time.parse(layout, "2024-07-01 12:00", paris):format_rfc3339(), known:format_rfc3339(),
                 time.parse(time.RFC3339, "2024-07-01T12:00:00+02:00", paris):location() == paris }
    """) == ["2024-07-01T12:00:00Z", "2024-07-01T12:00:00+02:00", "2024-07-01T12:00:00+02:00", True]


# ---- waiting ---------------------------------------------------------------------------------------------


def test_sleeping_lets_other_tasks_run_and_ends_in_order(run):
    assert run("""
        local order, done = {}, channel.new()
        for _, ms in ipairs({ 30, 10, 20 }) do
          coroutine.spawn(function()
            local slept = time.sleep(ms * time.MILLISECOND)
            order[#order + 1] = tostring(slept) .. ms
            done:send(true)
          end)
        end
        for _ = 1, 3 do done:receive() end
        time.sleep("1ms") time.sleep(time.parse_duration("1ms")) time.sleep(0) time.sleep(-5)
        return order
    """) == ["true10", "true20", "true30"]


def test_after_gives_the_moment_once(run):
    assert run("""
        local before = time.now()
        local ch = time.after("5ms")
        local at, ok = ch:receive()
        local alone, err = pcall(ch.receive, ch)
        return { at:sub(before):milliseconds() >= 4, ok, alone, err:message():match("^deadlock") }
    """) == [True, True, False, "deadlock"]


def test_a_timer_can_be_stopped_and_set_again(run):
    assert run("""
        local timer = time.timer("1h")
        local was_set, again = timer:stop(), timer:stop()
        local reset = timer:reset("5ms")
        local at, ok = timer:channel():receive()
        local fired = timer:stop()
        return { was_set, again, reset, ok, type(at:unix()), fired, timer:channel() == timer:response() }
    """) == [True, False, False, True, "number", False, True]


def test_a_ticker_ticks_until_it_is_stopped(run):
    assert run("""
        local ticker = time.ticker("2ms")
        local count = 0
        for _ = 1, 3 do ticker:channel():receive() count = count + 1 end
        local stopped = ticker:stop()
        local over = channel.select({ time.after("20ms"):case_receive(), ticker:response():case_receive() })
        return { count, stopped, over.channel ~= ticker:channel() or over.value ~= nil }
    """) == [3, True, True]


def test_a_timeout_is_a_select_with_a_timer(run):
    assert run("""
        local never = channel.new()
        local timeout = time.after("5ms")
        return channel.select({ never:case_receive(), timeout:case_receive() }).channel == timeout
    """)


def test_what_is_due_is_seen_without_waiting(run):
    assert run("""
        local ch = time.after("1ms")
        local seen = 0
        repeat seen = seen + 1 until not channel.select({ ch:case_receive(), default = true }).default
        return seen > 0
    """)


# ---- errors ----------------------------------------------------------------------------------------------

REFUSED = {
    "time.sleep({})": "Invalid",
    "time.sleep('soon')": "Invalid",
    "time.sleep(1/0)": "Invalid",
    "time.sleep()": "Invalid",
    "time.after(0)": "Invalid",
    "time.timer(-1)": "Invalid",
    "time.ticker('0s')": "Invalid",
    "time.timer('1h'):reset(0)": "Invalid",
    "time.parse_duration('x')": "Invalid",
    "time.parse('2006', 'x')": "Invalid",
    "time.parse('2006')": "Invalid",
    "time.parse('2006', '2024', 'UTC')": "Invalid",
    "time.unix('x')": "Invalid",
    "time.date(2024)": "Invalid",
    "time.date(2024, 1.5, 1)": "Invalid",
    "time.date(2024, 1, 1, 0, 0, 0, 0, 'UTC')": "Invalid",
    "time.load_location('')": "Invalid",
    "time.load_location('Nowhere/Land')": "NotFound",
    "time.load_location('../../etc/passwd')": "NotFound",
    "time.load_location('America')": "NotFound",
    "time.load_location('+3600 X')": "NotFound",
    "time.fixed_zone('X')": "Invalid",
    "time.now():add('x')": "Invalid",
    "time.now():add_date('x')": "Invalid",
    "time.now():format()": "Invalid",
    "time.now():in_location('UTC')": "Invalid",
    "time.now():round({})": "Invalid",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_refused(run, call):
    kind = run(f"local value, err = {call} return {{ value == nil, err:kind() }}")

    assert kind == [True, REFUSED[call]]


@pytest.mark.parametrize(
    "call",
    [
        "time.now().year()",
        "time.now():sub(1)",
        "time.now():before(nil)",
        "time.timer('1h').stop()",
        "time.parse_duration('1h').hours()",
    ],
)
def test_what_is_a_mistake_raises_where_it_stands(run, call):
    with pytest.raises(LuaError) as caught:
        run(f"local _ = {call}")

    assert re.search("call its methods with a colon|expected a time.Time", caught.value.message)
    assert caught.value.place == "f.lua:3"
