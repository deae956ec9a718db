"""The supervisor: starts, restarts, gives up and stops, and answers at once whatever a child does."""

import threading
import time

import pykka
import pytest
from pykka.messages import ProxyGetAttr

from noria.actors.supervision.child import ChildSpec, State
from noria.actors.supervision.errors import (
    ChildDuplicate,
    ChildNeeded,
    ChildStartTimeout,
    ChildUnknown,
    DependencyCycle,
    DependencyUnknown,
    EndedUnexpectedly,
    StartFailed,
    StartTimeout,
    StopTimeout,
    SupervisorGaveUp,
    SupervisorStopping,
    Terminal,
    is_terminal,
)
from noria.actors.supervision.events import (
    ChildFailed,
    ChildGaveUp,
    ChildStarted,
    ChildStopped,
    ChildStopTimeout,
    SupervisorFailed,
)
from noria.actors.supervision.restart import Backoff, Intensity
from noria.actors.supervision.supervised import Supervised
from noria.actors.supervision.supervisor import Supervisor
from noria.actors.supervision.tree import supervise
from noria.registry import NoriaError

PATIENCE = 20


class Worker(pykka.ThreadingActor):
    """Answers; fails, ends or hangs when told to."""

    def __init__(self, gate=None):
        super().__init__()
        self.gate = gate or threading.Event()

    def on_receive(self, message):
        match message:
            case BaseException():
                raise message
            case "end":
                self.stop()
            case "hang":
                self.gate.wait(PATIENCE)
        return message


class Failing(pykka.ThreadingActor):
    """Cannot start."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_start(self):
        raise self.error


class Waiting(pykka.ThreadingActor):
    """Starts when its gate opens."""

    def __init__(self, gate, entered=None):
        super().__init__()
        self.gate, self.entered = gate, entered or threading.Event()

    def on_start(self):
        self.entered.set()
        self.gate.wait(PATIENCE)


class Deaf(Supervised):
    """Does not stop until its gate opens."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def on_stop_requested(self, deadline):
        self.gate.wait(PATIENCE)
        self.finish()


class Gate(threading.Event):
    """Tells when somebody has come to wait at it."""

    def __init__(self):
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout=None):
        self.reached.set()
        return super().wait(timeout)


@pytest.fixture
def gate():
    """Opens at the end of the test at the latest."""
    gate = Gate()

    yield gate

    gate.set()


def states(tree):
    return {node["id"]: node["state"] for node in tree.snapshot()["children"]}


def details(tree, child):
    [node] = [node for node in tree.snapshot()["children"] if node["id"] == child]
    return node["details"]


def names(events):
    return [event.child for event in events]


def test_children_start_after_and_stop_before_what_they_require(grow, recorder):
    specs = [
        ChildSpec("consumer", Worker, requires=["queue"]),
        ChildSpec("queue", Worker, requires=["driver"]),
        ChildSpec("driver", Worker),
    ]
    tree = grow(specs)
    tree.wait_started(PATIENCE)

    assert names(recorder.seen(ChildStarted)) == ["driver", "queue", "consumer"]

    tree.stop(PATIENCE)

    assert names(recorder.seen(ChildStopped)) == ["consumer", "queue", "driver"]
    assert tree.snapshot()["state"] == "stopped"


def test_independent_children_start_at_the_same_time(grow):
    """Each of them only gets ready when all three are starting."""
    barrier = threading.Barrier(3)

    class Together(pykka.ThreadingActor):
        def on_start(self):
            barrier.wait(PATIENCE)

    grow([ChildSpec(name, Together) for name in "abc"]).wait_started(PATIENCE)

    assert not barrier.broken


def test_a_hanging_constructor_keeps_nobody_waiting(grow, gate):
    def build():
        gate.wait(PATIENCE)
        return Worker()

    tree = grow([ChildSpec("slow", build), ChildSpec("quick", Worker)])
    with pytest.raises(StartTimeout) as caught:
        tree.wait_started(0.2)

    assert caught.value.waiting == {"slow": "starting (attempt 1)"}
    assert tree.ref("quick").ask("hello", timeout=PATIENCE) == "hello"
    gate.set()
    tree.wait_started(PATIENCE)


