"""Roots that were killed: what they had promised holds on, and nobody whom they left behind is forgotten."""

import threading

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import ProxyCall

from noria.actors.supervision.child import ChildSpec, State
from noria.actors.supervision.errors import StopTimeout, SupervisorStopping, Terminal
from noria.actors.supervision.events import ChildGaveUp
from noria.actors.supervision.messages import AddChild
from noria.actors.supervision.supervised import Supervised
from noria.actors.supervision.supervisor import CRASHES_BORNE, Supervisor
from noria.actors.supervision.tree import Supervision

PATIENCE = 20
POISON = ProxyCall(attr_path=("no_such_attribute",), args=(), kwargs={})


class Plain(pykka.ThreadingActor):
    """Stops at once."""


class Slow(Supervised):
    """Stops when its gate opens."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def on_stop_requested(self, deadline):
        self.gate.wait(PATIENCE)
        self.finish()


@pytest.fixture
def gate():
    """Opens at the end of the test at the latest."""
    gate = threading.Event()

    yield gate

    gate.set()


def first_of(first, then):
    """Builds one life of the first kind, and then others."""
    kinds = iter([first])
    return lambda: next(kinds, then)()  # noqa: PLW0108 - another kind each time


def crash(supervisor):
    """So often that it gives up stopping its children in order, and lets go of them."""
    for _ in range(CRASHES_BORNE + 1):
        supervisor.actor_ref.tell(POISON)


def replace_root(tree):
    former = tree.root
    crash(former)

    assert tree._bells.wait(
        lambda: tree.root is not former and tree.snapshot()["state"] == "running", PATIENCE
    )


def let_go_when_stopped(tree, gate):
    """Open the gate when all that the present root has is down."""
    opener = threading.Thread(target=lambda: tree.join(PATIENCE) and gate.set())
    opener.start()
    return opener


def test_a_stop_waits_for_what_a_killed_root_has_let_go_of(grow, gate):
    tree = grow([ChildSpec("slow", first_of(lambda: Slow(gate), Plain))])
    tree.wait_started(PATIENCE)
    orphan = tree.root.siblings["slow"].lifeline
    replace_root(tree)
    tree.wait_running(["slow"], PATIENCE)
    opener = let_go_when_stopped(tree, gate)

    assert orphan.is_running()
    tree.stop(PATIENCE)

    assert not orphan.is_running()
    opener.join(PATIENCE)


def test_a_stop_waits_for_what_a_killed_supervisor_below_has_let_go_of(grow, recorder, fast, gate):
    leaf = ChildSpec("slow", first_of(lambda: Slow(gate), Plain))
    tree = grow([ChildSpec("inner", Supervisor, args=[[leaf]], backoff=fast)])
    tree.wait_started(PATIENCE)
    inner = tree.root.siblings["inner"].lifeline
    orphan = inner.actor.siblings["slow"].lifeline
    crash(inner.actor)
    tree._bells.wait(lambda: tree.root.siblings["inner"].record.restarts == 1, PATIENCE, ["inner"])
    tree.wait_running(["inner"], PATIENCE)
    opener = let_go_when_stopped(tree, gate)

    assert orphan.is_running()
    tree.stop(PATIENCE)

    assert not orphan.is_running()
    opener.join(PATIENCE)


def test_what_a_killed_root_has_let_go_of_and_never_ends_is_named(grow, gate):
    tree = grow([ChildSpec("slow", first_of(lambda: Slow(gate), Plain))])
    tree.wait_started(PATIENCE)
    replace_root(tree)
    with pytest.raises(StopTimeout) as caught:
        tree.stop(0.3)

    assert caught.value.unfinished == ("slow",)


def test_a_request_that_a_dying_root_refuses_is_carried_out_by_its_successor(grow, gate):
    tree = grow([ChildSpec("slow", first_of(lambda: Slow(gate), Plain))])
    tree.wait_started(PATIENCE)
    former = tree.root
    former.actor_ref.tell(POISON)
    slow = former.siblings["slow"]
    assert tree._bells.wait(lambda: slow.state is State.STOPPING, PATIENCE, ["slow"])
    with pytest.raises(SupervisorStopping):
        former.actor_ref.ask(AddChild(ChildSpec("refused", Plain)), timeout=PATIENCE)
    adding = threading.Thread(target=tree.add_child, args=[ChildSpec("more", Plain), PATIENCE])
    adding.start()
    gate.set()
    adding.join(PATIENCE)
    tree.wait_running(["slow", "more"], PATIENCE)

    assert tree.root is not former
    assert [*tree.specs] == ["slow", "more"]


def test_a_request_that_was_carried_out_is_not_repeated_although_its_answer_was_lost():
    class Mute(Supervisor):
        """Dies with the answer."""

        def add_child(self, spec):
            super().add_child(spec)
            raise SystemExit

        def remove_child(self, child_id):
            super().remove_child(child_id)
            raise SystemExit

    with Supervision(Mute, [ChildSpec("a", Plain)]) as tree:
        tree.add_child(ChildSpec("b", Plain), PATIENCE)
        tree.wait_running(["a", "b"], PATIENCE)
        tree.remove_child("a", PATIENCE)

        assert [*tree.specs] == ["b"]


def test_what_was_stopped_rests_and_what_was_started_runs_under_a_successor_too(grow):
    tree = grow([ChildSpec("a", Plain), ChildSpec("b", Plain, auto_start=False), ChildSpec("c", Plain)])
    tree.wait_started(PATIENCE)
    tree.stop_child("a", PATIENCE)
    tree.start_child("b", PATIENCE)
    replace_root(tree)
    tree.wait_running(["b", "c"], PATIENCE)

    assert tree.root.siblings["a"].state is State.UNKNOWN
    tree.start_child("a", PATIENCE)


def test_a_wait_for_a_child_sees_the_one_of_a_successor(grow, gate):
    entered = threading.Event()

    class Hanging(pykka.ThreadingActor):
        def on_start(self):
            entered.set()
            gate.wait(PATIENCE)

    tree = grow([ChildSpec("child", first_of(Hanging, Plain), auto_start=False)])
    tree.wait_started(PATIENCE)
    starting = threading.Thread(target=tree.start_child, args=["child", PATIENCE])
    starting.start()
    assert entered.wait(PATIENCE)
    replace_root(tree)
    starting.join(PATIENCE)

    assert not starting.is_alive()
    assert tree.root.siblings["child"].state is State.RUNNING


def test_a_child_that_cannot_come_back_does_not_end_a_tree_that_was_up(grow, recorder):
    def broken():
        raise Terminal("the file is gone")

    tree = grow([ChildSpec("good", Plain), ChildSpec("bad", first_of(Plain, broken))])
    tree.wait_started(PATIENCE)
    replace_root(tree)
    recorder.wait_for(ChildGaveUp, child="bad")
    tree.wait_running(["good"], PATIENCE)

    assert tree.snapshot()["state"] == "running"


def test_a_message_whose_sender_died_before_it_rang_is_found(grow):
    found = threading.Event()

    class Listening(pykka.ThreadingActor):
        def on_receive(self, message):
            found.set()

    tree = grow([ChildSpec("child", Listening)])
    tree.wait_started(PATIENCE)
    tree.ref("child").actor_inbox._data.append(Envelope("hello"))

    assert found.wait(PATIENCE)
