"""Changing an application: what is touched is exchanged, all of it or nothing, and nothing is lost (spec, registry 5)."""

import sys
import textwrap
import threading

import pytest
from pykka.messages import ProxyCall

from noria.actors import Runtime
from noria.actors.drivers import DriverConfig, check_driver
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import (
    ChangeFailed,
    ChangeFromHandler,
    ChangeInProgress,
    ChangeWouldLose,
    ConsumerNotFound,
    DriverRefused,
    FunctionBroken,
    NotRunning,
    QueueNotFound,
    StopIncomplete,
)
from noria.actors.events import ApplicationChanged
from noria.actors.supervision.events import ChildStarted
from noria.registry import ConfigurationError, Create, Delete, Kind, Update, VersionNotFound
from noria.security import AccessDenied

APP = """
    namespace: app
    entries:
      - {name: memory, kind: queue.driver.memory}
      - {name: tasks, kind: queue.queue, driver: memory}
      - {name: others, kind: queue.queue, driver: memory}
      - {name: work, kind: function.python, source: "file://handlers.py", method: work}
      - {name: other, kind: function.python, source: "file://handlers.py", method: other}
      - {name: clerk, kind: queue.consumer, queue: tasks, func: work, lifecycle: {auto_start: true}}
      - {name: porter, kind: queue.consumer, queue: others, func: other, lifecycle: {auto_start: true}}
"""
HANDLERS = """
    import probe
    calls = []
    def work(body):
        calls.append(body)
        probe.record(("work", body, len(calls)))
    def other(body):
        calls.append(body)
        probe.record(("other", body, len(calls)))
    def held(body):
        probe.record(("held", body))
        probe.pass_gate()
"""
POISON = ProxyCall(attr_path=("no_such_attribute",), args=(), kwargs={})
RUNS = {"lifecycle": {"auto_start": True}}
PATIENCE = 20.0


@pytest.fixture
def runtime(start, probe):
    return start(APP, HANDLERS)


def consumer(queue, func, **more):
    return {"queue": queue, "func": func, **RUNS, **more}


def states(runtime):
    return {child["id"]: child["state"] for child in runtime.tree()["children"]}


def restarts_of(runtime, *ids):
    """The present life of each, by which one can tell it from another."""
    return [runtime._seat.supervision.ref(id_) for id_ in ids]


# ---- what is exchanged -------------------------------------------------------------------------------


def test_what_is_created_runs_when_apply_returns(runtime, probe):
    version = runtime.apply(
        [
            Create("app:letters", "queue.queue", {"driver": "memory"}),
            Create("app:writer", "queue.consumer", consumer("letters", "work")),
        ]
    )

    assert version is runtime.history.current
    assert (version.number, states(runtime)["app:writer"]) == (1, "running")
    runtime.publish("app:letters", "a")
    assert probe.wait(1) == [("work", "a", 1)]


def test_only_what_is_touched_stops(runtime):
    untouched = ("app:memory", "app:tasks", "app:others", "app:clerk")
    before, porter = restarts_of(runtime, *untouched), restarts_of(runtime, "app:porter")

    runtime.apply([Update("app:porter", consumer("others", "work", concurrency=3))])

    assert restarts_of(runtime, *untouched) == before
    assert restarts_of(runtime, "app:porter") != porter
    assert len(runtime.tree()["children"][-1]["children"]) == 3


def test_an_update_of_a_function_reaches_the_consumers_that_need_it(runtime, probe):
    runtime.apply([Update("app:work", {"source": "file://handlers.py", "method": "other"})])

    runtime.publish("app:tasks", "a")
    assert probe.wait(1) == [("other", "a", 1)]


def test_modules_that_are_still_used_keep_their_state_and_others_are_forgotten(runtime, probe):
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    modules = set(sys.modules)

    runtime.apply(
        [Update("app:work", {"source": "import probe\ndef work(body): probe.record(body)", "method": "work"})]
    )
    runtime.publish("app:others", "b")
    runtime.publish("app:tasks", "c")

    assert set(probe.wait(3)[1:]) == {("other", "b", 2), "c"}
    assert len(set(sys.modules) - modules) == 1
    runtime.apply_version(0)
    assert set(sys.modules) == modules


