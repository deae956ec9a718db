"""Events as log lines, and the live view as text."""

import io
import json
import logging
import threading
from datetime import datetime

import pytest
from rich.console import Console

from noria.actors.cli.live import Rates, view
from noria.actors.cli.logs import ConsoleHandler, format_of, handler_for, logging_to
from noria.actors.cli.tally import Counts
from noria.actors.events import ConsumerDrained, MessageAcked, MessageDeadLettered, MessageFailed
from noria.actors.observability import JsonFormatter, LogSink, TextFormatter
from noria.actors.supervision_events import ChildFailed, ChildGaveUp, ChildStarted, ChildStopped
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
        (ChildStarted("runtime", "app:q", 0), "info"),
        (ChildStarted("app:consumer", "worker-1", 0), "debug"),
        (ChildStopped("runtime", "app:q"), "info"),
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


def test_an_abandoned_message_is_an_error():
    event = ConsumerDrained(
        **{
            field.name: {"consumer": "c", "abandoned": ("m1",), "unfinished": ()}.get(field.name, 0)
            for field in ConsumerDrained.__attrs_attrs__
        }
    )
    line = json.loads(Lines(JsonFormatter()).of(event)[0])

    assert line["level"] == "error"
    assert line["abandoned"] == ["m1"]


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


def test_a_terminal_gets_coloured_lines():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    handler = handler_for("live", console)
    assert isinstance(handler, ConsoleHandler)
    handler.handle(logging.LogRecord("noria", logging.ERROR, "", 0, "[bold]not markup[/]", (), None))

    assert "\x1b[31m" in console.file.getvalue()
    assert "[bold]not markup[/]" in console.file.getvalue()


# ---- the live view -------------------------------------------------------------------------------------


def node(id_: str, kind: str, state: str = "running", **more) -> dict:
    return {
        "id": id_, "kind": kind, "state": state, "details": "", "restarts": 0, "since": 0.0, "stuck": [],
        "figures": {}, "children": [], **more,
    }  # fmt: skip


TREE = node(
    "runtime",
    "supervisor",
    children=[
        node("app:memory", "queue.driver.memory", restarts=2),
        node("app:tasks", "queue.queue", figures={"ready": 7, "in_flight": 3, "delayed": 1}),
        node("app:gone", "queue.queue", "failed", details="gave up: no broker"),
        node(
            "app:worker",
            "queue.consumer",
            figures={"acked": 120, "failed": 4, "rejected": 1, "denied": 1, "busy": 2, "stuck": 1},
            children=[node("worker-1", "worker"), node("worker-2", "worker", "failed", details="boom")],
        ),
    ],
)


class StillFeed:
    """A feed as the view sees it."""

    def __init__(self, **figures) -> None:
        self.source, self.queue, self.size, self.taken = "in.jsonl", "app:tasks", 100, 50
        self.published, self.bad, self.blocked, self.done = 10, 0, False, threading.Event()
        vars(self).update(figures)


def shown(tree=TREE, feeds=(), width=100) -> list[str]:
    clock = iter(range(100))
    rates = Rates(lambda: next(clock))
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    rates.rate("app:worker", 20)
    console.print(view(tree, feeds, Counts(120, 4, 1, 1), rates, 12.3))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_view_shows_the_tree_with_its_figures():
    header, memory, tasks, gone, worker, stuck, totals = shown()

    assert header.split() == [
        "service",
        "state",
        "ready",
        "flight",
        "delayed",
        "busy",
        "done",
        "per",
        "s",
        "failed",
    ]
    assert memory.split() == ["app:memory", "running,", "again", "2"]
    assert tasks.split() == ["app:tasks", "running", "7", "3", "1"]
    assert gone.split(maxsplit=1) == ["app:gone", "failed: gave up: no broker"]
    assert worker.split() == ["app:worker", "running", "2/2", "(1", "stuck)", "120", "100", "6"]
    assert stuck.split(maxsplit=1) == ["worker-2", "failed: boom"]
    assert totals == "12 s  120 handled, 4 failed, 1 dead-lettered, 1 denied  (Ctrl-C stops)"


def test_the_view_shows_how_far_the_feeding_is():
    lines = shown(feeds=[StillFeed(bad=2, blocked=True), StillFeed(size=None, source="<stdin>")])

    assert any(
        line.startswith("in.jsonl -> app:tasks") and line.endswith("10 published, 2 bad, waits for room")
        for line in lines
    )
    assert any(line.startswith("<stdin> -> app:tasks") and "reading" in line for line in lines)


def test_the_figures_survive_a_narrow_terminal():
    lines = shown(width=72)

    assert lines[0].split() == [
        "service",
        "state",
        "ready",
        "flight",
        "delayed",
        "busy",
        "done",
        "per",
        "s",
        "failed",
    ]


def test_a_tree_that_is_not_there_yet_is_an_empty_view():
    assert shown({})[-1].startswith("12 s")


def test_a_rate_is_taken_over_two_seconds_and_survives_a_restart():
    now = [0.0]
    rates = Rates(lambda: now[0])
    seen = []
    for second, value in enumerate((0, 10, 30, 60, 5, 15)):
        now[0] = float(second)
        seen.append(rates.rate("c", value))

    assert seen == [0.0, 10.0, 15.0, 25.0, 0.0, 10.0]