def test_what_a_required_child_needs_is_started_too(grow):
    tree = grow(
        [ChildSpec("driver", Worker, auto_start=False), ChildSpec("queue", Worker, requires=["driver"])]
    )
    tree.wait_started(PATIENCE)

    assert states(tree) == {"driver": "running", "queue": "running"}


def test_a_child_without_auto_start_waits_for_a_request(grow):
    tree = grow([ChildSpec("spare", Worker, auto_start=False)])
    tree.wait_started(PATIENCE)

    assert states(tree) == {"spare": "unknown"}
    assert tree.ref("spare") is None
    tree.start_child("spare", PATIENCE)
    assert states(tree) == {"spare": "running"}


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_failed_child_is_another_actor_afterwards(grow, recorder, fast, error):
    tree = grow([ChildSpec("worker", Worker, backoff=fast)])
    tree.wait_started(PATIENCE)
    first = tree.ref("worker")
    first.tell(error)
    recorder.wait_for(ChildStarted, child="worker", restarts=1)

    assert recorder.seen(ChildFailed)[0].error is error
    assert tree.ref("worker").actor_urn != first.actor_urn
    assert not first.is_alive()


def test_dependents_stop_before_and_start_after_the_restart(grow, recorder, fast):
    tree = grow(
        [
            ChildSpec("driver", Worker, backoff=fast),
            ChildSpec("queue", Worker, requires=["driver"]),
            ChildSpec("consumer", Worker, requires=["queue"]),
            ChildSpec("bystander", Worker),
        ]
    )
    tree.wait_started(PATIENCE)
    recorder.clear()
    tree.ref("driver").tell(ValueError("broker gone"))
    recorder.wait_for(ChildStarted, child="consumer")

    assert [(type(event).__name__, event.child) for event in recorder.events] == [
        ("ChildFailed", "driver"),
        ("ChildStopped", "consumer"),
        ("ChildStopped", "queue"),
        ("ChildStarted", "driver"),
        ("ChildStarted", "queue"),
        ("ChildStarted", "consumer"),
    ]


@pytest.mark.parametrize(
    ("restart", "message", "state"),
    [
        ("permanent", "end", "running"),
        ("permanent", ValueError("x"), "running"),
        ("transient", "end", "exited"),
        ("transient", ValueError("x"), "running"),
        ("temporary", "end", "exited"),
        ("temporary", ValueError("x"), "exited"),
    ],
)
def test_the_restart_type_decides_which_ends_are_followed_by_a_restart(
    grow, recorder, fast, restart, message, state
):
    tree = grow([ChildSpec("worker", Worker, restart=restart, backoff=fast)])
    tree.wait_started(PATIENCE)
    tree.ref("worker").tell(message)
    if state == "running":
        recorder.wait_for(ChildStarted, restarts=1)
    elif message == "end":
        recorder.wait_for(ChildStopped)
    else:
        recorder.wait_for(ChildFailed, retry_in=None)

    assert states(tree) == {"worker": state}
    assert tree.failures == {}


def test_a_permanent_child_that_ends_has_failed(grow, recorder, fast):
    tree = grow([ChildSpec("worker", Worker, backoff=fast)])
    tree.wait_started(PATIENCE)
    tree.ref("worker").stop(timeout=PATIENCE)
    failure = recorder.wait_for(ChildFailed)

    assert isinstance(failure.error, EndedUnexpectedly)


def test_the_delay_grows_and_a_stable_run_resets_it(grow, recorder, clock):
    backoff = Backoff(initial_delay=1, max_delay=3, backoff_factor=2, jitter=0)
    tree = grow([ChildSpec("worker", Worker, backoff=backoff, stable_threshold=5)], clock=clock)
    tree.wait_started(PATIENCE)
    delays = []
    for restarts, ran in enumerate([0, 1, 4.9, 5, 0]):
        clock.advance(ran)
        tree.ref("worker").tell(ValueError("x"))
        failure = recorder.wait_for(ChildFailed, count=restarts + 1)
        delays.append((failure.attempt, failure.retry_in))
        assert details(tree, "worker").startswith("ValueError: x; attempt")
        clock.advance(failure.retry_in)
        recorder.wait_for(ChildStarted, restarts=restarts + 1)

    assert delays == [(1, 1), (2, 2), (3, 3), (1, 1), (2, 2)]


