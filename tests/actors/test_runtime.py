"""A runtime as a whole: order, failures that heal and failures that do not, two of them, looking at them."""

import threading

import pytest

from noria.actors import Runtime
from noria.actors.drivers import DriverConfig, check_driver
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import DriverUnavailable, NotIdle, NotRunning, QueueUnavailable, StopIncomplete
from noria.actors.supervision.errors import StartFailed, StartTimeout
from noria.actors.supervision.events import ChildFailed, ChildGaveUp, ChildStarted, ChildStopped
from noria.registry import ConfigurationError, Kind

APP = """
    namespace: app
    entries:
      - name: memory
        kind: {driver}
        lifecycle: {{restart: {{initial_delay: 1ms, max_delay: 5ms, jitter: 0, max_attempts: {attempts}}}}}
      - {{name: tasks, kind: queue.queue, driver: memory}}
      - {{name: handler, kind: function.python, source: "file://handlers.py"}}
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        lifecycle:
          auto_start: true
          {lifecycle}
"""
HANDLER = "import probe\ndef handler(body):\n    probe.record(body)"


def app(driver: str = "queue.driver.memory", lifecycle: str = "", attempts: int = 0) -> str:
    return APP.format(driver=driver, lifecycle=lifecycle, attempts=attempts)


class FragileDriver(MemoryDriver):
    """Refuses to open as often as it is told to, and loses its backend on request."""

    refusals = 0
    instance: "FragileDriver"

    def open(self, failed):
        if FragileDriver.refusals:
            FragileDriver.refusals -= 1
            raise ConnectionRefusedError("connection refused")
        FragileDriver.instance = self
        self.lose = failed
        super().open(failed)


class FragileConfig(DriverConfig):
    driver = FragileDriver


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setattr(FragileDriver, "refusals", 0)
    return Kind("queue.driver.fragile", FragileConfig, check_driver)


def load(application, fragile, **options) -> Runtime:
    return Runtime.load(application(app("queue.driver.fragile", **options), HANDLER), kinds=[fragile])


# ---- order ---------------------------------------------------------------------------------------------


def test_services_start_in_dependency_order_and_stop_in_reverse(application, probe, events):
    runtime = Runtime.load(application(app(), HANDLER))
    started, stopped = events(runtime, ChildStarted), events(runtime, ChildStopped)

    with runtime:
        pass

    services = ["app:memory", "app:tasks", "app:consumer"]
    assert [event.child for event in started.records if event.supervisor == "runtime"] == services
    assert [event.child for event in stopped.records if event.supervisor == "runtime"] == services[::-1]


def test_what_a_service_needs_starts_although_it_would_not_by_itself(start, probe):
    runtime = start(app(), HANDLER)

    assert {child["id"]: child["state"] for child in runtime.tree()["children"]} == {
        "app:memory": "running",
        "app:tasks": "running",
        "app:consumer": "running",
    }


def test_a_consumer_that_does_not_start_by_itself_keeps_nobody_waiting(start, probe):
    runtime = start(app().replace("auto_start: true", "auto_start: false"), HANDLER)

    runtime.publish("app:tasks", 1)
    runtime.wait_idle(20)

    assert runtime.info("app:tasks")["ready"] == 1
    states = {child["id"]: child["state"] for child in runtime.tree()["children"]}
    assert states["app:consumer"] == "unknown"


# ---- failures ------------------------------------------------------------------------------------------


def test_a_driver_that_cannot_connect_is_tried_again_and_start_waits_for_it(
    application, probe, fragile, events
):
    FragileDriver.refusals = 3
    runtime = load(application, fragile)
    failed = events(runtime, ChildFailed)

    with runtime:
        runtime.publish("app:tasks", 1)
        assert probe.wait(1) == [1]

    assert [(event.child, event.attempt, event.retry_in) for event in failed.records] == [
        ("app:memory", 1, 0.001),
        ("app:memory", 2, 0.002),
        ("app:memory", 3, 0.004),
    ]


def test_a_required_service_out_of_attempts_fails_the_start_and_names_itself(application, probe, fragile):
    FragileDriver.refusals = 100
    runtime = load(application, fragile, attempts=2)

    with pytest.raises(StartFailed, match="app:memory: ConnectionRefusedError: connection refused"):
        runtime.start(20)

    assert runtime.tree() == {}
    assert not runtime.is_running


def test_a_start_that_takes_too_long_is_an_error_and_what_had_started_is_stopped(application, probe, fragile):
    FragileDriver.refusals = 1_000_000
    before = set(threading.enumerate())
    runtime = load(application, fragile)

    with pytest.raises(StartTimeout, match="app:memory"):
        runtime.start(0.05)

    assert set(threading.enumerate()) == before