def test_what_is_deleted_stops_and_is_unknown(runtime):
    runtime.apply([Delete("app:porter"), Delete("app:others")])

    assert list(states(runtime)) == ["app:memory", "app:tasks", "app:clerk"]
    with pytest.raises(QueueNotFound):
        runtime.publish("app:others", "x")
    with pytest.raises(ConsumerNotFound), runtime.acting_as("app:porter"):
        pass


def test_a_policy_that_changes_counts_for_the_consumers_of_its_group(start, probe, events):
    runtime = start(
        APP.replace(
            "func: work, lifecycle: {",
            "func: work, lifecycle: {security: {actor: {id: anna}, groups: [staff]}, ",
        )
        + """
      - {name: may, kind: security.policy, policy: {actions: "*", resources: "*", effect: allow}, groups: [staff]}
    """,
        HANDLERS,
    )
    dead = events(runtime, events_of_denials())
    runtime.publish("app:tasks", "a")
    probe.wait(1)

    runtime.apply(
        [
            Create(
                "app:may_not",
                "security.policy",
                {
                    "policy": {"actions": "funcs.call", "resources": "*", "effect": "deny"},
                    "groups": ["staff"],
                },
            )
        ]
    )
    runtime.publish("app:tasks", "b")

    assert dead.wait(1)[0].policy is not None
    assert [body for _, body, _ in probe.records] == ["a"]


def events_of_denials():
    from noria.security.events import Denied

    return Denied


def test_messages_that_wait_outlive_an_update_of_their_queue_and_their_driver(runtime, probe):
    runtime.apply(
        [Update("app:clerk", {"queue": "tasks", "func": "work"})]
    )  # it does not start by itself any more
    runtime.publish_many("app:tasks", range(5))

    runtime.apply([Update("app:tasks", {"driver": "memory", "options": {"max_length": 7}})])
    runtime.apply([Update("app:memory", {"lifecycle": {"stop_timeout": "3s"}})])
    assert runtime.info("app:tasks")["ready"] == 5
    runtime.apply([Update("app:clerk", consumer("tasks", "work"))])

    assert [body for _, body, _ in probe.wait(5)] == [0, 1, 2, 3, 4]


def test_what_stores_hold_outlives_a_change(start):
    runtime = start("namespace: app\nentries:\n  - {name: cache, kind: store.memory}")
    runtime.stores["app:cache"].put("a", 1)

    runtime.apply([Update("app:cache", {"max_size": 1})])

    assert runtime.stores["app:cache"].get("a").value == 1
    with pytest.raises(Exception, match="max_size"):
        runtime.stores["app:cache"].put("b", 2)


def test_a_handler_that_runs_is_waited_for(runtime, probe):
    runtime.apply([Update("app:work", {"source": "file://handlers.py", "method": "held"})])
    runtime.publish_many("app:tasks", ["a", "b"])
    probe.wait(1)
    changing = threading.Thread(
        target=runtime.apply, args=([Update("app:clerk", consumer("tasks", "other"))],)
    )
    changing.start()

    probe.gate.set()
    changing.join(PATIENCE)

    assert sorted(body for _, body, *_ in probe.wait(2)) == ["a", "b"]  # each of them once
    runtime.wait_idle(PATIENCE)
    assert len(probe.records) == 2


# ---- nothing lost ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        [Delete("app:clerk"), Delete("app:tasks")],
        [
            Create("app:another", "queue.driver.memory"),
            Update("app:tasks", {"driver": "another"}),
        ],
        [Delete("app:memory"), Create("app:memory", "queue.driver.fragile")],
    ],
    ids=["the queue goes", "the queue moves", "the driver is another"],
)
def test_a_change_that_would_lose_messages_is_refused_and_everything_runs_on(
    application, probe, changes, fragile
):
    with Runtime.load(application(APP, HANDLERS), kinds=[fragile]) as runtime:
        runtime.apply([Update("app:clerk", {"queue": "tasks", "func": "work"})])
        runtime.publish_many("app:tasks", range(3))
        before = states(runtime)

        with pytest.raises(ChangeWouldLose, match=r"only in memory \(app:tasks: 3\)") as refused:
            runtime.apply(changes)

        assert refused.value.messages == {"app:tasks": 3}
        assert (runtime.history.current.number, states(runtime)) == (1, before)
        assert runtime.info("app:tasks")["ready"] == 3
        runtime.apply([Update("app:clerk", consumer("tasks", "work"))])
        assert [body for _, body, _ in probe.wait(3)] == [0, 1, 2]


