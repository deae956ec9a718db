"""The distribution: what is in it, and that it works where nothing else is."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("registry", "security", "actors")


def run(*command: object, cwd: Path) -> str:
    finished = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout + finished.stderr


def test_the_list_of_packages_is_complete():
    """setuptools does not discover below a package-dir mapping: a forgotten folder would be missing from the wheel."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        "noria." + ".".join(marker.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for marker in (ROOT / package).rglob("__init__.py")
    }

    assert sorted(folders) == sorted(configuration["packages"])


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package):
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_repository_root_is_not_on_the_path(package):
    """Otherwise `import actors` would be a second copy of every class."""
    assert importlib.util.find_spec(package) is None


@pytest.mark.parametrize("package", PACKAGES)
def test_a_door_exports_what_it_names_and_names_are_sorted(package):
    door = importlib.import_module(f"noria.{package}")

    assert all(hasattr(door, name) for name in door.__all__)
    assert len(set(door.__all__)) == len(door.__all__)


@pytest.mark.timeout(300)
def test_the_wheel_runs_an_example_in_an_empty_environment(tmp_path):
    source, home = tmp_path / "source", tmp_path / "home"
    home.mkdir()
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", ".*_cache", ".ci"),
    )
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        tmp_path,
        source,
        cwd=home,
    )
    [wheel] = tmp_path.glob("noria-*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    run(tmp_path / "empty/bin/pip", "install", "--quiet", wheel, cwd=home)
    shutil.copytree(ROOT / "examples" / "tasks", home / "tasks")

    output = run(
        tmp_path / "empty/bin/noria",
        "run",
        "tasks",
        "--publish",
        "app.queue:tasks=tasks/input.jsonl",
        "--until-idle",
        cwd=home,
    )

    assert "task-123" in output
