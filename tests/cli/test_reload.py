"""SIGHUP: the application is read again while it runs."""

import os
import pty
import signal
import threading

import pytest

from noria.actors import Runtime
from noria.actors.cli.reloading import Reloading

HANDLERS = "def handler(body):\n    print('%s', body, flush=True)\n"


@pytest.fixture
def running(start, application):
    started = start("run", application(handlers=HANDLERS % "old"), "--publish", "app:tasks=-")
    started.say("1")
    started.wait_for("old 1")
    return started


def test_what_has_changed_is_exchanged_while_it_runs(running, application):
    application(handlers=HANDLERS % "new")

    running.signal(signal.SIGHUP)
    told = running.wait_for("ApplicationChanged", "stderr")
    running.say("2")
    running.wait_for("new 2")

    assert '"version": 1' in told
    assert '"restarted": ["app:worker"]' in told
    running.signal(signal.SIGTERM)
    assert running.end()[0] == 0


def test_what_is_wrong_is_told_and_changes_nothing(running, application, definition):
    application(definition.replace("concurrency", "concurency"), handlers=HANDLERS % "new")

    running.signal(signal.SIGHUP)
    told = running.wait_for("NotReloaded", "stderr")
    running.say("2")
    running.wait_for("old 2")

    assert "concurency: unknown field; did you mean" in told
    assert "app.yaml:" in told
    running.signal(signal.SIGTERM)
    assert running.end()[0] == 0


def test_a_handler_that_cannot_be_loaded_is_told_with_its_place(running, application):
    application(handlers="import nowhere_at_all\n" + HANDLERS)

    running.signal(signal.SIGHUP)

    told = running.wait_for("NotReloaded", "stderr")
    assert "not reloaded: app/handlers.py:1: app:handle: ModuleNotFoundError" in told


def test_without_a_difference_nothing_happens(running):
    running.signal(signal.SIGHUP)

    assert "nothing has changed" in running.wait_for("Reloaded", "stderr")


def test_a_closed_terminal_stops_gracefully(start, application):
    """The kernel sends the same signal then."""
    parent, child = pty.openpty()
    running = start("run", application(), "--log-level", "debug", stdin=child)
    os.close(child)
    running.wait_for("app:worker", "stderr")
    os.close(parent)

    running.signal(signal.SIGHUP)

    assert running.process.wait(60) == 0


def test_what_does_not_start_in_time_is_given_up_and_can_be_mended(tmp_path, caplog):
    """A server that cannot be reached: nobody listens on port 1."""
    definition = "namespace: app\nentries:\n  - {name: driver, kind: queue.driver.%s}\n"
    queue = "  - {name: tasks, kind: queue.queue, driver: driver%s}\n"
    file = tmp_path / "app.yaml"
    file.write_text(definition % "memory" + queue % "")
    with Runtime.load(tmp_path) as runtime:
        reloading, asked = Reloading(runtime, patience=0.5), threading.Event()
        file.write_text(definition % "redis, url: 'redis://127.0.0.1:1/0'" + queue % "")
        reloading.begin(asked)
        while runtime.history.current.number == 0 and not caplog.records:
            threading.Event().wait(0.01)

        assert "what ran before runs again" in caplog.text
        assert runtime.publish("app:tasks", "a")
        file.write_text(definition % "memory" + queue % ", options: {max_length: 9}")
        while runtime.history.current.number == 0:  # the thread of the first one may not be over yet
            reloading.begin(asked)
        assert runtime.info("app:tasks")["ready"] == 1