def test_without_messages_the_same_changes_are_made(runtime, probe):
    runtime.apply([Create("app:another", "queue.driver.memory"), Update("app:tasks", {"driver": "another"})])
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    runtime.wait_idle(PATIENCE)

    runtime.apply([Delete("app:clerk"), Delete("app:tasks"), Delete("app:another")])

    assert list(states(runtime)) == ["app:memory", "app:others", "app:porter"]


def test_publishers_never_notice_and_no_message_is_lost(runtime, probe):
    published, over = [], threading.Event()

    def publish(name):
        number = 0
        while not over.is_set():
            runtime.publish("app:tasks", f"{name}-{number}")
            published.append(f"{name}-{number}")
            number += 1

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for number in range(10):
        runtime.apply([Update("app:tasks", {"driver": "memory", "options": {"max_length": 100 + number}})])
        runtime.apply([Update("app:memory", {"lifecycle": {"stop_timeout": 1 + number}})])
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    runtime.wait_idle(PATIENCE)

    assert runtime.history.current.number == 20
    assert {body for _, body, _ in probe.records} >= set(published)


def test_a_queue_that_goes_takes_no_message_with_it(runtime, probe):
    """Publishers race with the deletion: who is told that a message is accepted has it handled."""
    accepted, refused = [], threading.Event()

    def publish(before):
        number = 0
        while not refused.is_set():
            try:
                runtime.publish("app:tasks", number)
            except QueueNotFound:
                refused.set()
            else:
                accepted.append(number)
                number += 1
                probe.wait(before + number)  # so that the queue is empty again and again

    for _ in range(10):
        refused.clear()
        accepted.clear()
        before = len(probe.records)
        publisher = threading.Thread(target=publish, args=(before,))
        publisher.start()
        probe.wait(before + 1)
        while runtime.registry.get("app:tasks") is not None:
            try:
                runtime.apply([Delete("app:clerk"), Delete("app:tasks")])
            except ChangeWouldLose:
                continue
        publisher.join(PATIENCE)
        assert refused.is_set()
        assert {body for _, body, _ in probe.records[before:]} >= set(accepted)
        runtime.apply_version(0)


# ---- all or nothing ----------------------------------------------------------------------------------


class FragileDriver(MemoryDriver):
    """Refuses to open when it is told to."""

    refuses = False

    def open(self, failed):
        if FragileDriver.refuses:
            raise DriverRefused(self.name, "wrong password")
        super().open(failed)


class FragileConfig(DriverConfig):
    driver = FragileDriver


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setattr(FragileDriver, "refuses", False)
    return Kind("queue.driver.fragile", FragileConfig, check_driver)


def test_what_is_invalid_changes_nothing(runtime, events):
    started, before = events(runtime, ChildStarted), runtime.registry

    with pytest.raises(
        ConfigurationError, match="<change>:2:1: app:porter: concurency: unknown field; did you mean"
    ):
        runtime.apply([Delete("app:clerk"), Update("app:porter", consumer("others", "work", concurency=3))])

    assert runtime.registry is before
    assert started.records == []


def test_a_broken_handler_changes_nothing(runtime, events):
    started, before = events(runtime, ChildStarted), set(sys.modules)

    with pytest.raises(FunctionBroken, match="division by zero"):
        runtime.apply([Update("app:work", {"source": "def work(body): pass\n1 / 0", "method": "work"})])

    assert (started.records, set(sys.modules), runtime.history.current.number) == ([], before, 0)


