"""The Lua of the user's page, English and Spanish, character by character: cut out, put into a file, run.

What the page leaves to its reader, `process_task` and `payload`, comes from libraries that are imported under these
names.
"""

import logging
import re
from pathlib import Path

import pytest

from noria.actors import Runtime
from noria.actors.events import MessageDeadLettered
from noria.actors.functions.lua.check import undefined_names
from noria.actors.functions.lua.faults import LuaError

PAGES = {
    name: (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8")
    for name in ("queue.en", "cola.es")
}
PATIENCE = 20.0
TASKS, FAILED = "app.queue:tasks", "app.queue:failed"


def cut(page: str, begin: str, end: str) -> str:
    """From a line to a line, both included."""
    return page[page.index(begin) : page.index(end, page.index(begin)) + len(end)]


def handler(page: str) -> str:
    return cut(page, 'local json = require("json")\n', "return handler\n")


def publisher(page: str) -> str:
    return cut(page, 'local queue = require("queue")\n', "})\n")


def blocks(page: str) -> str:
    found = re.findall(r"^- name: \S+\n(?:  .*\n)+", page, re.MULTILINE)
    assert len(found) == 4
    return "".join(found)


PROCESS = """
return function(task)
  if task.id == "broken" then
    return nil, "it does not work"
  elseif task.id == "wrong" then
    error("it is wrong")
  end
  return "done " .. task.id
end
"""
MORE = """
- {name: failed, kind: queue.queue, driver: memory_driver}
- {name: process, kind: library.lua, source: file://process.lua}
"""


def write(home: Path, page: str, more: str = "", imports: str = "{process_task: process}") -> Path:
    """The page's own blocks as an application; only a dead letter and the imports are added to them."""
    text = blocks(page).replace(
        "  driver: app.queue:memory_driver\n",
        "  driver: app.queue:memory_driver\n  dead_letter: {queue: failed, max_attempts: 1}\n",
    )
    text = text.replace("    - logger\n", f"    - logger\n  imports: {imports}\n")
    (home / "app.yaml").write_text(f"namespace: app.queue\nentries:\n{text}{MORE}{more}", encoding="utf-8")
    (home / "task_handler.lua").write_text(handler(page), encoding="utf-8")
    (home / "process.lua").write_text(PROCESS)
    return home


@pytest.fixture(params=PAGES)
def page(request):
    return PAGES[request.param]


def test_the_handler_of_the_page_handles_messages(page, tmp_path, caplog):
    """Seed: `local json = require("json")` … `return handler`"""
    caplog.set_level(logging.INFO, logger="noria.lua")
    with Runtime.load(write(tmp_path, page)) as runtime:
        runtime.publish(TASKS, {"id": "task-123"})
        runtime.wait_idle(PATIENCE)
        assert runtime.call("app.queue:task_handler", {"id": "task-123"}) == "done task-123"
        assert runtime.info(FAILED)["message_count"] == 0

    records = [record for record in caplog.records if record.name == "noria.lua"]
    assert records[0].getMessage() in {"Processing", "Procesando"}
    assert records[0].fields["task_id"] == "task-123"
    assert records[0].fields["location"] == "app.queue:task_handler:7"


def test_a_body_that_is_still_text_is_decoded_by_the_handler_itself(page, tmp_path):
    """Seed: `local data = json.decode(body)`"""
    with Runtime.load(write(tmp_path, page)) as runtime:
        assert runtime.call("app.queue:task_handler", '{"id": "text"}') == "done text"


@pytest.mark.parametrize(("task", "problem"), [("broken", "it does not work"), ("wrong", "it is wrong")])
def test_an_error_is_a_nack(page, tmp_path, task, problem, events):
    """Seed: `return nil, err  -- Nack: requeue message`"""
    with Runtime.load(write(tmp_path, page)) as runtime:
        letters = events(runtime, MessageDeadLettered)
        runtime.publish(TASKS, {"id": task})
        [dead] = letters.wait(1)

    assert (dead.reason, dead.dead_letter_queue) == ("max_attempts", FAILED)
    assert problem in dead.error
    if task == "wrong":
        assert "process.lua:6: it is wrong" in dead.error
        assert "task_handler.lua:9: in " in dead.error


def test_as_it_stands_the_handler_lacks_a_function_and_says_which(page, tmp_path):
    """`process_task` is the reader's: without it the application is valid, `noria check` names it, a message fails."""
    write(tmp_path, page, imports="{}")

    with Runtime.load(tmp_path) as runtime:
        found = [text for _, text in undefined_names(runtime.registry)]
        with pytest.raises(LuaError) as caught:
            runtime.call("app.queue:task_handler", {"id": "x"})

    assert found == ["task_handler.lua:9: process_task is neither defined nor built in"]
    assert str(caught.value).startswith(
        "task_handler.lua:9: attempt to call a nil value (global 'process_task')"
    )


PUBLISHER = """
- name: publisher
  kind: function.lua
  source: file://publisher.lua
  modules: [queue]
  imports: {payload: payload}
"""


def test_the_publisher_of_the_page_publishes(page, tmp_path, probe):
    """Seed: `local queue = require("queue")` … `})`

    The block is no function: it runs when its script is loaded, and the script returns one.
    """
    more = PUBLISHER + (
        "- {name: reader, kind: function.python, source: file://reader.py}\n"
        "- {name: payload, kind: library.lua, source: 'return { size = 3 }'}\n"
    )
    write(tmp_path, page.replace("func: app.queue:task_handler", "func: reader"), more)
    (tmp_path / "publisher.lua").write_text(publisher(page) + "\nreturn function() return 'published' end")
    (tmp_path / "reader.py").write_text("import probe\ndef handler(body):\n    probe.record(body)")

    with Runtime.load(tmp_path) as runtime:
        assert runtime.call("app.queue:publisher") == "published"
        assert probe.wait(1) == [{"id": "task-123", "action": "process", "data": {"size": 3}}]
