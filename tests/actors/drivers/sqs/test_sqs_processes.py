"""Processes that share a queue on SQS, and die, sleep or stop."""

import os
from collections import Counter

import pytest

from noria.actors import Runtime
from noria.actors.testing.harness import eventually

DEFINITION = """
    version: "1.0"
    namespace: app
    entries:
      - {{name: aws, kind: config.aws, region: eu-west-1, access_key_id: any, secret_access_key: any}}
      - {{name: sqs, kind: queue.driver.sqs, config: aws, endpoint: "{endpoint}"}}
      - {{name: tasks, kind: queue.queue, driver: sqs, queue_name: {queue}}}
      - {{name: work, kind: function.python, source: "file://handlers.py", method: work}}
      - name: worker
        kind: queue.consumer
        queue: tasks
        func: work
        prefetch: 10
        concurrency: 2
        driver_options: {{sqs: {{visibility_timeout: 2s, wait_time: 1s}}}}
"""
HANDLERS = """
import json, os, threading

NAPS = threading.Event()

def work(body):
    NAPS.wait(0.02)
    os.write(1, json.dumps(body).encode() + b"\\n")
"""
WORKER = """
import signal, sys
from noria.actors import Runtime
from noria.actors.testing.harness import eventually

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
runtime = Runtime.load(sys.argv[1])
runtime.start()
signal.sigwait({signal.SIGTERM})
runtime.stop()
"""
COUNT = 200
PREFETCH = 10


@pytest.fixture
def folder(application, moto_server):
    definition = DEFINITION.format(endpoint=moto_server.endpoint, queue=f"processes-{os.urandom(4).hex()}")
    running = definition.replace("prefetch: 10", "lifecycle: {auto_start: true}\n        prefetch: 10")
    return application(running, HANDLERS)


@pytest.fixture
def published(folder):
    definition = (folder / "app.yaml").read_text()
    (folder / "app.yaml").write_text(definition.replace("auto_start: true", "auto_start: false"))
    with Runtime.load(folder) as runtime:
        runtime.publish_many("app:tasks", list(range(COUNT)))
    (folder / "app.yaml").write_text(definition)
    return list(range(COUNT))


def handled(*processes) -> Counter:
    return Counter(number for process in processes for number in process.lines)


def test_what_a_killed_process_held_is_handled_by_another(folder, published, start_process):
    first = start_process(WORKER, folder)
    first.wait_for(lambda lines: len(lines) >= 30)
    first.kill()
    second = start_process(WORKER, folder)

    assert eventually(lambda: set(handled(first, second)) >= set(published))

    doubled = sum(count - 1 for count in handled(first, second).values())
    assert doubled <= PREFETCH


def test_a_process_that_is_stopped_cleanly_doubles_nothing(folder, published, start_process):
    first = start_process(WORKER, folder)
    first.wait_for(lambda lines: len(lines) >= 30)
    first.terminate()
    assert first.wait() == 0
    second = start_process(WORKER, folder)

    assert eventually(lambda: set(handled(first, second)) >= set(published))

    assert set(handled(first, second).values()) == {1}


def test_two_processes_share_and_double_nothing(folder, published, start_process):
    first, second = start_process(WORKER, folder), start_process(WORKER, folder)

    assert eventually(lambda: set(handled(first, second)) >= set(published))

    assert set(handled(first, second).values()) == {1}
    assert first.lines
    assert second.lines


def test_a_process_that_slept_beyond_its_lease_settles_nothing_of_it(folder, published, start_process):
    first = start_process(WORKER, folder)
    first.wait_for(lambda lines: len(lines) >= 30)
    first.pause()
    second = start_process(WORKER, folder)
    assert eventually(lambda: set(handled(first, second)) >= set(published))
    first.resume()
    first.terminate()
    second.terminate()

    assert first.wait() == second.wait() == 0
    doubled = sum(count - 1 for count in handled(first, second).values())
    assert doubled <= PREFETCH
