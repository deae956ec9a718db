"""Codecs: bodies become bytes and the same values again, or are refused with a reason."""

import datetime as dt
import importlib.util
import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.codecs import CODECS, CodecError
from noria.actors.delivery import Message
from noria.registry import ConfigurationError

JSON, MSGPACK = CODECS["json/plain"], CODECS["application/msgpack"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | TEXTS | st.floats(allow_nan=False)
JSON_BODIES = st.recursive(
    SCALARS.filter(lambda value: not isinstance(value, float) or math.isfinite(value)) | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)
KEYS = TEXTS | st.binary() | st.integers(-(2**63), 2**64 - 1)
TIMES = st.datetimes(dt.datetime(1900, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
MSGPACK_BODIES = st.recursive(
    SCALARS | st.integers(-(2**63), 2**64 - 1) | st.binary() | TIMES,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)

APP = """
    namespace: app
    entries:
      - {{name: memory, kind: queue.driver.memory}}
      - {{name: dead, kind: queue.queue, driver: memory, codec: {dead}}}
      - name: tasks
        kind: queue.queue
        driver: memory
        codec: {tasks}
        dead_letter: {{queue: dead, max_attempts: 2}}
      - {{name: handler, kind: function.python, source: file://handlers.py}}
      - {{name: worker, kind: queue.consumer, queue: tasks, func: handler, lifecycle: {{auto_start: true}}}}
"""
RECORD = "import probe\ndef handler(body):\n    probe.record(body)"


def app(tasks: str = "application/msgpack", dead: str = "application/msgpack") -> str:
    return APP.format(tasks=tasks, dead=dead)


@given(JSON_BODIES)
def test_json_gives_back_what_it_was_given(body):
    assert JSON.decode(JSON.encode(body)) == body


@given(MSGPACK_BODIES)
def test_msgpack_gives_back_what_it_was_given(body):
    assert MSGPACK.decode(MSGPACK.encode(body)) == body


@given(st.binary())
def test_bytes_of_any_kind_decode_or_are_refused(data):
    for codec in CODECS.values():
        try:
            codec.decode(data)
        except CodecError:
            continue


def test_msgpack_keeps_a_moment_whatever_its_zone():
    moment = dt.datetime(2026, 11, 21, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    read = MSGPACK.decode(MSGPACK.encode({"at": moment}))["at"]

    assert (read, read.tzinfo) == (moment, dt.UTC)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (2**64, "out of range"),
        ([-(2**63) - 1], "out of range"),
        ({"at": dt.datetime(2026, 11, 21)}, "tzinfo=None"),  # noqa: DTZ001
        ({"set": {1}}, "can not serialize 'set'"),
        ([msgpack.ExtType(5, b"x")], "extension type 5"),
        ({(1, 2): 3}, "unhashable type: 'list'"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_msgpack_says_what_it_cannot_write(body, says):
    with pytest.raises(CodecError, match="the body is not plain MessagePack data: ") as caught:
        MSGPACK.encode(body)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "incomplete input"),
        (b"\xc1", "malformed"),
        (b"\x01\x02", "extra data"),
        (b"\x81\x90\x01", "unhashable type: 'list'"),
        (b"\xd4\x05x", "extension type 5"),
        (b"\x91" * 100_000, "nested too deeply"),
        (b"\xa1\xff", "can't decode byte 0xff"),
        (b'{"json": 1}', "extra data"),
    ],
)
def test_msgpack_says_what_it_cannot_read(data, says):
    with pytest.raises(CodecError, match="the body is not MessagePack: ") as caught:
        MSGPACK.decode(data)

    assert says in str(caught.value)


def test_a_circle_is_refused_by_every_codec():
    circle: list = []
    circle.append(circle)

    for codec in CODECS.values():
        with pytest.raises(CodecError):
            codec.encode(circle)


def refusals(application, definition: str) -> list[str]:
    from noria.actors import Runtime

    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(definition, RECORD))
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("json", "unknown codec 'json'; did you mean json/plain?"),
        ("msgpack", "unknown codec 'msgpack'; did you mean application/msgpack?"),
        ("application/mspack", "unknown codec 'application/mspack'; did you mean application/msgpack?"),
        ("xml", "unknown codec 'xml', expected one of json/plain, application/msgpack"),
    ],
)
def test_an_unknown_codec_is_refused_with_what_was_meant(application, name, says):
    [first, _] = refusals(application, app(name, name))

    assert says in first


def test_a_codec_without_its_library_says_what_to_install(application, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "msgpack" else find_spec(name, *more),
    )

    [first, _] = refusals(application, app())

    assert "application/msgpack needs the library msgpack: pip install 'noria[msgpack]'" in first


def test_a_dead_letter_queue_reads_what_its_queues_write(application):
    [problem] = refusals(application, app(dead="json/plain"))

    assert (
        "a dead letter keeps its bytes: this queue writes application/msgpack, and app:dead reads json/plain"
    ) in problem


def test_bytes_travel_through_a_queue_of_msgpack(start, probe):
    runtime = start(app(), RECORD)

    runtime.publish("app:tasks", {"picture": b"\xff\x00", 7: [1.5]})

    assert probe.wait(1) == [{"picture": b"\xff\x00", 7: [1.5]}]


def test_bytes_that_are_not_msgpack_are_dead_lettered_as_undecodable(start, probe):
    runtime = start(app(), RECORD)
    queue, dead = (runtime._seat.topology.queues[name] for name in ("app:tasks", "app:dead"))

    queue.driver.publish(queue.name, [Message("m-1", b"\xc1", {})], 1)
    runtime.publish("app:tasks", "after")
    probe.wait(1)
    runtime.wait_idle(20)

    [found] = dead.driver.peek(dead.name, 10)
    assert (found.message.id, found.message.body) == ("m-1", b"\xc1")
    assert found.message.headers["x_dead_letter_reason"] == "undecodable"
    assert found.message.headers["x_dead_letter_error"] == "the body is not MessagePack: malformed"
    assert probe.records == ["after"]
