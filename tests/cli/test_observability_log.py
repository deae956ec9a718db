"""Events as log lines."""

import io
import json
import logging
from datetime import datetime

import pytest
from rich.console import Console

from noria.actors.cli.logs import ConsoleHandler, format_of, handler_for, logging_to
from noria.actors.events import ConsumerDrained, MessageAcked, MessageDeadLettered, MessageFailed
from noria.actors.observability import JsonFormatter, LogSink, TextFormatter
from noria.actors.supervision.events import ChildFailed, ChildGaveUp, ChildStarted, ChildStopped
from noria.registry import Bus, EntryID, Event
from noria.security.events import Denied

FAILED = MessageFailed(queue="app:q", message="m1", attempt=2, error='ValueError: "a" b', delay=0.25)


class Lines:
    """A logger of its own whose lines are collected."""

    def __init__(self, formatter: logging.Formatter, level: int = logging.DEBUG) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(formatter)
        self.logger = logging.Logger("noria", level)  # noqa: LOG001 - not shared with other tests
        self.logger.addHandler(handler)
        self.sink = LogSink(self.logger)

    def of(self, *events: Event) -> list[str]:
        for event in events:
            self.sink(event)
        return self._stream.getvalue().splitlines()


def test_json_has_time_level_event_and_fields():
    line = json.loads(Lines(JsonFormatter()).of(FAILED)[0])

    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "warn",
        "logger": "noria",
        "event": "MessageFailed",
        "text": "message failed",
        "queue": "app:q",
        "message": "m1",
        "attempt": 2,
        "error": 'ValueError: "a" b',
        "delay": 0.25,
    }


def test_text_quotes_what_is_more_than_one_word():
    line = Lines(TextFormatter()).of(FAILED)[0]

    assert line.partition(" ")[2] == (
        'warn  message failed  queue=app:q message=m1 attempt=2 error="ValueError: \\"a\\" b" delay=0.25'
    )


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_error_text_cannot_forge_a_line_or_steer_the_terminal(formatter):
    event = MessageFailed(queue="q", message="m", attempt=1, error="a\nfake line\x1b[2J\ud800", delay=0)
    lines = Lines(formatter).of(event)

    assert len(lines) == 1
    assert "\x1b" not in lines[0]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (MessageAcked(queue="q", consumer="c", message="m", attempt=1, seconds=0.1), "debug"),
        (FAILED, "warn"),
        (
            MessageDeadLettered(
                queue="q", dead_letter_queue="d", message="m", attempts=3, reason="rejected", error="e"
            ),
            "warn",
        ),
        (ChildStarted("runtime", "app:q", 0), "debug"),
        (ChildStarted("runtime", "app:q", 1), "info"),
        (ChildStarted("app:consumer", "worker-1", 0), "debug"),
        (ChildStopped("runtime", "app:q"), "debug"),
        (ChildStopped("app:consumer", "worker-1"), "debug"),
        (ChildStopped("runtime", "app:q", ValueError("late")), "warn"),
        (ChildFailed("runtime", "app:q", ValueError("x"), 1, 0.5), "warn"),
        (ChildGaveUp("runtime", "app:q", ValueError("x")), "error"),
        (Denied(principal=None, action="a", resource="r", policy=EntryID("app", "p"), reason="no"), "warn"),
        (Event(), "info"),
    ],
)
def test_each_event_has_its_level(event, level):
    assert json.loads(Lines(JsonFormatter()).of(event)[0])["level"] == level


def drained(**figures) -> ConsumerDrained:
    nothing = {"finished": 0, "settled": 0, "returned": 0, "abandoned": (), "unfinished": (), "seconds": 0.0}
    return ConsumerDrained(consumer="c", **{**nothing, **figures})


@pytest.mark.parametrize(
    ("figures", "level"),
    [
        ({}, "debug"),
        ({"finished": 1}, "info"),
        ({"settled": 1}, "info"),
        ({"returned": 3}, "info"),
        ({"abandoned": ("m1",)}, "error"),
        ({"unfinished": ("worker-1",)}, "error"),
    ],
)
def test_a_drain_is_told_when_something_was_held(figures, level):
    assert json.loads(Lines(JsonFormatter()).of(drained(**figures))[0])["level"] == level


