"""`docs/definition-files.md`: every YAML block on the page loads, every error on it is what noria says."""

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from noria.registry import Duration, EntryID, FileText, Kind, between, load, load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "definition-files.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


DEFINITIONS = [block for block in blocks("yaml") if not block.startswith("# .noria.yaml")]
SETTINGS = [block for block in blocks("yaml") if block.startswith("# .noria.yaml")]


@attrs.frozen(kw_only=True)
class Redelivery:
    initial_delay: Duration = between(0, default=0.1)
    max_delay: Duration = between(0, default=30.0)
    backoff_factor: float = between(1, default=2.0)


@pytest.fixture
def kinds(world):
    @attrs.frozen(kw_only=True)
    class Queue(world.Queue):
        redelivery: Redelivery = Redelivery()

    return [Kind("queue.queue", Queue), *(kind for kind in world.KINDS if kind.name != "queue.queue")]


@pytest.fixture
def application(write):
    return write({"handlers.py": "def handler(body): ...\n"} | {
        f"{number}.yaml": block for number, block in enumerate(DEFINITIONS)
    })  # fmt: skip


def test_the_page_has_examples():
    assert (len(DEFINITIONS), len(SETTINGS)) == (6, 1)


def test_every_definition_file_on_the_page_loads(application, kinds):
    registry = load(application, kinds, environ={"STAGE": "test"})

    assert len(registry) == 13
    assert registry["app.merged:slow"].config.redelivery == Redelivery(
        initial_delay=5.0, max_delay=3600.0, backoff_factor=3.0
    )
    assert registry["app.data:mails"].meta == {"team": "core", "title": "Mails to be sent"}
    assert registry["app.ordered:work"].dependencies == (EntryID("app.ordered", "base"),)
    assert registry["app.environment:orders"].config.queue_name == "orders-test"
    assert registry["app.environment:orders"].config.options == {"max_length": 1000}
    assert isinstance(registry["app.reports:nightly"].config.source, FileText)
    assert registry["app.queue:task_consumer"].config.lifecycle.auto_start, "it would never start"


@pytest.mark.parametrize("block", DEFINITIONS)
def test_every_definition_file_on_the_page_is_an_application_by_itself(write, kinds, block):
    assert len(load(write({"handlers.py": "", "app.yaml": block}), kinds, environ={})) > 0


def test_the_settings_on_the_page_load(write):
    @attrs.frozen
    class Settings:
        security: dict[str, bool] = attrs.field(factory=dict)
        shutdown: dict[str, Duration] = attrs.field(factory=dict)

    settings = load_settings(write({".noria.yaml": SETTINGS[0]}), Settings)

    assert settings == Settings(security={"strict_mode": True}, shutdown={"timeout": 60.0})


def test_the_overrides_on_the_page_work(application, kinds):
    [command] = blocks("console")
    overrides = re.findall(r"-o (\S+)", command)
    registry = load(application, kinds, overrides=overrides, environ={})

    assert len(overrides) == 2
    assert registry["app.queue:task_consumer"].config.concurrency == 16
    assert registry["app.queue:tasks"].config.redelivery.max_delay == 60.0


def test_the_errors_on_the_page_are_what_noria_says(problems, kinds):
    broken = """namespace: app.queue
entries:
  - name: memory_driver
    kind: queue.driver.memory
  - name: task_handler
    kind: function.python
  - name: task_consumer
    kind: queue.consumer
    func: task_handler

    queue: tasks
    concurrency: 2000
    prefech: 3
  - {name: tasks, kind: queue.queue,
    driver: memory_drivr}
"""
    [shown] = blocks("text")
    from_files, from_override = shown.splitlines()[:-1], shown.splitlines()[-1]

    assert problems({"app/queues.yaml": broken}, kinds) == from_files
    good = broken.replace("    prefech: 3\n", "").replace("drivr", "driver").replace("2000", "2")
    override = "app.queue:task_consumer:concurrency=many"
    assert problems({"app/queues.yaml": good}, kinds, overrides=[override]) == [from_override]


def test_the_kind_on_the_page_is_one(loaded, world):
    [code] = blocks("python")
    names = {}
    exec(compile(code, "docs/definition-files.md", "exec"), names)
    entry = loaded(
        "namespace: a\nentries:\n  - {name: d, kind: queue.driver.memory}\n  - {name: q, kind: queue.queue, driver: d}\n"
        "  - {name: r, kind: acme.report, queue: q, every: 1d}\n",
        [*world.KINDS, names["report"]],
    )["a:r"]

    assert entry.config == names["Report"](queue=EntryID("a", "q"), every=86400.0)


def test_the_entry_point_on_the_page_is_of_our_group():
    from noria.registry.kinds import ENTRY_POINTS

    [block] = blocks("toml")
    assert list(tomllib.loads(block)["project"]["entry-points"]) == [ENTRY_POINTS]
