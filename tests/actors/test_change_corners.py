"""Changes where they meet something else: a queue that does not start, a handler that runs, a publisher half way, a
store, a stop."""

import sys
import threading
from collections import deque

import pytest

from noria.actors import Runtime
from noria.actors.codecs import CODECS, DEFAULT_CODEC
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import (
    ChangeFailed,
    ChangeWouldLose,
    QueueFull,
    QueueUnavailable,
)
from noria.actors.functions.python import PythonFunctions
from noria.actors.queue import Queue, QueueRetired, QueueSettings
from noria.actors.stores.errors import StoreFull
from noria.actors.supervision import Backoff
from noria.actors.supervision.events import ChildStopped
from noria.registry import Bus, Create, Delete, EntryID, Update

APP = """
    namespace: app
    entries:
      - {name: memory, kind: queue.driver.memory}
      - {name: tasks, kind: queue.queue, driver: memory}
      - {name: letters, kind: queue.queue, driver: memory}
      - {name: work, kind: function.python, source: "file://handlers.py", method: work}
      - {name: held, kind: function.python, source: "file://handlers.py", method: held}
      - {name: may_not, kind: security.policy, policy: {actions: queue.consume, resources: "*", effect: deny}}
"""
HANDLERS = """
    import probe
    from noria.actors import publish
    def work(body):
        probe.record(body)
    def held(body):
        probe.record(body)
        probe.pass_gate()
        publish("app:letters", body)
        probe.record("published")
"""
CLERK = {"queue": "tasks", "func": "held", "lifecycle": {"auto_start": True}}
PATIENCE = 20.0


# ---- losses ------------------------------------------------------------------------------------------


@pytest.fixture(params=["it does not start any more", "nothing runs"])
def runtime_with_a_message(request, start, probe):
    """With one message in memory, in a queue that was changed and has not been opened since."""
    runtime = start(APP, HANDLERS)
    runtime.publish("app:tasks", "a")
    if request.param == "nothing runs":
        runtime.stop()
    runtime.apply([Update("app:tasks", {"driver": "memory", "lifecycle": {"auto_start": False}})])
    return runtime


def test_messages_of_a_queue_that_was_not_opened_since_a_change_are_not_lost(runtime_with_a_message):
    with pytest.raises(ChangeWouldLose) as refused:
        runtime_with_a_message.apply([Delete("app:tasks")])

    assert refused.value.messages == {"app:tasks": 1}


def test_a_change_that_was_refused_while_nothing_ran_leaves_its_queues_as_they_were(start, probe):
    runtime = start(APP, HANDLERS)
    runtime.publish("app:tasks", "a")
    runtime.stop()
    with pytest.raises(ChangeWouldLose):
        runtime.apply([Delete("app:tasks")])

    runtime.start(PATIENCE)
    runtime.publish("app:tasks", "b")

    assert runtime.info("app:tasks")["ready"] == 2


class HesitantDriver(MemoryDriver):
    """Its publishers wait before they store anything, until they are told to go on."""

    def __init__(self):
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def publish(self, queue, messages, timeout):
        self.reached.set()
        assert self.go_on.wait(PATIENCE)
        super().publish(queue, messages, timeout)


@pytest.mark.parametrize("was_replaced", [False, True])
@pytest.mark.parametrize(("room", "error_type"), [(2, QueueFull), (3, QueueRetired)])
def test_what_came_too_late_to_be_counted_is_not_said_to_be_accepted(was_replaced, room, error_type):
    """A publisher on its way into a queue that is counted, found empty, and dropped; or into one before that one."""
    driver = HesitantDriver()
    driver.open(lambda error: None)
    bodies = ["a", "b", "c"]
    settings = QueueSettings(
        name="tasks",
        codec=CODECS[DEFAULT_CODEC],
        options=MemoryDriver.queue_options(max_length=room),
        redelivery=Backoff(),
    )
    queue = Queue(EntryID("app", "tasks"), driver, settings, Bus())
    queue.open()
    refused = []

    def publish():
        try:
            queue.publish(bodies, timeout=0)
        except error_type as error:
            refused.append(error)

    publisher = threading.Thread(target=publish)
    publisher.start()
    driver.reached.wait(PATIENCE)
    queue.close()
    last = queue
    if was_replaced:
        last = Queue(queue.id, driver, settings, Bus())
        last.succeed(queue)
        queue.retire()
    last.condemn()
    assert queue.info().message_count == 0
    driver.go_on.set()
    publisher.join(PATIENCE)

    assert [error.accepted for error in refused] == [0]


