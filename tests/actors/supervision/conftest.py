"""Real, small doubles for the tests of supervision, and a check that no thread is left behind."""

import threading
import time

import pytest

from noria.actors.supervision.restart import Backoff
from noria.actors.supervision.tree import supervise
from noria.registry import Bus

PATIENCE = 20.0


class Recorder:
    """A bus whose events can be waited for."""

    def __init__(self):
        self.bus = Bus()
        self.events = []
        self._changed = threading.Condition()
        self.bus.subscribe(self._record)

    def _record(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def seen(self, kind, **fields):
        return [
            event
            for event in tuple(self.events)
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def wait_for(self, kind, count=1, **fields):
        """The `count`th event of this kind with these fields."""
        with self._changed:
            found = self._changed.wait_for(lambda: len(self.seen(kind, **fields)) >= count, PATIENCE)
        assert found, f"{kind.__name__} {fields} did not come: {self.events}"
        return self.seen(kind, **fields)[count - 1]

    def clear(self):
        with self._changed:
            self.events.clear()


class ManualClock:
    """A clock that stands still until a test moves it, and then rings for those who sleep by it."""

    def __init__(self):
        self.now = 1000.0
        self.mailboxes = []

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds
        for mailbox in self.mailboxes:
            mailbox.wake()


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(scope="session")
def new_recorder():
    """For tests that need one for each of their examples."""
    return Recorder


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def fast():
    """A backoff that hardly waits."""
    return Backoff(initial_delay=0.001, max_delay=0.002, jitter=0)


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    before = set(threading.enumerate())

    yield

    end = time.monotonic() + PATIENCE
    for thread in set(threading.enumerate()) - before:
        if thread.is_alive():
            thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), f"{thread.name} was left behind"


@pytest.fixture
def grow(recorder):
    """Start a tree whose events go to `recorder`; it is stopped after the test."""
    trees = []

    def start(children, **options):
        tree = supervise(children, bus=recorder.bus, **options)
        trees.append(tree)
        if "clock" in options:
            options["clock"].mailboxes.append(tree.root.mailbox)
        return tree

    yield start

    for tree in trees:
        tree.stop(PATIENCE)
