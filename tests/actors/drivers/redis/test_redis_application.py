"""Whole applications on Redis: their entries, their servers and their processes come and go."""

import json
import textwrap
from collections import Counter

import pytest

from noria.actors import Runtime
from noria.actors.events import MessageDeadLettered
from noria.registry import ConfigurationError

DEFINITION = """
    namespace: app
    entries:
      - name: redis
        kind: queue.driver.redis
        url: {url}
        prefix: {prefix}
        lease: 2s
        socket_timeout: 2s
        lifecycle: {{restart: {{initial_delay: 50ms, max_delay: 200ms}}}}
      - {{name: dead, kind: queue.queue, driver: redis}}
      - name: tasks
        kind: queue.queue
        driver: redis
        redelivery: {{initial_delay: 10ms}}
        dead_letter: {{queue: dead, max_attempts: 2}}
      - {{name: handle, kind: function.python, source: "file://handlers.py"}}
      - {{name: consumer, kind: queue.consumer, queue: tasks, func: handle, concurrency: 2,
          lifecycle: {{auto_start: {consuming}}}}}
"""
HANDLERS = """
    import probe

    def handler(body):
        probe.record(body["n"])
        if body.get("bad"):
            raise ValueError("bad")
"""


def definition(server, prefix, *, consuming=True):
    return DEFINITION.format(url=server.url, prefix=prefix, consuming=str(consuming).lower())


def test_messages_are_handled_and_bad_ones_become_dead_letters(start, probe, redis_server, request, events):
    runtime = start(definition(redis_server, request.node.name), HANDLERS)
    moved = events(runtime, MessageDeadLettered)

    runtime.publish_many("app:tasks", [{"n": 1}, {"n": 2, "bad": True}, {"n": 3}])
    runtime.wait_idle()

    assert Counter(probe.records) == {1: 1, 2: 2, 3: 1}
    [event] = moved.wait()
    assert (event.reason, event.attempts) == ("max_attempts", 2)
    assert runtime.info("app:tasks")["message_count"] == 0
    assert runtime.info("app:dead")["ready"] == 1


def test_an_application_finds_what_an_earlier_one_left(start, probe, redis_server, request, application):
    with Runtime.load(
        application(definition(redis_server, request.node.name, consuming=False), HANDLERS)
    ) as first:
        first.publish_many("app:tasks", [{"n": n} for n in range(20)])

    start(definition(redis_server, request.node.name), HANDLERS)

    assert sorted(probe.wait(20)) == list(range(20))


def test_a_killed_server_loses_nothing_and_nobody_has_to_restart_the_application(
    start, probe, new_redis_server
):
    server = new_redis_server(durable=True)
    runtime = start(definition(server, "app"), HANDLERS)
    runtime.publish("app:tasks", {"n": 0})
    probe.wait(1)

    for round_number in range(1, 4):
        server.kill()
        server.start()
        runtime.publish("app:tasks", {"n": round_number})
        probe.wait_until(lambda records, n=round_number: n in records)

    runtime.wait_idle()
    assert set(probe.records) == {0, 1, 2, 3}


def test_connections_that_are_cut_under_load_lose_nothing(start, probe, redis_server, proxy_to, request):
    line = proxy_to(redis_server.port)
    text = definition(redis_server, request.node.name).replace(str(redis_server.port), str(line.port))
    runtime = start(text, HANDLERS)

    sent = 0
    for _ in range(5):
        runtime.publish_many("app:tasks", [{"n": sent + n} for n in range(200)])
        sent += 200
        line.cut()

    probe.wait_until(lambda records: len(set(records)) == sent)
    runtime.wait_idle()


PROCESS = """
    import json, os, sys, threading
    from types import ModuleType
    from noria.actors import Runtime

    probe = sys.modules["probe"] = ModuleType("probe")
    # In one piece: the lines of two workers that print would mix.
    probe.record = lambda value: os.write(1, f"{json.dumps(value)}\\n".encode())
    runtime = Runtime.load(sys.argv[1])
    runtime.start(60)
    probe.record("ready")
    threading.Event().wait()
"""
HOLDING = """
    import probe, threading

    def handler(body):
        probe.record(body["n"])
        threading.Event().wait(0.005)
"""


def test_what_a_killed_process_held_is_handled_by_another(
    start_process, application, probe, redis_server, request
):
    app = application(definition(redis_server, request.node.name), HOLDING)
    first, second = start_process(PROCESS, app), start_process(PROCESS, app)
    for process in (first, second):
        process.wait_for_line("ready")
    (app / "app.yaml").write_text(
        textwrap.dedent(definition(redis_server, request.node.name, consuming=False))
    )
    with Runtime.load(app) as runtime:
        runtime.publish_many("app:tasks", [{"n": n} for n in range(600)])
        first.wait_for(lambda lines: len(lines) > 100)
        first.kill()
        numbers = set(numbers_of(first))
        second.wait_for(lambda lines: len(numbers | set(lines) - {"ready"}) == 600)

    handled = Counter([*numbers_of(first), *numbers_of(second)])
    assert len(numbers_of(second)) > 100
    twice = [number for number, count in handled.items() if count > 1]
    assert len(twice) <= 12  # what the killed one held: two at work, ten fetched
    assert set(handled) == set(range(600))


def numbers_of(process):
    return [line for line in process.lines if line != "ready"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("url: 'http://secret@x'", "a URL that begins with redis://"),
        ("url: 'redis://:secret@x:port'", "expected a URL"),
        ("url: 'redis://localhost/orders'", "the number of a database"),
        ("url: 'redis://localhost/1/2'", "the number of a database"),
        ("url: 'redis://:12/secret@localhost:6379/0'", "the number of a database"),
        ("url: 'redis://:12#secret@localhost:6379/0'", "is written as %23"),
        ("url: 'redis://localhost/0?max_connections=5'", "has a field of its own"),
        ("url: 'unix:///redis.sock?decode_responses=true'", "has a field of its own"),
        ("prefix: ''", "a text that is not empty"),
        ("lease: 1ms", "of at least 0.1 seconds|from 0.1"),
        ("replicas: -1", "from 0"),
        ("tls: {cert_env: A}", "cert and key come together"),
        ("sockettimeout: 5s", "socket_timeout"),
    ],
)
def test_an_entry_that_cannot_work_is_refused(application, line, problem):
    text = f"""
        namespace: app
        entries:
          - {{name: redis, kind: queue.driver.redis, {line}}}
    """
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Runtime.load(application(text))

    assert "secret" not in json.dumps(str(caught.value)).replace(line, "")
