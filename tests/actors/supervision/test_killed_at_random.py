"""Actors killed at random points, hundreds of times, by an exception thrown into their threads; the tree heals.

`PyThreadState_SetAsyncExc` raises between any two bytecodes: in a handler, in the loop, in pykka, while
the actor starts, ends or reports its end.
"""

import ctypes
import random
import sys
import threading
import time

import pykka
import pytest

from noria.actors.supervision.child import ChildSpec
from noria.actors.supervision.errors import SupervisionError
from noria.actors.supervision.restart import Backoff
from noria.actors.supervision.supervised import Supervised
from noria.actors.supervision.supervisor import Supervisor

PATIENCE = 30
NOW = Backoff(initial_delay=0)


class Killed(BaseException):
    """What no handler expects."""


class Busy:
    """Always on its way through some bytecode, and answers."""

    def go(self):
        self.actor_ref.tell("again")

    def on_receive(self, message):
        if message == "again":
            total = sum(number * number for number in range(50))
            self.actor_ref.tell("again")
            return total
        return message


class BusyPlain(Busy, pykka.ThreadingActor):
    def on_start(self):
        self.go()


class BusySupervised(Busy, Supervised):
    def setup(self):
        self.go()


def kill(thread, error):
    """Throw `error` into a thread, whatever it does; or into one that has got its number by now."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))


def threads(tree):
    """Those that have come as far as their actor."""
    return [life.thread for _, life in tree.root.lives() if life.actor is not None and life.is_running()]


def leaf(name, kind, requires=()):
    return ChildSpec(name, kind, backoff=NOW, requires=requires, stop_timeout=3, start_timeout=3)


def answers(tree, *path):
    """Whether the child answers, now."""
    try:
        ref = tree.ref(*path)
        return ref is not None and ref.ask("hello", timeout=5) == "hello"
    except (pykka.ActorDeadError, pykka.Timeout, SupervisionError):
        return False


def healed(tree, paths):
    end = time.monotonic() + PATIENCE
    while not all(answers(tree, *path) for path in paths):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)  # nothing to wait for: which life will be the last one is not known
    return True


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """An exception may also hit a thread before its actor's life or after it: Python reports those itself."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [(BusyPlain, Killed), (BusySupervised, Killed), (BusyPlain, ValueError), (BusySupervised, SystemExit)],
)
def test_a_tree_heals_whoever_is_killed_whenever(grow, kind, error):
    inner = ChildSpec(
        "inner", Supervisor, args=[[leaf("x", kind), leaf("y", kind, ["x"])]], backoff=NOW, stop_timeout=5
    )
    tree = grow([leaf("a", kind), leaf("b", kind, ["a"]), inner])
    tree.wait_started(PATIENCE)
    dice = random.Random(f"{kind} {error}")
    for _ in range(150):
        if alive := threads(tree):
            kill(dice.choice(alive), error)
        time.sleep(dice.random() / 500)  # lets the killed one get somewhere, from birth to last word

    assert healed(tree, [("a",), ("b",), ("inner", "x"), ("inner", "y")])
    assert tree.error is None
    tree.stop(PATIENCE)
    assert not threads(tree)


def test_a_root_that_is_killed_gets_a_successor(grow):
    tree = grow([leaf("a", BusyPlain), leaf("b", BusySupervised, ["a"])])
    tree.wait_started(PATIENCE)
    dice = random.Random(1)
    for _ in range(30):
        life = tree._life
        if life.actor is not None:
            kill(life.thread, Killed)
        tree.root.mailbox.wake()  # an exception waits for the thread to run Python again
        time.sleep(dice.random() / 50)

    assert healed(tree, [("a",), ("b",)])
    assert tree.snapshot()["restarts"] > 0
    tree.stop(PATIENCE)
    assert not threads(tree)
