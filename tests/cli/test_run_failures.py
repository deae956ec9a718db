"""run: services that cannot start or give up."""

import json
import os
import signal

import pytest


def events(stderr: str) -> list[dict]:
    return [json.loads(line) for line in stderr.splitlines()]


def ended(stderr: str) -> dict:
    return next(line for line in events(stderr) if line.get("event") == "RunEnded")


BROKEN = """
import os, sys
sys.path.insert(0, os.path.dirname(__file__))

from noria.actors.consumer import Consumer

original = Consumer.on_children_started

def failing(self):
    if not os.path.exists("healthy"):
        raise RuntimeError("no backend today")
    original(self)

Consumer.on_children_started = failing

def handler(body):
    os.remove("healthy")
    from noria.actors import context
    raise ValueError("again")
"""


def test_a_required_service_that_cannot_start_exits_1_and_is_named(run, application):
    app = application(handlers=BROKEN)
    code, _, stderr = run(
        "run",
        app,
        *(
            "-o",
            "app:worker:lifecycle.restart.max_attempts=1",
            "-o",
            "app:worker:lifecycle.restart.initial_delay=10ms",
        ),
        *("--log-format", "text", "--until-idle"),
    )

    assert code == 1
    assert "app:worker did not start: RuntimeError: no backend today" in stderr


@pytest.fixture
def optional_worker(application):
    """An application whose only consumer gives up at once, without failing the start."""
    application(handlers=BROKEN)
    return [
        "run",
        "app",
        *("-o", "app:worker:lifecycle.restart.max_attempts=1", "-o", "app:worker:lifecycle.startup=optional"),
        *("-o", "app:worker:lifecycle.restart.initial_delay=10ms", "--publish", "tasks=-"),
    ]


def test_until_idle_does_not_wait_for_a_consumer_that_has_given_up(run, optional_worker):
    code, _, stderr = run(*optional_worker, "--until-idle", text="1\n2\n")

    assert code == 1
    problems = ended(stderr)["problems"]
    assert "app:tasks still holds 2 messages: app:worker gave up" in problems
    assert any(
        problem.startswith("app:worker gave up: ") and "no backend today" in problem for problem in problems
    )
    assert ended(stderr)["left"] == {"app:tasks": 2}


def test_until_idle_does_not_feed_a_full_queue_that_nobody_will_empty(run, optional_worker):
    code, _, stderr = run(*optional_worker, "--until-idle", text="1\n" * 300)

    assert code == 1
    assert ended(stderr)["left"] == {"app:tasks": 100}
    assert any(
        "app:tasks takes no more and nothing consumes it" in each for each in ended(stderr)["problems"]
    )


def test_without_until_idle_the_program_goes_on_and_exits_1_at_the_end(start, optional_worker):
    running = start(*optional_worker)
    running.wait_for("ChildGaveUp", "stderr")
    # Input is only read when the start is over; a signal before that would end it without a word.
    running.say("no JSON")
    running.wait_for("BadLine", "stderr")
    running.signal(signal.SIGTERM)
    code, _, stderr = running.end()

    assert code == 1
    assert ended(stderr)["problems"][0].startswith("app:worker gave up: ")


def test_a_signal_while_a_service_is_retried_ends_the_start(start, application):
    running = start(
        "run", application(handlers=BROKEN), "-o", "app:worker:lifecycle.restart.initial_delay=50ms"
    )
    running.wait_for("ChildFailed", "stderr")

    running.signal(signal.SIGTERM)
    code, _, stderr = running.end()

    assert code == 0
    assert "Traceback (most recent call last):\n  File" not in stderr.rpartition("}\n")[2]


@pytest.mark.parametrize("command", ["check", "run", "graph"])
def test_a_current_directory_that_was_deleted_is_told(start, tmp_path, command):
    gone = tmp_path / "gone"
    gone.mkdir()
    code, _, stderr = start(command, "app", preexec_fn=lambda: (os.chdir(gone), gone.rmdir())).end()

    assert code == 2
    assert stderr == "app: the current directory was deleted, so there is nothing below it\n"


def test_a_broken_handler_is_told_where_the_current_directory_was_deleted(start, application, tmp_path):
    app = application(handlers="raise ValueError('broken')").absolute()
    gone = tmp_path / "gone"
    gone.mkdir()
    code, _, stderr = start("run", app, preexec_fn=lambda: (os.chdir(gone), gone.rmdir())).end()

    assert code == 2
    assert "broken" in stderr
    assert "Traceback" not in stderr
