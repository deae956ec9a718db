"""examples/census: a pipeline that counts, loses nothing and counts nothing twice."""

import itertools
import os
import re
import sysconfig
from pathlib import Path

import pytest

from noria.actors import Runtime
from noria.actors.events import MessageDeadLettered
from noria.security import Policies

EXAMPLE = Path(__file__).parents[2] / "examples" / "census"
PATIENCE = 60.0

SOURCES = {
    "empty.py": "",
    "shapes.py": """\
import os, sys
import os.path

class Circle:
    def area(self):
        return 3

    async def move(self):
        def step():
            import math
        try:
            pass
        except ValueError:
            def handle(): pass
        else:
            def otherwise(): pass
        finally:
            def in_the_end(): pass
""",
    "inner/more.py": """\
from . import sibling
from os import path

match path:
    case 1:
        def matched(): pass

def longest():
    pass
    pass
""",
    "inner/broken.py": "def f(:\n",
    "inner/python2.py": "print 'hello'\n",
    "inner/coding.py": "# coding: uft-8\n",
    "site-packages/theirs.py": "x = 1\n",
    "__pycache__/cached.py": "x = 1\n",
    "notes.txt": "no Python\n",
}

REPORT = """\
Census of {root}

  files          6
  lines         28
  functions      8
  classes        1
  do not parse   3

The longest functions

  lines  function    where
     11  move        shapes.py:8
      3  longest     inner/more.py:8
      2  area        shapes.py:5
      2  step        shapes.py:9
      1  matched     inner/more.py:6
      1  handle      shapes.py:14
      1  otherwise   shapes.py:16
      1  in_the_end  shapes.py:18

The most imported modules

  files  module
      2  os
      1  math
      1  sys

Files that do not parse

  file              why
"""


@pytest.fixture
def sources(tmp_path):
    for name, text in SOURCES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path.resolve()


def figure(report: str, name: str) -> int:
    [number] = re.findall(rf"^  {name} +([\d,]+)$", report, re.MULTILINE)
    return int(number.replace(",", ""))


def test_the_report_tells_every_figure_and_every_file_that_does_not_parse(start_example, sources, capsys):
    runtime = start_example("census")

    runtime.publish("census:files", {"root": str(sources)})
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert printed.startswith(REPORT.format(root=sources))
    dead = printed.removeprefix(REPORT.format(root=sources)).splitlines()
    assert [line.split()[0] for line in dead if line] == [
        "inner/broken.py",
        "inner/coding.py",
        "inner/python2.py",
    ]
    assert "line 1: Missing parentheses in call to 'print'" in printed
    assert "unknown encoding: uft-8" in printed


def test_a_census_of_nothing_ends_too(start_example, tmp_path, capsys):
    runtime = start_example("census")

    runtime.publish("census:files", {"root": str(tmp_path)})
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert figure(printed, "files") == 0
    assert printed.endswith("Every file parses.\n\n")


RESULTS = (
    {"root": "/r", "expected": 2},
    {"file": "a.py", "lines": 3, "functions": 0, "classes": 0, "longest": [], "imports": []},
    {"file": "b.py", "error": "line 1: invalid syntax"},
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_messages_that_come_twice_and_in_any_order_are_counted_once(start_example, capsys, order):
    runtime = start_example("census")
    results = [RESULTS[index] for index in order]

    # Each twice, and all of them again when the report is out.
    for result in [*(result for result in results for _ in range(2)), *results]:
        runtime.publish("census:results", result, {"correlation_id": "c"})
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert printed.count("Census of /r") == 1
    assert (figure(printed, "files"), figure(printed, "lines"), figure(printed, "do not parse")) == (2, 3, 1)


def test_two_censuses_at_once_do_not_mix(start_example, sources, tmp_path, capsys):
    runtime = start_example("census")

    runtime.publish_many("census:files", [{"root": str(sources)}, {"root": str(sources / "inner")}])
    runtime.wait_idle(PATIENCE)

    reports = capsys.readouterr().out.split("Census of ")[1:]
    assert {report.splitlines()[0]: figure(report, "files") for report in reports} == {
        str(sources): 6,
        str(sources / "inner"): 4,
    }


def test_a_directory_that_is_none_is_laid_aside(start_example, events, tmp_path):
    runtime = start_example("census")
    moved = events(runtime, MessageDeadLettered)

    runtime.publish("census:files", {"root": str(tmp_path / "nowhere")})
    runtime.wait_idle(PATIENCE)

    [event] = moved.records
    assert (event.dead_letter_queue, event.reason) == ("census:nowhere", "rejected")
    assert event.error.endswith("nowhere is no directory")


def test_a_file_that_vanished_after_the_scan_is_counted_too(start_example, tmp_path, capsys):
    runtime = start_example("census")
    census = {"correlation_id": "c"}

    runtime.publish("census:results", {"root": str(tmp_path), "expected": 1}, census)
    runtime.publish("census:sources", {"root": str(tmp_path), "file": "gone.py"}, census)
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert figure(printed, "do not parse") == 1
    assert "  gone.py  FileNotFoundError: " in printed


MAY_PUBLISH = {
    "scanner": {"census:sources", "census:results"},
    "parser": {"census:outlines"},
    "measurer": {"census:results"},
    "undertaker": {"census:results"},
    "reporter": set(),
}


@pytest.mark.parametrize("consumer", MAY_PUBLISH)
def test_each_stage_may_publish_onward_and_nowhere_else(consumer):
    registry = Runtime.load(EXAMPLE).registry
    block = registry[f"census:{consumer}"].config.lifecycle.security
    scope = Policies.from_registry(registry).scope_of(block, "census")
    queues = [str(entry.id) for entry in registry if entry.kind == "queue.queue"]

    allowed = {
        queue
        for queue in queues
        if scope.evaluate(block.principal(), "queue.publish.queue", queue, {}).allowed
    }

    assert allowed == MAY_PUBLISH[consumer]


def python_files_of_the_standard_library() -> list[str]:
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for directory, subdirectories, files in os.walk(root):
        subdirectories[:] = set(subdirectories) - {"site-packages", "dist-packages", "__pycache__"}
        found += [
            Path(directory, file).relative_to(root).as_posix() for file in files if file.endswith(".py")
        ]
    return found


def test_the_standard_library_is_counted_as_the_readme_says(run_as_written):
    ran = run_as_written("census", "noria run")

    files = python_files_of_the_standard_library()
    dead = ran.stdout.partition("Files that do not parse\n\n")[2].splitlines()[1:]
    names = {line.split()[0] for line in dead if line}
    rejected = [line for line in ran.logged if line.get("event") == "MessageDeadLettered"]
    assert ran.code == 0
    assert ran.stdout.count("Census of") == 1
    assert figure(ran.stdout, "files") == len(files)
    assert figure(ran.stdout, "do not parse") == len(names) == len(rejected)
    assert names <= set(files)
    assert {"test/tokenizedata/bad_coding.py", "lib2to3/tests/data/bom.py"} & set(files) <= names
    assert "ast.py" not in names
    # Every file is handled twice at least: parsed and reported.
    assert ran.summary["handled"] >= 2 * len(files)
    assert (ran.summary["left"], ran.summary["denied"], ran.summary["problems"]) == ({}, 0, [])
