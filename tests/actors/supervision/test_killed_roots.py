"""Roots that were killed: what they had promised holds on, and nobody whom they left behind is forgotten."""

import threading

import pykka
import pytest
from pykka.messages import ProxyCall

from noria.actors.supervision.child import ChildSpec
from noria.actors.supervision.errors import StopTimeout
from noria.actors.supervision.supervised import Supervised
from noria.actors.supervision.supervisor import CRASHES_BORNE, Supervisor

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

    assert tree._wait(lambda: tree.root is not former and tree.snapshot()["state"] == "running", PATIENCE)


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
    tree._wait(
        lambda: tree.root.siblings["inner"].record.restarts == 1, PATIENCE, tree.root.siblings["inner"]
    )
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