def test_fields_can_be_added_to_an_event():
    lines = Lines(JsonFormatter())
    lines.sink = LogSink(lines.logger, more=lambda event: {"seen": type(event).__name__})

    assert json.loads(lines.of(FAILED)[0])["seen"] == "MessageFailed"


def test_an_unexpected_error_has_its_traceback():
    try:
        int("x")
    except ValueError as error:
        event = ChildFailed("runtime", "app:q", error, 1, 0.5)
    line = json.loads(Lines(JsonFormatter()).of(event)[0])
    text = Lines(TextFormatter()).of(event)

    assert line["error"].startswith("ValueError: invalid literal")
    assert "Traceback" in line["traceback"]
    assert "Traceback" in text[1]


def test_what_is_missing_is_left_out():
    event = Denied(principal=None, action="a", resource="r", policy=None, reason="no")

    assert set(json.loads(Lines(JsonFormatter()).of(event)[0])) == {
        "time", "level", "logger", "event", "text", "action", "resource", "reason"
    }  # fmt: skip


@pytest.mark.parametrize(("level", "wanted"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_acknowledgements_are_only_built_for_a_logger_that_shows_them(level, wanted):
    bus = Bus()
    unsubscribe = Lines(JsonFormatter(), level).sink.listen(bus)

    assert bus.wants(MessageAcked) is wanted
    assert bus.wants(ChildStarted)
    assert bus.wants(MessageFailed)
    unsubscribe()
    assert not bus.wants(MessageFailed)


def test_a_level_that_is_not_shown_is_not_logged():
    lines = Lines(JsonFormatter(), logging.ERROR)

    assert lines.of(FAILED) == []


def test_a_record_that_is_no_event_has_no_event():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.handle(logging.LogRecord("mine", logging.CRITICAL, "", 0, "hello %s", ("you",), None))
    line = json.loads(stream.getvalue())

    assert (line["level"], line["logger"], line["text"]) == ("error", "mine", "hello you")
    assert "event" not in line


def test_loggers_are_given_back_as_they_were():
    root, ours = logging.getLogger(), logging.getLogger("noria")
    before = (root.level, list(root.handlers), ours.level, ours.propagate)
    records = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    with logging_to(handler, "warn") as write:
        logging.getLogger("noria.supervision").warning("once")
        logging.getLogger("noria").info("not shown")
        write(logging.LogRecord("noria", logging.INFO, "", 0, "always", (), None))

    assert [record.getMessage() for record in records] == ["once", "always"]
    assert (root.level, list(root.handlers), ours.level, ours.propagate) == before


@pytest.mark.parametrize(
    ("chosen", "is_terminal", "form"),
    [
        ("auto", True, "live"),
        ("auto", False, "json"),
        ("text", True, "text"),
        ("text", False, "text"),
        ("json", True, "json"),
    ],
)
def test_the_format_depends_on_the_terminal_only_when_it_is_auto(chosen, is_terminal, form):
    assert format_of(chosen, is_terminal=is_terminal) == form


def test_a_terminal_that_cannot_move_gets_text():
    assert format_of("auto", is_terminal=True, can_move=False) == "text"


def test_a_terminal_without_colours_gets_plain_lines():
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True)
    handler_for("live", console).handle(logging.LogRecord("noria", logging.ERROR, "", 0, "plain", (), None))

    assert "\x1b" not in console.file.getvalue()


def test_a_terminal_gets_coloured_lines():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    handler = handler_for("live", console)
    assert isinstance(handler, ConsoleHandler)
    handler.handle(logging.LogRecord("noria", logging.ERROR, "", 0, "[bold]not markup[/]", (), None))

    assert "\x1b[31m" in console.file.getvalue()
    assert "[bold]not markup[/]" in console.file.getvalue()
