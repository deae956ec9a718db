"""The example of a driver from elsewhere: found by its entry point, run in an application, proved by the suite."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from noria.actors import Runtime
from noria.actors.errors import DriverUnavailable

from .conftest import EXAMPLES

EXAMPLE = EXAMPLES / "spool_driver"
APPLICATION = """
namespace: app
entries:
  - {{name: spool, kind: queue.driver.spool, path: {path}}}
  - {{name: dead, kind: queue.queue, driver: spool}}
  - {{name: tasks, kind: queue.queue, driver: spool, dead_letter: {{queue: dead}}}}
  - {{name: handler, kind: function.python, source: "file://handlers.py"}}
  - {{name: workers, kind: queue.consumer, queue: tasks, func: handler, lifecycle: {{auto_start: true}}}}
"""
HANDLERS = """
import probe
from noria.actors import Reject

def handler(body):
    probe.record(body)
    if body == "bad":
        raise Reject("it is bad")
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As `pip install` leaves it: the module on the path, and its entry points beside it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["noria.kinds"]
    info = tmp_path / f"noria_spool-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[noria.kinds]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("spool_driver", None)


def test_an_application_uses_the_driver_that_is_installed(installed, application, probe, tmp_path):
    folder = tmp_path / "spool"
    app = application(APPLICATION.format(path=folder), HANDLERS)

    with Runtime.load(app) as runtime:
        runtime.publish("app:tasks", "good")
        runtime.publish("app:tasks", "bad")
        assert probe.wait(2) == ["good", "bad"]
        runtime.wait_idle(20)

    assert [path.name for path in (folder / "app%3Atasks").glob("*/*")] == []
    [dead] = (folder / "app%3Adead" / "ready").iterdir()
    assert b"it is bad" in dead.read_bytes()


def test_its_messages_outlive_the_runtime(installed, application, probe, tmp_path):
    app = application(
        APPLICATION.format(path=tmp_path / "spool").replace("auto_start: true", "auto_start: false"), HANDLERS
    )
    with Runtime.load(app) as runtime:
        runtime.publish("app:tasks", "kept")

    with Runtime.load(app) as runtime:
        assert runtime.info("app:tasks")["ready"] == 1


def test_a_wrong_field_of_its_entry_is_told_like_any_other(installed, application, tmp_path):
    app = application(APPLICATION.format(path=tmp_path).replace("path:", "pth:"), HANDLERS)

    with pytest.raises(Exception, match='unknown field; did you mean "path"'):
        Runtime.load(app)


def test_a_folder_belongs_to_one_process_at_a_time(installed, tmp_path):
    module = importlib.import_module("spool_driver")
    first, second = (
        module.SpoolDriver("spool", module.SpoolConfig(path=str(tmp_path / "spool"))) for _ in range(2)
    )

    with first, pytest.raises(DriverUnavailable, match="spool"):
        second.open(lambda _error: None)

    with second:
        assert second.features.durable


def test_a_folder_that_cannot_be_made_is_told(installed, tmp_path):
    module = importlib.import_module("spool_driver")
    (tmp_path / "file").write_text("in the way")
    driver = module.SpoolDriver("spool", module.SpoolConfig(path=str(tmp_path / "file" / "spool")))

    with pytest.raises(DriverUnavailable, match="Not a directory"):
        driver.open(lambda _error: None)

    driver.close()


def test_it_passes_the_conformance_suite():
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("pytest")), "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    assert int(re.search(r"(\d+) passed", ran.stdout)[1]) >= 90
