"""The tables of the reference pages against the code: nothing missing, nothing extra, the same defaults and limits."""

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from noria.actors import DrainReport, Runtime, driver, entries, lifecycle, stores
from noria.actors.driver import Driver, Subscription
from noria.actors.drivers import DRIVER_KINDS, memory
from noria.actors.settings import Settings
from noria.registry import ConfigurationError, Event, NoriaError
from noria.registry.fields import BETWEEN
from noria.registry.values import parse_duration

ROOT = Path(__file__).parents[2]
PACKAGES = ("noria.registry", "noria.security", "noria.actors")


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """From a heading to the next one."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, first: str) -> list[list[str]]:
    """The rows of the one table whose head begins with `first`."""
    [table] = [
        found for found in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE) if found.startswith(f"| {first} |")
    ]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.splitlines()[2:]]


def every_class(root: type) -> set[type]:
    """All classes of noria below `root`, wherever they are defined."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: set[type] = set()
    waiting = [root]
    while waiting:
        below = [cls for cls in waiting.pop().__subclasses__() if is_ours(cls)]
        waiting += below
        found.update(below)
    return found


def is_ours(cls: type) -> bool:
    """Not a test's, and not what attrs leaves behind of a class that it has made anew with slots."""
    module = sys.modules.get(cls.__module__)
    return cls.__module__.startswith(PACKAGES) and getattr(module, cls.__name__, None) is cls


# ---- queues ----------------------------------------------------------------------------------------------

TABLES = [
    ("queue.driver.memory", "", memory.MemoryConfig),
    ("queue.queue", "", entries.QueueConfig),
    ("Options of every driver", "", driver.QueueOptions),
    ("queue.consumer", "", entries.ConsumerConfig),
    ("function.python", "", entries.PythonFunctionConfig),
    ("pool", "", entries.PoolConfig),
    ("store.memory", "", stores.MemoryStoreConfig),
    ("lifecycle", "", lifecycle.Lifecycle),
    ("lifecycle", "`restart`, for a service", lifecycle.RestartConfig),
    ("Attempts and redelivery", "", entries.RedeliveryConfig),
    ("Dead letters", "", entries.DeadLetterConfig),
]


def field_rows(heading: str, after: str) -> dict[str, list[str]]:
    text = section(page("queues"), heading)
    if after:
        text = text.split(after, 1)[1]
    elif "`restart`, for a service" in text:
        text = text.split("`restart`, for a service", 1)[0]
    return {
        name: [" ".join(cells[1:2]), *cells[2:]]
        for cells in rows(text, "Field")
        for name in re.findall(r"`(\w+)`", cells[0])
    }


def shown_default(cell: str, kind: str) -> Any:
    if cell in ("required", "none"):
        return cell
    text = cell.strip("`")
    return parse_duration(text) if kind == "duration" else yaml.safe_load(text)


def real_default(default: Any) -> Any:
    if default is attrs.NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):
        default = default.factory()
    return "none" if default is None or default in ((), {}, "") or attrs.has(type(default)) else default


@pytest.mark.parametrize(("heading", "after", "config"), TABLES, ids=[table[2].__name__ for table in TABLES])
def test_every_field_is_in_its_table_with_its_default_and_limits(heading, after, config):
    documented = field_rows(heading, after)
    fields = {field.name: field for field in attrs.fields(config)}

    assert list(documented) == list(fields) or set(documented) == set(fields)
    for name, (kind, default, limits, *_meaning) in documented.items():
        assert shown_default(default, kind) == real_default(fields[name].default), name
        bounds = fields[name].metadata.get(BETWEEN)
        if bounds is not None:
            assert limits == said(bounds, kind), name


def said(bounds: Any, kind: str) -> str:
    if bounds.high is not None:
        return f"{bounds.low} to {bounds.high}"
    low = "1 ms" if kind == "duration" and bounds.low == 0.001 else bounds.low
    return f"at least {low}"


