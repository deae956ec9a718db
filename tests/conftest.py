"""Options and fixtures for every test."""

import importlib.util
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from noria.actors import Runtime


def make_importable(package: Path) -> None:
    """Imports a folder of helpers by its path: `tests` itself on sys.path would make `tests/actors` a module."""
    spec = importlib.util.spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[package.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[package.name])


make_importable(Path(__file__).parent / "servers")
make_importable(Path(__file__).parent / "reliability")
pytest_plugins = ["servers.fixtures"]

# How long an example takes says nothing on a shared machine.
settings.register_profile("noria", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noria")

PATIENCE = 20.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--driver",
        action="append",
        metavar="NAME",
        help="run the driver conformance suite on this driver: one of ours by its short name,"
        " or any callable without arguments that makes a driver, as package.module:callable; repeatable",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes run the tests: any test in any of them, but one RabbitMQ is enough for all.

    Each process has its own of the other servers, which are small. A test that these words miss is no worse for it.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            uses_rabbit = any(word in nodeid for word in ("/amqp/", "[amqp", "rabbit"))
            return "rabbit" if uses_rabbit else nodeid

    return Scheduling(config, log)


class Probe:
    """What handlers and their test share: `import probe` in a handler file is this object.

    Handlers record; the test waits for records. `gate` holds handlers that call `pass_gate` until it is opened.
    """

    def __init__(self) -> None:
        self._records: list[Any] = []
        self._changed = threading.Condition()
        self.gate = threading.Event()

    def record(self, value: Any) -> None:
        with self._changed:
            self._records.append(value)
            self._changed.notify_all()

    def pass_gate(self) -> None:
        assert self.gate.wait(PATIENCE), "the test never opened the gate"

    @property
    def records(self) -> list[Any]:
        with self._changed:
            return list(self._records)

    def wait(self, count: int = 1) -> list[Any]:
        """All records, as soon as there are `count`."""
        return self.wait_until(lambda records: len(records) >= count, f"{count} records")

    def wait_until(self, condition: Callable[[list[Any]], bool], what: str = "the condition") -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._records), PATIENCE), (
                f"waited for {what}, got {len(self._records)}: {self._records[-20:]}"
            )
            return list(self._records)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    made = Probe()
    monkeypatch.setitem(sys.modules, "probe", made)
    yield made
    made.gate.set()


Write = Callable[..., Path]


@pytest.fixture
def application(tmp_path: Path) -> Write:
    """Writes an application directory: `application(yaml, handlers)`, and more files by name."""

    def write(definition: str, handlers: str = "", settings: str = "", **files: str) -> Path:
        root = tmp_path / "app"
        root.mkdir(exist_ok=True)
        (root / "app.yaml").write_text(textwrap.dedent(definition))
        if handlers:
            (root / "handlers.py").write_text(textwrap.dedent(handlers))
        if settings:
            (root / ".noria.yaml").write_text(textwrap.dedent(settings))
        for name, content in files.items():
            (root / name.replace("__", ".")).write_text(textwrap.dedent(content))
        return root

    return write


@pytest.fixture
def start(application: Write) -> Iterator[Callable[..., Runtime]]:
    """Writes an application, starts it, and stops it after the test: `start(yaml, handlers)`."""
    started: list[Runtime] = []

    def begin(definition: str, handlers: str = "", settings: str = "") -> Runtime:
        runtime = Runtime.load(application(definition, handlers, settings))
        runtime.start(PATIENCE)
        started.append(runtime)
        return runtime

    yield begin
    for runtime in started:
        runtime.stop()


@pytest.fixture
def events() -> Callable[..., Any]:
    """`events(runtime, SomeEvent)` collects events in a Probe."""

    def collect(runtime: Runtime, *types: type[Any]) -> Probe:
        collected = Probe()
        runtime.bus.subscribe(collected.record, *types)
        return collected

    return collect