def test_a_batch_that_a_change_cuts_in_two_is_counted_as_one(start, probe):
    runtime = start(
        APP.replace("tasks, kind: queue.queue, ", "tasks, kind: queue.queue, options: {max_length: 2}, "),
        HANDLERS,
    )
    refused = []

    def publish():
        try:
            runtime.publish_many("app:tasks", deque(range(5)), timeout=2)
        except (QueueFull, QueueUnavailable) as error:
            refused.append(error)

    publisher = threading.Thread(target=publish)
    publisher.start()
    while runtime.info("app:tasks")["ready"] < 2:
        threading.Event().wait(0.01)
    runtime.apply([Update("app:memory", {"lifecycle": {"stop_timeout": "9s"}})])
    publisher.join(PATIENCE)

    assert [error.accepted for error in refused] == [runtime.info("app:tasks")["ready"]] == [2]


# ---- handlers that run -------------------------------------------------------------------------------


def test_a_queue_stays_open_for_handlers_that_still_run(start, probe, events):
    """Also one that is touched by the change, and that no consumer takes from."""
    runtime = start(APP, HANDLERS)
    runtime.apply([Create("app:clerk", "queue.consumer", CLERK)])
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    stopped = events(runtime, ChildStopped)
    changes = [
        Update("app:letters", {"driver": "memory", "options": {"max_length": 9}}),
        Update("app:clerk", {**CLERK, "concurrency": 2}),
    ]
    changing = threading.Thread(target=runtime.apply, args=(changes,))
    changing.start()
    while states(runtime)["app:clerk"] != "stopping":
        threading.Event().wait(0.01)
    probe.gate.set()
    changing.join(PATIENCE)

    assert probe.wait(2) == ["a", "published"]
    assert [event.child for event in stopped.records][-2:] == ["app:clerk", "app:letters"]
    assert runtime.info("app:letters")["ready"] == 1


def states(runtime):
    return {child["id"]: child["state"] for child in runtime.tree()["children"]}


def test_a_call_in_a_worker_process_goes_on_to_its_end(start, tmp_path):
    pooled = {"method": "slow", "pool": {"type": "process", "size": 1}}
    began, gate = tmp_path / "began", tmp_path / "gate"
    source = (
        "import pathlib, time\n"
        "def slow(began, gate):\n"
        "    pathlib.Path(began).touch()\n"
        f"    end = time.monotonic() + {PATIENCE}\n"
        "    while not pathlib.Path(gate).exists() and time.monotonic() < end:\n"
        "        time.sleep(0.01)\n"
        "    return 'to its end'\n"
    )
    runtime = start("namespace: app\nentries: []")
    runtime.apply([Create("app:slow", "function.python", {"source": source, **pooled})])
    late = runtime.authorised("app:slow")
    results = []
    caller = threading.Thread(target=lambda: results.append(runtime.call("app:slow", str(began), str(gate))))
    caller.start()
    while not began.exists():
        threading.Event().wait(0.01)

    runtime.apply([Update("app:slow", {"source": "def slow(*_): return 'new'", **pooled})])
    gate.touch()
    caller.join(PATIENCE)

    assert results == ["to its end"]
    assert late(str(began), str(gate)) == "to its end"
    assert runtime.call("app:slow") == "new"


# ---- stores ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(), ("a",)], ids=["empty", "not empty"])
def test_a_store_stays_the_same_one_and_a_change_that_is_undone_leaves_its_bounds(start, probe, values):
    runtime = start(APP + "      - {name: cache, kind: store.memory, max_size: 2}", HANDLERS)
    store = runtime.stores["app:cache"]
    for value in values:
        store.put(value, value)
    runtime.apply([Update("app:cache", {"max_size": 2, "cleanup_interval": "8s"})])
    denied = {"auto_start": True, "security": {"actor": {"id": "bob"}, "policies": ["may_not"]}}

    with pytest.raises(ChangeFailed):
        runtime.apply(
            [
                Update("app:cache", {"max_size": 1}),
                Create("app:clerk", "queue.consumer", {**CLERK, "lifecycle": denied}),
            ]
        )
    store.put("b", 1)
    store.put("a", 1)

    assert runtime.stores["app:cache"] is store
    with pytest.raises(StoreFull):
        store.put("c", 1)


# ---- a stop ------------------------------------------------------------------------------------------


def test_a_function_that_is_closed_twice_leaves_its_module_to_others(application, probe):
    """By a change that is given up, and by the stop that ended it."""
    registry = Runtime.load(application(APP, HANDLERS)).registry
    functions, before = PythonFunctions(), set(sys.modules)
    work, held = functions.load(registry["app:work"]), functions.load(registry["app:held"])

    work.close()
    work.close()
    assert len(set(sys.modules) - before) == 1
    held.close()
    assert set(sys.modules) == before
    functions.load(registry["app:work"]).close()
    assert set(sys.modules) == before