def test_the_jitter_is_drawn_from_the_given_source(grow, recorder, clock):
    tree = grow([ChildSpec("worker", Worker)], clock=clock, random=lambda: 0.25)
    tree.wait_started(PATIENCE)
    tree.ref("worker").tell(ValueError("x"))

    assert recorder.wait_for(ChildFailed).retry_in == pytest.approx(0.95)


def test_a_child_that_uses_up_its_attempts_has_failed_for_good(grow, recorder):
    backoff = Backoff(initial_delay=0.001, jitter=0, max_attempts=3)
    tree = grow(
        [
            ChildSpec("bad", Failing, args=[ValueError("no")], backoff=backoff, required=False),
            ChildSpec("dependent", Worker, requires=["bad"], required=False),
            ChildSpec("good", Worker),
        ]
    )
    tree.wait_started(PATIENCE)
    recorder.wait_for(ChildGaveUp, child="bad")

    assert [event.attempt for event in recorder.seen(ChildFailed)] == [1, 2, 3]
    assert states(tree) == {"bad": "failed", "dependent": "unknown", "good": "running"}
    assert details(tree, "bad") == "ValueError: no; gave up after 3 attempts"
    assert {path: str(error) for path, error in tree.failures.items()} == {"bad": "no"}


def test_a_terminal_error_is_not_tried_again(grow, recorder):
    error = Terminal("the file does not parse")
    tree = grow([ChildSpec("bad", Failing, args=[error], required=False)])
    recorder.wait_for(ChildGaveUp, child="bad")

    assert states(tree) == {"bad": "exited"}
    assert tree.failures == {"bad": error}


def test_only_an_explicit_flag_makes_an_error_terminal():
    class Plain(NoriaError):
        pass

    class Never(NoriaError):
        retryable = False

    class Derived(Never):
        pass

    class Again(Never):
        retryable = True

    explicit = Plain()
    explicit.retryable = False

    assert [is_terminal(error) for error in (ValueError(), NoriaError(), Plain(), Again())] == [False] * 4
    assert [is_terminal(error) for error in (Never(), Derived(), explicit, Terminal())] == [True] * 4


def test_all_that_is_broken_is_told_at_once_and_what_had_started_is_stopped(grow, recorder):
    tree = grow(
        [
            ChildSpec("good", Worker),
            ChildSpec("bad", Failing, args=[Terminal("syntax error")]),
            ChildSpec("worse", Failing, args=[Terminal("import error")]),
            ChildSpec("after", Worker, requires=["bad"]),
        ]
    )
    with pytest.raises(StartFailed) as caught:
        tree.wait_started(PATIENCE)

    assert str(caught.value) == "'supervisor' did not start: bad: syntax error; worse: import error"
    assert not caught.value.retryable
    assert states(tree)["good"] in {"stopped", "unknown"}
    assert names(recorder.seen(ChildStarted)) == names(recorder.seen(ChildStopped))
    assert tree.snapshot()["state"] == "failed"


def test_an_optional_child_that_cannot_start_does_not_keep_the_tree_from_it(grow):
    tree = grow([ChildSpec("bad", Failing, args=[Terminal("no")], required=False), ChildSpec("good", Worker)])
    tree.wait_started(PATIENCE)

    assert states(tree)["good"] == "running"


def test_a_start_that_takes_too_long_is_abandoned_and_tried_again(grow, recorder, gate, fast):
    gates = iter([gate, threading.Event(), threading.Event()])

    def build():
        opened = next(gates)
        if opened is not gate:
            opened.set()
        return Waiting(opened)

    tree = grow([ChildSpec("slow", build, start_timeout=0.05, stop_timeout=0.05, backoff=fast)])
    tree.wait_started(PATIENCE)
    failure = recorder.wait_for(ChildFailed, child="slow")
    recorder.wait_for(ChildStopTimeout, child="slow", thread="slow")

    assert isinstance(failure.error, ChildStartTimeout)
    assert tree.snapshot()["children"][0]["stuck"] == ["slow"]

    with pytest.raises(StopTimeout) as caught:
        tree.stop(0.5)
    assert caught.value.unfinished == ("slow",)
    gate.set()
    tree.stop(PATIENCE)


