"""The live view, as text and on a real terminal."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rich.console import Console

from noria.actors.cli.live import Rates, view
from noria.actors.cli.screen import LineStream, Screen
from noria.actors.cli.tally import Counts


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


def shown(tree=TREE, feeds=(), width=100, height=None) -> list[str]:
    clock = iter(range(100))
    rates = Rates(lambda: next(clock))
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    rates.rate("app:worker", 20)
    console.print(view(tree, feeds, Counts(120, 4, 1, 1), rates, 12.3, height=height))
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


def test_what_is_calm_gives_way_on_a_terminal_of_few_lines():
    lines = shown(feeds=[StillFeed()], height=8)

    assert [line.split()[0] for line in lines] == [
        "service",
        "app:tasks",
        "app:gone",
        "worker-2",
        "…",
        "in.jsonl",
        "12",
    ]
    assert lines[4] == "… 2 more"


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


class Terminal:
    """The installed program on a terminal of its own."""

    def __init__(self, *arguments: str, term: str = "xterm-256color") -> None:
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("noria")), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "COLUMNS": "100", "TERM": term},
        )
        os.close(slave)
        self.shown = ""

    def wait_for(self, text: str | None) -> None:
        """Read until a text has been shown; None: until the end."""
        try:
            while text is None or text not in self.shown:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # Linux' way to say that the other end is closed
            os.close(self.master)
            assert text is None, self.shown

    def end(self) -> int:
        self.wait_for(None)
        return self.process.wait(60)


def test_a_terminal_gets_a_live_view_with_log_lines_above_it(application):
    app = application(**{"in.jsonl": '1\n"bad"\n'})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl", "--until-idle")

    assert terminal.end() == 0
    for text in ("handled 1", "message failed", "app:worker", "(Ctrl-C stops)", "\x1b[?25h"):
        assert text in terminal.shown
    assert "stopped after" in terminal.shown.rpartition("\x1b[?25h")[2]


def left_on(shown: str) -> list[str]:
    """The lines that stand on a terminal, scrolled up ones too, when it has been shown this."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\x1b[1A":
            row -= 1
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece[0] not in "\r\x1b":
            lines[row] += piece
    return lines


def test_the_view_gives_way_to_the_summary(application):
    app = application(**{"in.jsonl": '1\n"bad"\n'})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl", "--until-idle")
    code, lines = terminal.end(), left_on(terminal.shown)

    assert code == 0
    assert "handled 1" in lines
    assert not [line for line in lines if "Ctrl-C" in line or line.startswith("service ")]
    assert lines.index("handled 1") < next(n for n, line in enumerate(lines) if "stopped after" in line)


def test_what_handlers_print_is_not_broken_at_the_width_of_the_terminal(application):
    handlers = (
        "import sys\n"
        "def handler(body):\n"
        "    print('[b]' + 'x' * 300, '\\x1b[35mcoloured\\x1b[0m')\n"
        "    print('second', file=sys.stderr)\n"
        "    print('unended', end='')\n"
    )
    app = application(handlers=handlers, **{"in.jsonl": "1\n"})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl", "--until-idle")
    code, shown = terminal.end(), terminal.shown.replace("\r", "")

    assert code == 0
    assert f"[b]{'x' * 300} \x1b[35mcoloured\x1b[0m\nsecond\n" in shown
    assert "unended\n" in shown


def test_the_view_says_that_it_stops_and_how_to_end_it_at_once(application):
    handlers = "import noria.actors, threading\ngo = threading.Event()\ndef handler(body):\n    print('began')\n    go.wait(3)\n"
    app = application(handlers=handlers, **{"in.jsonl": "1\n"})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl")
    terminal.wait_for("began")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("(Ctrl-C ends at once)")

    assert terminal.end() == 0


def test_a_terminal_that_cannot_draw_over_itself_gets_text(application):
    app = application(**{"in.jsonl": "1\n"})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl", "--until-idle", term="dumb")

    assert terminal.end() == 0
    assert "\x1b" not in terminal.shown
    assert "handled 1" in terminal.shown
    assert "stopped after" in terminal.shown


def test_a_view_that_cannot_be_made_holds_nothing_back_and_late_lines_are_not_lost():
    console = Console(file=io.StringIO(), force_terminal=True, width=40)

    def broken():
        raise RuntimeError("no tree")

    with Screen(console, broken) as screen:
        screen.show("during\n")
    screen.show("after\n")

    assert left_on(console.file.getvalue())[:2] == ["during", "after"]


def test_lines_of_threads_that_print_at_once_do_not_mix():
    shown = []
    stream = LineStream(io.StringIO(), shown.append)
    begun, go_on = threading.Event(), threading.Event()

    def other():
        stream.write("other ")
        begun.set()
        assert go_on.wait(20)
        stream.writelines(["line", "\n", "rest"])

    thread = threading.Thread(target=other)
    thread.start()
    assert begun.wait(20)
    print("mine", 1, file=stream)
    go_on.set()
    thread.join()
    stream.end_lines()

    assert shown == ["mine 1\n", "other line\n", "rest\n"]
    assert not stream.isatty()


def test_a_second_signal_gives_the_terminal_its_cursor_back(application):
    handlers = (
        "import threading\ndef handler(body):\n    print('began', flush=True)\n    threading.Event().wait()\n"
    )
    app = application(handlers=handlers, **{"in.jsonl": "1\n"})
    terminal = Terminal("run", str(app), "--publish", "tasks=app/in.jsonl", "--log-level", "debug")
    terminal.wait_for("began")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("child stopped")
    terminal.process.send_signal(signal.SIGINT)

    assert terminal.end() == 130
    assert "noria: second SIGINT: ended at once" in terminal.shown
    assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")
