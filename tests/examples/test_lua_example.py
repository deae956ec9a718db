"""examples/lua: the seed's application, with its own handler in two languages."""

import re
from pathlib import Path

import pytest
import yaml

from .conftest import EXAMPLES, commands_in, run_command

EXAMPLE = EXAMPLES / "lua"
SEED = Path(__file__).parents[1] / "seed"
PAGES = {"task_handler.lua": "queue.en.txt", "task_handler.es.lua": "cola.es.txt"}


def page(name: str) -> str:
    return (SEED / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", PAGES)
def test_the_handler_is_the_one_of_the_page(file):
    handler = (EXAMPLE / file).read_text(encoding="utf-8")

    assert handler.startswith('local json = require("json")\n')
    assert handler in page(PAGES[file])
    assert handler.endswith("return handler\n")


def test_the_entries_are_those_of_the_page():
    document = yaml.safe_load((EXAMPLE / "app.yaml").read_text())
    declared = {entry["name"]: entry for entry in document["entries"]}
    blocks = "".join(re.findall(r"^- name: \S+\n(?:  .*\n)+", page("queue.en.txt"), re.MULTILINE))

    assert document["namespace"] == "app.queue"
    assert declared["task_handler"].pop("imports") == {"process_task": "process_task"}
    for entry in yaml.safe_load(blocks):
        assert declared[entry["name"]] == entry


def test_the_publisher_sends_what_the_page_sends():
    [block] = re.findall(
        r'^queue\.publish\("app.queue:tasks".*?^}\)$', page("queue.en.txt"), re.DOTALL | re.MULTILINE
    )

    written = (EXAMPLE / "publisher.lua").read_text()
    assert block in re.sub(r"^    ", "", written, flags=re.MULTILINE)


def tasks_of(ran) -> list[str]:
    return sorted(line["task_id"] for line in ran.logged if line["logger"] == "noria.lua")


def test_the_lua_example_runs_as_its_readme_says(run_as_written):
    ran = run_as_written("lua", "payloads.jsonl")

    assert ran.code == 0
    assert tasks_of(ran) == ["task-123", "task-124", "task-124", "task-125", "task-126"]
    [failed] = [line for line in ran.logged if line.get("event") == "MessageFailed"]
    assert failed["error"].startswith("LuaError: the server does not answer ")
    assert "process_task.lua:" in failed["error"]
    assert (ran.summary["handled"], ran.summary["failed"], ran.summary["left"]) == (5, 1, {})


def test_it_runs_in_spanish_as_its_readme_says(run_as_written):
    ran = run_as_written("lua", "task_handler.es.lua")

    assert ran.code == 0
    assert tasks_of(ran) == ["task-124", "task-124", "task-125", "task-126"]
    assert {line["text"] for line in ran.logged if line["logger"] == "noria.lua"} == {"Procesando"}


def test_a_call_tells_the_error_as_its_readme_shows(run_as_written):
    ran = run_as_written("lua", "noria call")

    assert (ran.code, ran.stdout) == (1, "")
    *logged, told = ran.stderr.splitlines()
    shown = (EXAMPLE / "README.md").read_text()
    assert [line.split(" ", 1)[1] for line in logged] == [  # without the time of day
        "info  Processing  task_id=task-128 location=app.queue:task_handler:7"
    ]
    assert f"{logged[0].split(' ', 1)[1]}\n{told}\n" in shown


def test_every_command_of_the_readme_is_run_here():
    assert len(commands_in(EXAMPLE / "README.md")) == 3


def test_the_check_is_clean():
    ran = run_command("noria check examples/lua")

    assert (ran.code, ran.stderr) == (0, "")