def test_a_child_that_does_not_stop_is_abandoned_and_the_rest_stops(grow, recorder, gate):
    tree = grow(
        [
            ChildSpec("driver", Worker),
            ChildSpec("deaf", Deaf, args=[gate], stop_timeout=0.05, requires=["driver"]),
        ]
    )
    tree.wait_started(PATIENCE)
    with pytest.raises(StopTimeout) as caught:
        tree.stop(1)

    assert caught.value.unfinished == ("deaf",)
    assert recorder.seen(ChildStopTimeout) == [ChildStopTimeout("supervisor", "deaf", 0.05, "deaf")]
    assert states(tree) == {"driver": "stopped", "deaf": "failed"}
    assert details(tree, "deaf") == "'deaf' did not stop within 0.05 s; its thread 'deaf' still runs"
    gate.set()
    tree.stop(PATIENCE)


def test_the_stop_as_a_whole_is_bounded(grow, gate):
    specs = [ChildSpec("a", Deaf, args=[gate])]
    specs += [ChildSpec(after, Deaf, args=[gate], requires=[before]) for before, after in ["ab", "bc"]]
    tree = grow(specs)
    tree.wait_started(PATIENCE)
    began = time.monotonic()
    with pytest.raises(StopTimeout) as caught:
        tree.stop(0.4)

    assert set(caught.value.unfinished) == {"a", "b", "c"}
    assert time.monotonic() - began < 9  # far below three stop timeouts of ten seconds
    gate.set()
    tree.stop(PATIENCE)


def test_a_second_stop_with_less_time_hurries_the_first(grow, gate):
    tree = grow([ChildSpec("deaf", Deaf, args=[gate])])
    tree.wait_started(PATIENCE)

    def stop_patiently():
        with pytest.raises(StopTimeout):
            tree.stop(PATIENCE)

    first = threading.Thread(target=stop_patiently)
    first.start()
    with pytest.raises(StopTimeout):
        tree.stop(0.05)
    first.join(5)

    assert not first.is_alive()
    gate.set()


def test_a_stuck_handler_keeps_neither_the_stop_nor_the_snapshot_waiting(grow, gate):
    tree = grow([ChildSpec("stuck", Worker, args=[gate], stop_timeout=0.05), ChildSpec("other", Worker)])
    tree.wait_started(PATIENCE)
    tree.ref("stuck").tell("hang")
    assert gate.reached.wait(PATIENCE)
    tree.restart_child("other", PATIENCE)

    assert states(tree) == {"stuck": "running", "other": "running"}
    with pytest.raises(StopTimeout, match="stuck"):
        tree.stop_child("stuck", PATIENCE)
    with pytest.raises(StopTimeout):
        tree.stop(1)


def test_an_error_while_stopping_is_told_and_stops_nobody_else(grow, recorder):
    class Bad(pykka.ThreadingActor):
        def on_stop(self):
            raise ValueError("cannot stop")

    tree = grow([ChildSpec("driver", Worker), ChildSpec("bad", Bad, requires=["driver"])])
    tree.wait_started(PATIENCE)
    tree.stop(PATIENCE)

    assert [(event.child, str(event.error)) for event in recorder.seen(ChildStopped)] == [
        ("bad", "cannot stop"),
        ("driver", "None"),
    ]


def test_too_many_restarts_end_the_supervisor(grow, recorder, fast):
    tree = grow(
        [ChildSpec("bad", Worker, backoff=fast), ChildSpec("good", Worker)],
        intensity=Intensity(restarts=2, seconds=60),
    )
    tree.wait_started(PATIENCE)
    for restarts in range(3):
        recorder.wait_for(ChildStarted, child="bad", restarts=restarts)
        tree.ref("bad").tell(ValueError(restarts))
    assert tree.join(PATIENCE)

    assert isinstance(tree.error, SupervisorGaveUp)
    assert str(tree.error) == "'supervisor' gave up: too many restarts, the last of 'bad': ValueError: 2"
    assert recorder.seen(SupervisorFailed)[0].error is tree.error
    assert states(tree)["good"] == "stopped"


