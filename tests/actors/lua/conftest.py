"""Lua functions for tests: written, started and called in one line."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.actors import Runtime

Run = Callable[..., Callable[..., Any]]


@pytest.fixture
def application_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes `app.yaml` and files; dots in a name are written as two underscores."""

    def write(definition: str, **files: str) -> Path:
        (tmp_path / "app.yaml").write_text(textwrap.dedent(definition))
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(textwrap.dedent(text))
        return tmp_path

    return write


@pytest.fixture
def begin(application_of) -> Iterator[Callable[..., Runtime]]:
    """Starts an application: `begin(yaml, handler__lua="…")`; it stops after the test."""
    started: list[Runtime] = []

    def start(definition: str, **files: str) -> Runtime:
        runtime = Runtime.load(application_of(definition, **files))
        started.append(runtime)
        runtime.start(20)
        return runtime

    yield start
    for runtime in started:
        runtime.stop()


@pytest.fixture
def lua(begin) -> Run:
    """A function whose body is this text: `lua("return ... + 1")(1)`; `options` are more lines of YAML."""

    def make(body: str, options: str = "", modules: str = "") -> Callable[..., Any]:
        runtime = begin(
            "namespace: app\nentries:\n"
            "  - name: f\n    kind: function.lua\n    source: file://f.lua\n"
            f"    modules: [{modules}]\n" + textwrap.indent(textwrap.dedent(options), "    "),
            f__lua=f"return function(...)\n{textwrap.dedent(body)}\nend\n",
        )
        return lambda *arguments: runtime.call("app:f", *arguments)

    return make