def test_when_something_does_not_start_what_ran_before_runs_again(application, probe, fragile):
    with Runtime.load(application(APP, HANDLERS), kinds=[fragile]) as runtime:
        before = runtime.registry
        FragileDriver.refuses = True

        with pytest.raises(ChangeFailed, match=r"what ran before runs again: .*wrong password") as failed:
            runtime.apply(
                [
                    Create("app:fragile", "queue.driver.fragile"),
                    Update("app:tasks", {"driver": "fragile"}),
                    Delete("app:porter"),
                ]
            )

        assert failed.value.is_undone
        assert runtime.registry is before
        assert set(states(runtime).values()) == {"running"}
        assert "app:fragile" not in states(runtime)
        runtime.publish("app:tasks", "a")
        runtime.publish("app:others", "b")
        assert {body for _, body, _ in probe.wait(2)} == {"a", "b"}


def test_when_a_consumer_does_not_start_it_is_undone_too(start, probe):
    runtime = start(
        APP
        + """
      - {name: may_not, kind: security.policy, policy: {actions: queue.consume, resources: "*", effect: deny}}
    """,
        HANDLERS,
    )
    before = runtime.registry
    denied = {"auto_start": True, "security": {"actor": {"id": "bob"}, "policies": ["may_not"]}}

    with pytest.raises(ChangeFailed, match=r"bob may not queue\.consume"):
        runtime.apply(
            [
                Create("app:letters", "queue.queue", {"driver": "memory"}),
                Update("app:clerk", {"queue": "letters", "func": "work", "lifecycle": denied}),
            ]
        )

    assert (runtime.registry, set(states(runtime).values())) == (before, {"running"})
    runtime.publish("app:tasks", "a")
    probe.wait(1)


def test_a_change_that_cannot_be_undone_without_losses_holds(start, probe):
    """One new consumer publishes to a new queue before another one fails to start."""
    runtime = start(
        APP
        + """
      - {name: may_not, kind: security.policy, policy: {actions: queue.consume, resources: "*", effect: deny}}
    """,
        HANDLERS,
    )
    runtime.publish("app:tasks", "warm")
    probe.wait(1)
    forward = (
        "import probe\nfrom noria.actors import publish\n"
        "def work(body):\n    publish('app:letters', body)\n    probe.record(('sent', body, 0))"
    )
    denied = {
        "auto_start": True,
        "requires": ["clerk"],
        "start_timeout": "5s",
        "security": {"actor": {"id": "bob"}, "policies": ["may_not"]},
        "restart": {"max_attempts": 2, "initial_delay": "10ms"},
    }

    def flood():
        while runtime.registry.get("app:letters") is None:
            runtime.publish("app:tasks", "early")

    publisher = threading.Thread(target=flood)
    publisher.start()
    with pytest.raises(ChangeFailed) as failed:
        runtime.apply(
            [
                Create("app:letters", "queue.queue", {"driver": "memory"}),
                Update("app:work", {"source": forward, "method": "work"}),
                Create("app:late", "function.python", {"source": "def f(b): pass", "method": "f"}),
                Create(
                    "app:reader", "queue.consumer", {"queue": "letters", "func": "late", "lifecycle": denied}
                ),
            ]
        )
    held = runtime.registry.get("app:letters") is not None
    if not held:
        runtime.apply([Create("app:letters", "queue.queue", {"driver": "memory"})])
    publisher.join(PATIENCE)

    assert failed.value.is_undone != held
    sent = sum(record[0] == "sent" for record in probe.records)
    assert runtime.info("app:letters")["ready"] >= sent


def test_a_ctrl_c_while_a_change_waits_undoes_it(runtime, monkeypatch, probe):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime._seat.supervision, "wait_running", interrupted)

    with pytest.raises(KeyboardInterrupt):
        runtime.apply([Update("app:clerk", consumer("tasks", "other"))])

    assert runtime.history.current.number == 0
    runtime.publish("app:tasks", "a")
    assert probe.wait(1)[0][:2] == ("work", "a")