def test_restarts_that_are_long_ago_do_not_count(grow, recorder, fast, clock):
    tree = grow(
        [ChildSpec("bad", Worker, backoff=Backoff(initial_delay=0))],
        intensity=Intensity(restarts=1, seconds=10),
        clock=clock,
    )
    tree.wait_started(PATIENCE)
    for restarts in range(5):
        recorder.wait_for(ChildStarted, child="bad", restarts=restarts)
        clock.advance(10.1)
        tree.ref("bad").tell(ValueError("x"))
    recorder.wait_for(ChildStarted, child="bad", restarts=5)

    assert tree.error is None


def test_the_supervisor_of_a_supervisor_that_gave_up_decides(grow, recorder, fast):
    inner = ChildSpec(
        "inner",
        Supervisor,
        args=[[ChildSpec("bad", Worker, backoff=fast), ChildSpec("sibling", Worker)]],
        kwargs={"intensity": Intensity(restarts=0, seconds=60)},
        backoff=fast,
    )
    tree = grow([inner, ChildSpec("outer", Worker)])
    tree.wait_started(PATIENCE)
    outer, sibling = tree.ref("outer"), tree.ref("inner", "sibling")
    tree.ref("inner", "bad").tell(ValueError("x"))
    recorder.wait_for(ChildStarted, child="inner", restarts=1)

    assert isinstance(recorder.seen(ChildFailed, child="inner")[0].error, SupervisorGaveUp)
    assert tree.ref("outer") is outer
    assert not sibling.is_alive()
    assert tree.ref("inner", "sibling").ask("hello", timeout=PATIENCE) == "hello"


def test_a_failure_escalates_through_every_level_to_the_handle(grow, fast):
    spec = ChildSpec("leaf", Worker, backoff=fast)
    for level in ("third", "second", "first"):
        never = {"intensity": Intensity(restarts=0, seconds=60)}
        spec = ChildSpec(level, Supervisor, args=[[spec]], kwargs=never, backoff=fast)
    tree = grow([spec], intensity=Intensity(restarts=0, seconds=60))
    tree.wait_started(PATIENCE)
    tree.ref("first", "second", "third", "leaf").tell(ValueError("x"))
    assert tree.join(PATIENCE)

    chain = []
    error = tree.error
    while isinstance(error, SupervisorGaveUp):
        chain.append(error.child)
        error = error.last_error
    assert chain == ["first", "second", "third", "leaf"]


def test_a_supervisor_whose_child_cannot_start_fails_its_own_start(grow):
    inner = ChildSpec(
        "inner",
        Supervisor,
        args=[[ChildSpec("bad", Failing, args=[Terminal("no")]), ChildSpec("good", Worker)]],
    )
    tree = grow([inner])
    with pytest.raises(StartFailed) as caught:
        tree.wait_started(PATIENCE)

    assert str(caught.value) == "'supervisor' did not start: inner: 'inner' did not start: bad: no"


def test_a_supervisor_is_ready_when_its_children_are(grow, gate):
    inner = ChildSpec("inner", Supervisor, args=[[ChildSpec("slow", Waiting, args=[gate])]])
    tree = grow([inner, ChildSpec("after", Worker, requires=["inner"])])
    with pytest.raises(StartTimeout) as caught:
        tree.wait_started(0.1)

    assert "inner/slow" in caught.value.waiting
    assert states(tree) == {"inner": "starting", "after": "unknown"}
    gate.set()
    tree.wait_started(PATIENCE)
    assert states(tree) == {"inner": "running", "after": "running"}


def test_what_does_not_stop_below_is_named_by_its_path(grow, gate):
    inner = ChildSpec("inner", Supervisor, args=[[ChildSpec("deaf", Deaf, args=[gate], stop_timeout=0.05)]])
    tree = grow([inner])
    tree.wait_started(PATIENCE)
    with pytest.raises(StopTimeout) as caught:
        tree.stop(2)

    assert caught.value.unfinished == ("inner/deaf",)


