"""`function.python`: what can be loaded, and what a broken file is told."""

import sys

import pytest

from noria.actors import Runtime
from noria.actors.errors import FunctionBroken, FunctionNotFound
from noria.registry import ConfigurationError

APP = """
    namespace: app
    entries:
      - name: f
        kind: function.python
        {source}
        {method}
"""


def app(source: str = "source: file://handlers.py", method: str = "") -> str:
    return APP.format(source=source, method=method)


def test_a_function_of_an_installed_module_is_called_by_its_id(start):
    runtime = start(app("module: json", "method: dumps"))

    assert runtime.call("app:f", [1, 2]) == "[1, 2]"


def test_a_function_may_be_anything_callable(start):
    runtime = start(
        app(), "class Adder:\n    def __call__(self, a, b):\n        return a + b\nhandler = Adder()"
    )

    assert runtime.call("app:f", 1, 2) == 3


def test_an_async_function_is_run_to_its_result(start):
    runtime = start(
        app(), "import asyncio\nasync def handler(x):\n    await asyncio.sleep(0)\n    return x * 2"
    )

    assert runtime.call("app:f", 21) == 42


def test_what_a_function_raises_comes_out_as_it_is(start):
    runtime = start(app(), "def handler():\n    raise KeyError('k')")

    with pytest.raises(KeyError, match="k"):
        runtime.call("app:f")


def test_an_unknown_function_is_an_error_with_the_nearest_name(start):
    runtime = start(app(), "def handler(): pass")

    with pytest.raises(FunctionNotFound, match=r"function not found: app:g, did you mean app:f\?"):
        runtime.call("app:g")


def test_dataclasses_with_postponed_annotations_work_in_a_handler_file(start):
    handlers = """
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
        def handler(x):
            return Point(x).x
    """
    assert start(app(), handlers).call("app:f", 3) == 3


def test_entries_with_the_same_file_share_its_module_and_runtimes_do_not(application):
    more = """
      - {name: count, kind: function.python, source: "file://handlers.py", method: count}
    """
    path = application(
        app() + more, "calls = []\ndef handler(x):\n    calls.append(x)\ndef count():\n    return len(calls)"
    )
    with Runtime.load(path) as first, Runtime.load(path) as second:
        first.call("app:f", 1)
        second.call("app:f", 1)
        second.call("app:f", 1)

        assert (first.call("app:count"), second.call("app:count")) == (1, 2)


def test_stopping_forgets_the_modules(application):
    path = application(app(), "def handler(): pass")
    before = set(sys.modules)

    with Runtime.load(path):
        assert len(set(sys.modules) - before) == 1

    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("handlers", "problem"),
    [
        ("def handler(:\n    pass", "handlers.py:1: invalid syntax"),
        ("def other(): pass", "handlers.py does not define handler"),
    ],
)
def test_what_reading_the_file_shows_is_a_configuration_error(application, handlers, problem):
    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(app(), handlers))

    [found] = caught.value.problems
    assert problem in str(found)
    assert str(found.entry) == "app:f"


@pytest.mark.parametrize(
    ("handlers", "problem", "line"),
    [
        ("import json\nimport no_such_library\ndef handler(): pass", "No module named 'no_such_library'", 2),
        ("x = 1\ny = x / 0\ndef handler(): pass", "ZeroDivisionError: division by zero", 2),
        ("handler = None", "handler cannot be called", 1),
        ("def handler(body):\n    yield body", "handler has a yield: a call would only make a generator", 1),
        ("async def handler(body):\n    yield body", "handler has a yield", 1),
        ("import sys\n\nsys.exit('bye')\ndef handler(): pass", "SystemExit: bye", 3),
        ("if False:\n    def handler(): pass", "handlers.py does not define handler", 1),
    ],
)
def test_what_running_the_file_shows_is_a_start_up_error_with_file_and_line(
    application, handlers, problem, line
):
    path = application(app(), handlers)
    runtime = Runtime.load(path)

    with pytest.raises(FunctionBroken) as caught:
        runtime.start()

    assert str(caught.value).startswith(f"{path / 'handlers.py'}:{line}: app:f: ")
    assert problem in str(caught.value)
    assert runtime.tree() == {}


def test_a_plain_function_that_returns_a_coroutine_fails(application):
    handlers = "async def later(body):\n    return body\ndef handler(body):\n    return later(body)\n"

    with (
        Runtime.load(application(app(), handlers)) as runtime,
        pytest.raises(TypeError, match="handler returned a coroutine, which nobody awaits"),
    ):
        runtime.call("app:f", 1)


def test_a_module_that_stands_beside_the_handler_is_named_in_the_error(application):
    path = application(app(), "import tables\ndef handler(): pass", tables__py="x = 1")
    runtime = Runtime.load(path)

    with pytest.raises(FunctionBroken, match=r"tables\.py stands beside it: put .* on sys\.path"):
        runtime.start()


def test_a_module_that_cannot_be_imported_is_named_with_the_entry(application):
    path = application(app("module: no.such.module"))
    runtime = Runtime.load(path)

    with pytest.raises(FunctionBroken) as caught:
        runtime.start()

    assert str(caught.value).startswith(f"{path / 'app.yaml'}:4: app:f: cannot import no.such.module: ")


@pytest.mark.parametrize("source", ["", "source: file://handlers.py\n        module: json"])
def test_source_and_module_are_one_or_the_other(application, source):
    with pytest.raises(ConfigurationError, match=r"give either source .* or module"):
        Runtime.load(application(app(source or "meta: {}"), "def handler(): pass"))