def test_the_drain_report_is_told_in_full():
    told = [cells[0].strip("`") for cells in rows(section(page("queues"), "Stopping"), "Field")]

    assert told == [field.name for field in attrs.fields(DrainReport)]


def test_the_bound_of_the_whole_stop_is_the_one_of_the_page():
    assert "`shutdown.timeout` of `.noria.yaml` (30 seconds)" in page("queues")
    assert Settings().shutdown.timeout == 30.0


@pytest.mark.parametrize(
    ("entry", "starts"),
    [
        ("{name: d, kind: queue.driver.memory}", False),
        ("{name: q, kind: queue.queue, driver: m}", True),
        ("{name: c, kind: queue.consumer, queue: t, func: f}", False),
    ],
)
def test_what_starts_by_itself_is_what_the_page_says(application, entry, starts):
    definition = f"""
    namespace: app
    entries:
      - {{name: m, kind: queue.driver.memory, lifecycle: {{auto_start: true}}}}
      - {{name: t, kind: queue.queue, driver: m}}
      - {{name: f, kind: function.python, source: "file://handlers.py"}}
      - {entry}
    """
    name = yaml.safe_load(entry)["name"]

    with Runtime.load(application(definition, "def handler(body): ...")) as runtime:
        states = {child["id"]: child["state"] for child in runtime.tree()["children"]}

    assert (states[f"app:{name}"] == "running") is starts


def test_options_for_other_drivers_are_left_alone_and_ours_win(application):
    definition = """
    namespace: app
    entries:
      - {name: m, kind: queue.driver.memory}
      - name: t
        kind: queue.queue
        driver: m
        options: {max_length: 5}
        driver_options: {memory: {max_length: 1}, amqp: {durable: true}}
    """
    with Runtime.load(application(definition)) as runtime:
        runtime.publish("app:t", 1)
        with pytest.raises(NoriaError, match="queue is full"):
            runtime.publish("app:t", 2, timeout=0)


def test_a_queue_is_not_its_own_dead_letter_queue(application):
    definition = """
    namespace: app
    entries:
      - {name: m, kind: queue.driver.memory}
      - {name: t, kind: queue.queue, driver: m, dead_letter: {queue: t}}
    """
    with pytest.raises(ConfigurationError, match="own dead-letter queue"):
        Runtime.load(application(definition))


# ---- events ----------------------------------------------------------------------------------------------