def test_requests_reach_children_by_name(grow, recorder):
    tree = grow([ChildSpec("driver", Worker), ChildSpec("queue", Worker, requires=["driver"])])
    tree.wait_started(PATIENCE)
    tree.stop_child("driver", PATIENCE)
    assert states(tree) == {"driver": "stopped", "queue": "stopped"}

    tree.start_child("queue", PATIENCE)
    assert states(tree) == {"driver": "running", "queue": "running"}

    before = tree.ref("queue")
    tree.restart_child("driver", PATIENCE)
    recorder.wait_for(ChildStarted, child="queue", restarts=2)
    assert tree.ref("queue") is not before

    tree.add_child(ChildSpec("extra", Worker, requires=["queue"]), PATIENCE)
    recorder.wait_for(ChildStarted, child="extra")
    tree.remove_child("extra", PATIENCE)
    recorder.wait_for(ChildStopped, child="extra")
    with pytest.raises(ChildUnknown, match="there is no child 'extra'"):
        tree.ref("extra")


def test_a_child_that_gave_up_can_be_started_again(grow, recorder):
    errors = iter([Terminal("no"), None])

    class Once(pykka.ThreadingActor):
        def on_start(self):
            if error := next(errors):
                raise error

    tree = grow(
        [
            ChildSpec("child", Once, required=False),
            ChildSpec("after", Worker, requires=["child"], required=False),
        ]
    )
    recorder.wait_for(ChildGaveUp)
    tree.start_child("child", PATIENCE)

    assert states(tree)["child"] == "running"
    assert tree.failures == {}
    recorder.wait_for(ChildStarted, child="after")


def test_requests_that_make_no_sense_are_refused_in_words(grow):
    tree = grow([ChildSpec("driver", Worker), ChildSpec("queue", Worker, requires=["driver"])])
    tree.wait_started(PATIENCE)
    with pytest.raises(ChildUnknown, match=r"there is no child 'drivr' \(did you mean 'driver'\?\)"):
        tree.stop_child("drivr")
    with pytest.raises(ChildDuplicate, match="two children 'queue'"):
        tree.add_child(ChildSpec("queue", Worker))
    with pytest.raises(DependencyUnknown, match="requires 'nothing'"):
        tree.add_child(ChildSpec("x", Worker, requires=["nothing"]))
    with pytest.raises(ChildNeeded, match="'driver' cannot be removed: queue require it"):
        tree.remove_child("driver")
    tree.stop(PATIENCE)
    with pytest.raises(SupervisorStopping, match="'supervisor' is stopping"):
        tree.start_child("queue")


def test_a_refused_request_that_was_told_harms_nobody(grow):
    from noria.actors.supervision.messages import StopChild

    tree = grow([ChildSpec("driver", Worker)])
    tree.wait_started(PATIENCE)
    driver = tree.ref("driver")
    tree.root.actor_ref.tell(StopChild("nobody"))
    tree.root.actor_ref.ask(ProxyGetAttr(("unfinished",)), timeout=PATIENCE)

    assert tree.ref("driver") is driver


def test_a_wrong_tree_is_refused_before_anything_starts():
    with pytest.raises(DependencyCycle, match="a -> b -> a"):
        supervise([ChildSpec("a", Worker, requires=["b"]), ChildSpec("b", Worker, requires=["a"])])
    with pytest.raises(DependencyUnknown):
        supervise([ChildSpec("a", Worker, requires=["b"])])
    with pytest.raises(ChildDuplicate):
        supervise([ChildSpec("a", Worker), ChildSpec("a", Worker)])


@pytest.mark.parametrize(
    "wrong", [{"id": ""}, {"actor": 3}, {"stop_timeout": -1}, {"start_timeout": 0}, {"restart": "always"}]
)
def test_a_wrong_spec_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        ChildSpec(**{"id": "a", "actor": Worker} | wrong)


def test_two_trees_do_not_see_each_other(grow):
    first, second = grow([ChildSpec("a", Worker)]), grow([ChildSpec("a", Worker)])
    first.wait_started(PATIENCE)
    second.wait_started(PATIENCE)
    first.stop(PATIENCE)

    assert second.ref("a").ask("hello", timeout=PATIENCE) == "hello"