def test_one_change_at_a_time(runtime, probe):
    runtime.apply([Update("app:work", {"source": "file://handlers.py", "method": "held"})])
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    changing = threading.Thread(target=runtime.apply, args=([Delete("app:clerk")],))
    changing.start()
    while not runtime._changing._lock.locked():
        threading.Event().wait(0.01)

    with pytest.raises(ChangeInProgress) as refused:
        runtime.apply([])

    assert refused.value.retryable
    probe.gate.set()
    changing.join(PATIENCE)
    assert runtime.registry.get("app:clerk") is None


def test_a_stop_ends_a_change(runtime, probe):
    runtime.apply([Update("app:work", {"source": "file://handlers.py", "method": "held"})])
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    outcome = []

    def change():
        try:
            runtime.apply([Delete("app:clerk")])
        except NotRunning as error:
            outcome.append(error)

    changing = threading.Thread(target=change)
    changing.start()
    while not runtime._changing._lock.locked():
        threading.Event().wait(0.01)
    with pytest.raises(StopIncomplete):
        runtime.stop(0.5)
    probe.gate.set()
    changing.join(PATIENCE)

    assert not changing.is_alive()
    runtime.start()
    assert set(states(runtime).values()) == {"running"}


# ---- versions ----------------------------------------------------------------------------------------


def test_versions_lead_back_and_forth(runtime, probe):
    runtime.apply([Update("app:clerk", consumer("tasks", "other"))])
    runtime.apply([Delete("app:porter")])

    runtime.apply_version(0)
    runtime.publish("app:tasks", "a")
    probe.wait(1)
    assert (runtime.history.current.number, "app:porter" in states(runtime)) == (0, True)
    runtime.apply_version(2)
    runtime.publish("app:tasks", "b")

    assert [record[:2] for record in probe.wait(2)] == [("work", "a"), ("other", "b")]
    assert "app:porter" not in states(runtime)
    assert runtime.apply([]).number == 3
    with pytest.raises(VersionNotFound, match="version not found: 9; there are 0 to 3"):
        runtime.apply_version(9)


def test_a_change_is_told(runtime, events):
    told = events(runtime, ApplicationChanged)

    runtime.apply(
        [
            Create("app:more", "queue.queue", {"driver": "memory"}),
            Delete("app:porter"),
            Update("app:clerk", consumer("tasks", "other")),
        ]
    )

    [event] = told.wait(1)
    assert (event.version, event.created, event.updated, event.deleted) == (
        1,
        ("app:more",),
        ("app:clerk",),
        ("app:porter",),
    )
    assert event.restarted == ("app:clerk",)


def test_an_application_that_does_not_run_can_be_changed_too(application, probe):
    runtime = Runtime.load(application(APP, HANDLERS))

    runtime.apply([Update("app:clerk", consumer("tasks", "other"))])

    with runtime:
        runtime.publish("app:tasks", "a")
        assert probe.wait(1)[0][:2] == ("other", "a")


def test_a_killed_root_starts_what_there_is_now(runtime, probe):
    runtime.apply([Delete("app:porter"), Create("app:writer", "queue.consumer", consumer("others", "work"))])
    root = runtime._seat.supervision.root

    root.actor_ref.tell(POISON)
    while runtime._seat.supervision.root is root:
        threading.Event().wait(0.01)

    runtime.publish("app:others", "a")
    assert probe.wait(1)[0][:2] == ("work", "a")
    assert "app:porter" not in states(runtime)


# ---- the directory again -----------------------------------------------------------------------------


def test_a_reload_exchanges_what_the_directory_says_otherwise(application, start, probe):
    runtime = start(APP, HANDLERS)
    before, clerk = restarts_of(runtime, "app:tasks", "app:porter"), restarts_of(runtime, "app:clerk")
    moved = "\n# everything stands a line lower\n" + textwrap.dedent(APP)

    application(moved.replace("func: work", "func: other"), HANDLERS)
    version = runtime.reload()

    assert (version.number, restarts_of(runtime, "app:tasks", "app:porter")) == (1, before)
    assert restarts_of(runtime, "app:clerk") != clerk
    runtime.publish("app:tasks", "a")
    assert probe.wait(1)[0][0] == "other"