def test_an_optional_service_may_fail_while_the_rest_runs(application, probe, fragile, events):
    FragileDriver.refusals = 1_000_000
    definition = (
        app(lifecycle="startup: optional")
        + """
      - name: fragile
        kind: queue.driver.fragile
        lifecycle: {auto_start: true, startup: optional, restart: {max_attempts: 1}}
    """
    )
    runtime = Runtime.load(application(definition, HANDLER), kinds=[fragile])
    gave_up = events(runtime, ChildGaveUp)

    with runtime:
        runtime.publish("app:tasks", 1)
        assert probe.wait(1) == [1]
        gave_up.wait(1)
        [failure] = runtime.failures.items()

    assert failure == ("app:fragile", "connection refused")


def test_a_driver_that_loses_its_backend_is_restarted_and_its_dependents_with_it(
    application, probe, fragile, events
):
    runtime = load(application, fragile)
    with runtime:
        started, stopped = events(runtime, ChildStarted), events(runtime, ChildStopped)

        FragileDriver.instance.lose(ConnectionResetError("connection reset"))

        started.wait_until(lambda records: any(event.child == "app:consumer" for event in records))
        runtime.publish("app:tasks", 1)
        assert probe.wait(1) == [1]

    ours = [event for event in stopped.records if event.supervisor == "runtime"]
    assert [event.child for event in ours][:2] == ["app:consumer", "app:tasks"]


def test_a_publisher_waits_while_the_driver_comes_back(application, probe, fragile):
    runtime = load(application, fragile)
    with runtime:
        FragileDriver.refusals = 5
        FragileDriver.instance.lose(ConnectionResetError("connection reset"))

        sent = [runtime.publish("app:tasks", number) for number in range(20)]

        assert len(set(sent)) == 20
        assert sorted(set(probe.wait_until(lambda records: len(set(records)) == 20))) == list(range(20))
        # What one worker was handling when the driver went may come twice; what was buffered does not.
        assert len(probe.records) <= 21


def test_a_publisher_that_cannot_wait_gets_a_retryable_error(application, probe, fragile):
    runtime = load(application, fragile)
    with runtime:
        FragileDriver.refusals = 1_000_000
        stopped = threading.Event()
        runtime.bus.subscribe(lambda event: event.child == "app:tasks" and stopped.set(), ChildStopped)
        FragileDriver.instance.lose(ConnectionResetError("connection reset"))
        assert stopped.wait(20)

        with pytest.raises(QueueUnavailable, match=r"app:tasks did not come up within 0.02 s") as caught:
            runtime.publish("app:tasks", 1, timeout=0.02)

    assert caught.value.retryable


def test_a_consumer_that_ends_unexpectedly_is_started_again(start, probe, events):
    runtime = start(app(lifecycle="restart: {initial_delay: 1ms}"), HANDLER)
    started = events(runtime, ChildStarted)

    runtime._seat.supervision.ref("app:consumer").stop()
    started.wait_until(lambda records: any(event.child == "app:consumer" for event in records))

    runtime.publish("app:tasks", 1)
    assert probe.wait(1) == [1]
    [consumer] = [child for child in runtime.tree()["children"] if child["id"] == "app:consumer"]
    assert consumer["restarts"] == 1


# ---- two runtimes ----------------------------------------------------------------------------------------


def test_two_runtimes_do_not_see_each_other(application, probe):
    path = application(app(), HANDLER)

    with Runtime.load(path) as first:
        with Runtime.load(path) as second:
            second.publish("app:tasks", "second")
            probe.wait(1)
            assert first._seat.topology.queues["app:tasks"].figures()["published"] == 0
        first.publish("app:tasks", "first")

        assert probe.wait(2) == ["second", "first"]
        with pytest.raises(NotRunning):
            second.publish("app:tasks", "x")


def test_a_runtime_starts_again_after_a_stop_and_its_queues_keep_their_messages(start, probe):
    runtime = start(app().replace("auto_start: true", "auto_start: false"), HANDLER)
    runtime.publish("app:tasks", 1)

    runtime.stop()
    runtime.start()

    assert runtime.info("app:tasks")["ready"] == 1


# ---- looking ---------------------------------------------------------------------------------------------


def test_the_tree_shows_every_actor_as_plain_data(start, probe):
    import json

    runtime = start(app(lifecycle=""), HANDLER)
    runtime.publish_many("app:tasks", range(3))
    runtime.wait_idle(20)

    tree = json.loads(json.dumps(runtime.tree()))

    assert (tree["id"], tree["state"]) == ("runtime", "running")
    by_id = {child["id"]: child for child in tree["children"]}
    assert set(by_id["app:consumer"]) == {
        "id",
        "kind",
        "state",
        "details",
        "restarts",
        "since",
        "stuck",
        "figures",
        "children",
    }
    assert by_id["app:tasks"]["kind"] == "queue.queue"
    assert by_id["app:tasks"]["figures"]["published"] == 3
    assert by_id["app:consumer"]["figures"]["acked"] == 3
    assert [worker["id"] for worker in by_id["app:consumer"]["children"]] == ["worker-1"]