def test_the_with_statement_starts_waits_and_stops():
    with supervise([ChildSpec("a", Worker)]) as tree:
        ref = tree.ref("a")
        assert ref.is_alive()

    assert not ref.is_alive()


def test_the_with_statement_leaves_nothing_behind_when_the_start_fails():
    with pytest.raises(StartFailed), supervise([ChildSpec("a", Failing, args=[Terminal("no")])]):
        pytest.fail("the body must not run")


def test_the_snapshot_is_plain_data_with_figures(grow):
    class Counting(Worker):
        def figures(self):
            return {"handled": 3}

    class Confused(Worker):
        def figures(self):
            raise ValueError("confused")

    tree = grow([ChildSpec("a", Counting, kind="counter"), ChildSpec("b", Confused)], name="root")
    tree.wait_started(PATIENCE)
    root = tree.snapshot()
    a, b = root["children"]

    assert (root["id"], root["kind"], root["state"]) == ("root", "supervisor", "running")
    assert a.pop("since") <= time.time()
    assert a == {
        "id": "a",
        "kind": "counter",
        "state": "running",
        "details": "",
        "restarts": 0,
        "stuck": [],
        "figures": {"handled": 3},
        "children": [],
    }
    assert b["figures"] == {"error": "ValueError: confused"}


def test_a_thousand_children_start_and_stop(grow, recorder):
    tree = grow([ChildSpec(str(number), Worker) for number in range(1000)])
    tree.wait_started(PATIENCE)

    assert set(states(tree).values()) == {"running"}
    tree.stop(PATIENCE)
    assert len(recorder.seen(ChildStopped)) == 1000


class Hooked(Supervisor):
    """Notes when its hooks run."""

    def __init__(self, log, fail=None, children=()):
        super().__init__(children)
        self.log, self.fail = log, fail

    def note(self, hook):
        self.log.append(hook)
        if hook == self.fail:
            raise ValueError(hook)

    def setup(self):
        self.note("setup")
        self.add_child(ChildSpec("inside", Worker, backoff=Backoff(initial_delay=0)))

    def on_children_started(self):
        self.note("started")

    def on_child_ended(self, child_id, actor, error):
        self.note(f"{child_id} ended")
        assert isinstance(actor, Worker)

    def on_stop_requested(self, deadline):
        self.note("stop requested")
        super().on_stop_requested(deadline)

    def on_children_stopped(self, unfinished):
        self.note("stopped")

    def teardown(self, error):
        self.log.append("teardown")


def test_the_hooks_of_a_subclass_run_between_the_steps(grow, recorder):
    log = []
    tree = grow([ChildSpec("hooked", Hooked, args=[log])])
    tree.wait_started(PATIENCE)
    assert log == ["setup", "started"]

    tree.ref("hooked", "inside").tell(ValueError("x"))
    recorder.wait_for(ChildStarted, child="inside", restarts=1)
    tree.stop(PATIENCE)

    assert log[2:] == ["inside ended", "stop requested", "inside ended", "stopped", "teardown"]


@pytest.mark.parametrize("hook", ["setup", "started", "inside ended", "stop requested", "stopped"])
def test_a_hook_that_raises_ends_its_supervisor_after_its_children(grow, recorder, fast, hook):
    log = []
    spec = ChildSpec("hooked", Hooked, args=[log, hook], restart="temporary", required=False)
    tree = grow([spec])
    if hook not in {"setup", "started"}:
        recorder.wait_for(ChildStarted, child="hooked")
    if hook == "inside ended":
        tree.ref("hooked", "inside").tell(ValueError("x"))
    if hook in {"setup", "started", "inside ended"}:
        failure = recorder.wait_for(ChildFailed, child="hooked")
        assert str(failure.error) == hook
    tree.stop(PATIENCE)

    assert log[-1] == "teardown"
    assert len(recorder.seen(ChildStarted, child="inside")) >= len(
        recorder.seen(ChildStopped, child="inside")
    )


def test_a_sibling_state_is_what_the_spec_calls_it():
    assert [state.value for state in State] == [
        "unknown",
        "starting",
        "running",
        "stopping",
        "stopped",
        "failed",
        "exited",
    ]