def test_every_event_is_in_a_table_with_all_its_fields():
    documented = {
        cells[0].strip("`"): re.findall(r"`(\w+)`", cells[1])
        for table in re.findall(r"^\| Event \|.*\n\|.*\n((?:\|.*\n)+)", page("events"), re.MULTILINE)
        for cells in ([cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.splitlines())
    }
    found = every_class(Event)
    roots = {base for cls in found for base in cls.__bases__}
    classes = {cls.__name__: cls for cls in found - roots}

    assert set(documented) == set(classes)
    for name, cls in classes.items():
        assert documented[name] == [field.name for field in attrs.fields(cls)], name


# ---- errors ----------------------------------------------------------------------------------------------


def drawn_errors() -> dict[str, tuple[str | None, str]]:
    """Name to parent and what stands beside it."""
    [tree] = re.findall(r"^```text\n(NoriaError.*?)^```", page("errors"), re.MULTILINE | re.DOTALL)
    drawn: dict[str, tuple[str | None, str]] = {}
    parents: list[str] = []
    for line in tree.splitlines():
        indent, name, beside = re.fullmatch(r"([│├└─ ]*)(\w+)(.*)", line).groups()
        del parents[len(indent) // 3 :]
        drawn[name] = (parents[-1] if parents else None, beside.strip())
        parents.append(name)
    return drawn


def test_the_tree_of_errors_is_the_tree_of_classes():
    classes = every_class(NoriaError)

    drawn = {name: parent for name, (parent, _) in drawn_errors().items()}

    assert drawn == {"NoriaError": None, **{cls.__name__: cls.__bases__[0].__name__ for cls in classes}}


def test_the_tree_of_errors_tells_what_is_retryable():
    marked = {name for name, (_, beside) in drawn_errors().items() if beside.startswith("retryable")}

    assert marked == {cls.__name__ for cls in every_class(NoriaError) if cls.retryable}


def test_the_tree_of_errors_tells_attributes_that_exist():
    sources = {cls.__name__: cls for cls in every_class(NoriaError)}
    for name, (_, beside) in drawn_errors().items():
        for attribute in re.findall(r"(?<!\w)\.(\w+)", beside):
            module = importlib.import_module(sources[name].__module__)
            source = Path(module.__file__).read_text(encoding="utf-8")
            assert re.search(rf"self\.{attribute}\b", source), f"{name}.{attribute}"


# ---- drivers ---------------------------------------------------------------------------------------------


def files_of_the_page() -> dict[str, str]:
    """The blocks of docs/drivers.md that are files, without the line that names them."""
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", page("drivers"), re.MULTILINE | re.DOTALL)
    return dict(found)


def test_the_driver_of_the_page_is_the_example():
    example = (ROOT / "examples" / "spool_driver" / "spool_driver.py").read_text(encoding="utf-8")

    assert files_of_the_page()["spool_driver.py"] == example


def test_the_driver_of_the_page_passes_the_conformance_suite_as_the_page_says(tmp_path):
    [command] = re.findall(r"^```sh\n(.*)\n```", page("drivers"), re.MULTILINE)
    for name, code in files_of_the_page().items():
        (tmp_path / name).write_text(code)
    program, *arguments = shlex.split(command)

    ran = subprocess.run(
        [str(Path(sys.executable).with_name(program)), "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    assert re.search(r"\d{2} passed", ran.stdout)


def test_the_command_of_the_page_runs_any_driver_by_its_name():
    [name] = re.findall(r"`pytest (tests/\S+) --driver package.module:callable`", page("drivers"))

    ran = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("pytest")), "-q", "-p", "no:cacheprovider", name),
            *("--driver", "noria.actors.drivers.memory:MemoryDriver", "-k", "credit"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout


def features_of_our_drivers() -> dict[str, dict[str, str]]:
    """By driver and promise: yes or no."""
    return {
        kind.name.rpartition(".")[2]: {
            name: "yes" if value else "no"
            for name, value in attrs.asdict(kind.config.driver.features).items()
        }
        for kind in DRIVER_KINDS
    }


def test_the_table_of_promises_is_what_the_drivers_say_of_themselves():
    text = section(page("drivers"), "What differs")
    [head] = re.findall(r"^\| Promise \|(.*)\| in words \|$", text, re.MULTILINE)
    drivers = [name.strip() for name in head.split("|") if name.strip()]
    told = {cells[0].strip("`"): cells[1:-1] for cells in rows(text, "Promise")}

    assert {
        name: {promise: cells[column] for promise, cells in told.items()}
        for column, name in enumerate(drivers)
    } == features_of_our_drivers()


def test_every_no_of_the_table_has_its_reason():
    text = section(page("drivers"), "What each cannot keep, and why")
    reasons = dict(re.findall(r"^\*\*(\w+)\*\*\n\n((?:.+\n)+)", text, re.MULTILINE))

    for name, features in features_of_our_drivers().items():
        broken = {promise for promise, value in features.items() if value == "no"}
        assert set(re.findall(r"`(\w+)`", reasons.get(name, ""))) == broken, name


def test_every_driver_has_its_page():
    listed = {cells[0].strip("`"): cells[2] for cells in rows(page("drivers"), "kind")}

    assert set(listed) == {kind.name for kind in DRIVER_KINDS}


@pytest.mark.parametrize(("heading", "contract"), [("`Driver`", Driver), ("`Subscription`", Subscription)])
def test_every_verb_of_a_driver_is_in_its_table(heading, contract):
    told = re.findall(r"`(\w+)", "".join(cells[0] for cells in rows(page("drivers"), f"verb of {heading}")))

    own = {name for name in vars(contract) if not name.startswith("_") and name != "name"}
    assert set(told) == own