def test_not_idle_tells_where_messages_wait(start, probe):
    runtime = start(app(), "import probe\ndef handler(body):\n    probe.record(body)\n    probe.pass_gate()")
    runtime.publish_many("app:tasks", range(3))
    probe.wait(1)

    with pytest.raises(NotIdle, match=r"not idle after [\d.]+ s \(app:tasks: 3\)"):
        runtime.wait_idle(0.05)


def test_waiting_for_idleness_ends_when_somebody_stops_the_runtime(start, probe):
    runtime = start(
        app(lifecycle="stop_timeout: 20ms"),
        "import probe\ndef handler(body):\n    probe.record(body)\n    probe.pass_gate()",
    )
    runtime.publish("app:tasks", 1)
    probe.wait(1)
    result = []

    def wait() -> None:
        try:
            runtime.wait_idle()
        except NotRunning as error:
            result.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    with pytest.raises(StopIncomplete):
        runtime.stop()
    waiter.join(20)

    assert len(result) == 1


# ---- configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("queue: tasks", "queue: memory", "queue"),
        ("queue: tasks", "queue: task", "did you mean"),
        ("func: handler", "func: handler\n        concurrency: 1001", "from 1 to 1000"),
        ("func: handler", "func: handler\n        concurrency: 0", "from 1 to 1000"),
        ("func: handler", "func: handler\n        prefetch: 10001", "from 1 to 10000"),
        ("func: handler", "func: handler\n        concurency: 4", "concurrency"),
        ("func: handler", "func: handler\n        timeout: 0", "timeout"),
        (
            "driver: memory}",
            "driver: memory, codec: json}",
            "unknown codec 'json'; did you mean json/plain?",
        ),
        (
            "driver: memory}",
            "driver: memory, options: {durable: true}}",
            "unknown field",
        ),
        (
            "driver: memory}",
            "driver: memory, options: {max_length: many}}",
            "expected an integer of at least 0",
        ),
        (
            "driver: memory}",
            "driver: memory, driver_options: {memory: {max_length: -1}}}",
            "expected an integer of at least 0",
        ),
        ("driver: memory}", "driver: memory, dead_letter: {queue: tasks}}", "dead-letter queue"),
        ("driver: memory}", "driver: memory, queue_name: '  '}", "white space"),
        (
            "driver: memory}",
            "driver: memory, driver_options: {memroy: {}}}",
            "no driver memroy, did you mean memory?",
        ),
        ("file://handlers.py", "handlers.py", "did you mean file://handlers.py?"),
        (
            "func: handler",
            "func: handler\n        driver_options: {memory: {tag: x}}",
            "unknown field",
        ),
        ("driver: memory}", "driver: memory, redelivery: {jitter: 2}}", "from 0 to 1"),
        ("auto_start: true", "auto_start: true\n          startup: maybe", "required"),
        ("auto_start: true", "auto_start: true\n          security: {groups: [nobody]}", "nobody"),
    ],
)
def test_what_is_wrong_in_a_definition_is_told_with_its_place(application, old, new, says):
    definition = app()
    assert old in definition

    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(definition.replace(old, new), HANDLER))

    assert len(caught.value.problems) == 1
    [problem] = caught.value.problems
    assert problem.line > 0
    assert says in str(problem)


def test_options_of_the_seed_and_driver_options_mean_the_same_and_the_latter_win(start, probe):
    options = "options: {max_length: 5}, driver_options: {memory: {max_length: 2}, amqp: {durable: true}}"
    definition = app().replace("driver: memory}", f"driver: memory, {options}}}")
    runtime = start(definition.replace("auto_start: true", "auto_start: false"), HANDLER)

    with pytest.raises(Exception, match="2 accepted"):
        runtime.publish_many("app:tasks", range(3), timeout=0)


def test_errors_of_the_driver_carry_how_many_were_accepted():
    assert DriverUnavailable("app:memory", accepted=3).accepted == 3


class MuteDriver(MemoryDriver):
    """A backend that cannot be asked."""

    def info(self, queue):
        raise DriverUnavailable(self.name, "no answer")


class MuteConfig(DriverConfig):
    driver = MuteDriver


def test_a_queue_whose_driver_is_down_is_not_idle_and_says_so(application, probe):
    mute = Kind("queue.driver.mute", MuteConfig, check_driver)

    with Runtime.load(application(app("queue.driver.mute"), HANDLER), kinds=[mute]) as runtime:
        with pytest.raises(NotIdle, match="app:tasks: its driver is down") as caught:
            runtime.wait_idle(timeout=0)

        assert caught.value.waiting == {"app:tasks": None}