def test_a_reload_reads_handlers_again(application, start, probe, events):
    runtime = start(APP, HANDLERS)
    application(APP, HANDLERS.replace('"work"', '"new work"'))

    told = events(runtime, ApplicationChanged)

    runtime.reload()
    runtime.publish("app:tasks", "a")

    assert probe.wait(1)[0] == ("new work", "a", 1)
    assert told.wait(1)[0].updated == ("app:other", "app:work")


def test_a_reload_without_a_difference_is_none(runtime):
    before = restarts_of(runtime, *states(runtime))

    assert runtime.reload() is runtime.history.current
    assert (runtime.history.current.number, restarts_of(runtime, *states(runtime))) == (0, before)


def test_a_reload_takes_back_what_the_directory_does_not_have(runtime):
    runtime.apply([Create("app:more", "queue.queue", {"driver": "memory"})])

    assert runtime.reload().number == 2
    assert runtime.registry.get("app:more") is None


def test_a_reload_of_a_broken_directory_changes_nothing(application, runtime):
    application(APP.replace("queue: tasks", "queue: tusks"), HANDLERS)

    with pytest.raises(ConfigurationError, match="tusks"):
        runtime.reload()

    assert (runtime.history.current.number, set(states(runtime).values())) == (0, {"running"})


def test_a_runtime_that_was_not_loaded_has_nothing_to_read_again(runtime):
    with pytest.raises(TypeError, match=r"Runtime\.load"):
        Runtime(runtime.registry).reload()


# ---- who may -----------------------------------------------------------------------------------------

CHANGER = """
    from noria.actors import context
    from noria.registry import Create, Delete, Update
    import probe
    def work(body):
        runtime = context().runtime
        try:
            if body == "own":
                runtime.apply([Update("app:clerk", {"queue": "tasks", "func": "work"})])
            else:
                runtime.apply([Delete("app:porter")], timeout=20)
        except Exception as error:
            probe.record(error)
        else:
            probe.record("done")
    other = work
"""
SECURITY = "security: {actor: {id: anna}, policies: [%s]}, "
POLICIES = """
      - {name: may_call, kind: security.policy, policy: {actions: funcs.call, resources: "*", effect: allow}}
      - {name: may_all, kind: security.policy, policy: {actions: "*", resources: "*", effect: allow}}
"""


@pytest.mark.parametrize("policies", ["", "may_call"])
def test_a_handler_needs_a_policy_that_allows_it_also_where_nobody_is_anybody(start, probe, policies):
    app = APP.replace(
        "func: work, lifecycle: {", f"func: work, lifecycle: {{{SECURITY % policies if policies else ''}"
    )
    runtime = start(app + POLICIES, CHANGER)

    runtime.publish("app:tasks", "go")

    [error] = probe.wait(1)
    assert isinstance(error, AccessDenied)
    assert "may not registry.apply on ''" in str(error)


def test_acting_as_another_consumer_hides_nobodys_own_one(start, probe):
    handler = """
        from noria.actors import context
        from noria.registry import Delete
        import probe
        def work(body):
            runtime = context().runtime
            try:
                with runtime.acting_as("app:porter"):
                    runtime.apply([Delete("app:clerk")])
            except Exception as error:
                probe.record(error)
        other = work
    """
    app = APP.replace("func: other, lifecycle: {", f"func: other, lifecycle: {{{SECURITY % 'may_all'}")
    runtime = start(app + POLICIES, handler)

    runtime.publish("app:tasks", "go")

    [error] = probe.wait(1)
    assert isinstance(error, ChangeFromHandler)
    assert error.consumer == "app:clerk"


def test_a_handler_that_may_changes_everything_but_its_own_consumer(start, probe):
    runtime = start(
        APP.replace("func: work, lifecycle: {", f"func: work, lifecycle: {{{SECURITY % 'may_all'}")
        + POLICIES,
        CHANGER,
    )

    runtime.publish("app:tasks", "go")
    assert probe.wait(1) == ["done"]
    runtime.publish("app:tasks", "own")

    error = probe.wait(2)[1]
    assert isinstance(error, ChangeFromHandler)
    assert error.consumer == "app:clerk"
    assert "app:porter" not in states(runtime)
