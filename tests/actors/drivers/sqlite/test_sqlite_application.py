"""The driver below a whole application."""

from pathlib import Path

import pytest

from noria.actors import Runtime
from noria.actors.events import MessageDeadLettered
from noria.registry import ConfigurationError

DEFINITION = """
    namespace: app
    entries:
      - {name: store, kind: queue.driver.sqlite, path: queues.db,
         lifecycle: {restart: {initial_delay: 50ms, max_delay: 50ms}}}
      - {name: broken, kind: queue.queue, driver: store}
      - name: tasks
        kind: queue.queue
        driver: store
        dead_letter: {queue: broken, max_attempts: 2}
        redelivery: {initial_delay: 10ms}
      - {name: handler, kind: function.python, source: "file://handlers.py"}
      - {name: worker, kind: queue.consumer, queue: tasks, func: handler, concurrency: 2,
         lifecycle: {auto_start: true}}
"""
HANDLERS = """
    import probe
    from noria.actors import message

    def handler(body):
        probe.record((body, message().attempt))
        if body == "bad":
            raise RuntimeError("cannot be done")
"""


def test_a_message_is_published_handled_and_gone(start, probe):
    runtime = start(DEFINITION, HANDLERS)

    runtime.publish("app:tasks", {"number": 1}, headers={"tenant": "a"})

    assert probe.wait() == [({"number": 1}, 1)]
    runtime.wait_idle()
    assert runtime.info("app:tasks")["message_count"] == 0


def test_a_failing_message_becomes_a_dead_letter_with_its_reason(start, probe, events):
    runtime = start(DEFINITION, HANDLERS)
    buried = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "bad")

    [event] = buried.wait()
    assert probe.records == [("bad", 1), ("bad", 2)]
    assert (event.reason, event.attempts) == ("max_attempts", 2)
    assert "cannot be done" in event.error
    assert runtime.info("app:broken")["ready"] == 1
    assert runtime.info("app:tasks")["message_count"] == 0


def test_the_file_lies_beside_the_definition_file(start, probe, tmp_path: Path):
    start(DEFINITION, HANDLERS)

    assert (tmp_path / "app" / "queues.db").exists()


def test_messages_outlive_the_runtime(application, probe):
    root = application(DEFINITION.replace("auto_start: true", "auto_start: false"), HANDLERS)
    with Runtime.load(root) as runtime:
        runtime.publish_many("app:tasks", [1, 2, 3])

    application(DEFINITION, HANDLERS)
    with Runtime.load(root):
        assert sorted(probe.wait(3)) == [(1, 1), (2, 1), (3, 1)]


def test_consumers_go_on_by_themselves_when_the_file_was_lost(start, probe, tmp_path: Path):
    runtime = start(DEFINITION, HANDLERS)
    runtime.publish("app:tasks", "before")
    probe.wait(1)

    (tmp_path / "app" / "queues.db").rename(tmp_path / "app" / "elsewhere.db")
    runtime.publish("app:tasks", "after", timeout=20)

    assert probe.wait(2)[1] == ("after", 1)


def test_wrong_options_are_told_when_the_application_is_loaded(application):
    definition = DEFINITION.replace(
        "path: queues.db", "path: queues.db, synchronous: perhaps, busy_timout: 3"
    )

    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(definition, HANDLERS))

    assert "synchronous" in str(caught.value)
    assert 'did you mean "busy_timeout"' in str(caught.value)
