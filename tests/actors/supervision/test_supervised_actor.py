"""Supervised actors and adopted ones: the end of each is reported exactly once, whatever ended it."""

import queue
import threading

import pykka
import pytest

from noria.actors.supervision.errors import NotAnActor, ThreadDied
from noria.actors.supervision.events import Undelivered
from noria.actors.supervision.mailbox import Control
from noria.actors.supervision.supervised import Lifeline, StopRequested, Supervised

PATIENCE = 20


class Heard:
    """A listener that a test can wait for."""

    def __init__(self):
        self.said = []
        self.over = threading.Event()
        self.is_ready = threading.Event()
        self.events = []

    def ready(self, lifeline):
        self.said.append("ready")
        self.is_ready.set()

    def ended(self, lifeline, error):
        self.said.append(error)
        self.over.set()

    def emit(self, event):
        self.events.append(event)


class Later(Supervised):
    """Ready when told, and stops when told a second time."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def setup(self):
        self.defer_ready()

    def on_receive(self, message):
        self.seen.append(message)
        match message:
            case "ready":
                self.ready()
            case "done":
                self.finish()
            case "failed":
                self.finish(RuntimeError("on purpose"))
        return message

    def on_stop_requested(self, deadline):
        self.seen.append(("stop", deadline))

    def teardown(self, error):
        self.seen.append(("teardown", error))


class Broken(Supervised):
    """Raises where it is told to."""

    def __init__(self, where, error):
        super().__init__()
        self.where, self.error = where, error
        self.torn_down = []
        if where == "init":
            raise error

    def setup(self):
        if self.where == "setup":
            raise self.error

    def on_receive(self, message):
        raise self.error

    def teardown(self, error):
        self.torn_down.append(error)
        if self.where == "teardown":
            raise self.error

    def on_stop_requested(self, deadline):
        if self.where == "stop":
            raise self.error
        self.finish()


class BrokenPlain(pykka.ThreadingActor):
    def __init__(self, where, error):
        super().__init__()
        self.where, self.error = where, error
        self.hooks = []
        if where == "init":
            raise error

    def on_start(self):
        if self.where == "setup":
            raise self.error

    def on_receive(self, message):
        raise self.error

    def on_stop(self):
        self.hooks.append("on_stop")
        if self.where in {"stop", "teardown"}:
            raise self.error

    def on_failure(self, kind, error, traceback):
        self.hooks.append(("on_failure", error))


@pytest.fixture
def begin():
    """Start a life; returns it and its listener."""
    lives = []

    def start(factory):
        heard = Heard()
        life = Lifeline("subject", factory, heard)
        lives.append(life)
        life.start()
        return life, heard

    yield start

    for life in lives:
        life.request_stop(None)


ERRORS = [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("where", ["init", "setup", "handler", "stop", "teardown"])
@pytest.mark.parametrize("kind", [Broken, BrokenPlain])
def test_the_end_is_reported_once_wherever_the_error_comes_from(begin, kind, where, error):
    life, heard = begin(lambda: kind(where, error))
    if where not in {"init", "setup"}:
        assert heard.is_ready.wait(PATIENCE)
    if where == "handler":
        life.actor.actor_ref.tell("go")
    elif where in {"stop", "teardown"}:
        life.request_stop(None)
    assert heard.over.wait(PATIENCE)
    life.thread.join(PATIENCE)

    assert [said for said in heard.said if said != "ready"] == [error]
    assert ("ready" in heard.said) == (where not in {"init", "setup"})
    assert life.actor is None or not life.actor.actor_ref.is_alive()


@pytest.mark.parametrize("kind", [Broken, BrokenPlain])
def test_a_stop_is_a_normal_end(begin, kind):
    life, heard = begin(lambda: kind("nowhere", None))
    assert heard.is_ready.wait(PATIENCE)
    assert life.actor.actor_ref.stop(timeout=PATIENCE)

    assert heard.said == ["ready", None]


def test_a_stop_before_the_constructor_returns_is_kept(begin):
    entered, gate = threading.Event(), threading.Event()

    def factory():
        entered.set()
        gate.wait(PATIENCE)
        return Later()

    life, heard = begin(factory)
    assert entered.wait(PATIENCE)
    life.request_stop(None)
    gate.set()
    assert heard.over.wait(PATIENCE)

    assert heard.said == [None]
    assert life.actor.seen == []


def test_pykkas_hooks_of_an_adopted_actor_run_as_in_pykka(begin):
    error = ValueError("x")
    life, heard = begin(lambda: BrokenPlain("handler", error))
    assert heard.is_ready.wait(PATIENCE)
    life.actor.actor_ref.tell("go")
    assert heard.over.wait(PATIENCE)

    assert life.actor.hooks == [("on_failure", error)]

    life, heard = begin(lambda: BrokenPlain("setup", error))
    assert heard.over.wait(PATIENCE)

    assert life.actor.hooks == []


def test_ready_and_the_end_can_come_later(begin):
    life, heard = begin(Later)
    ref = None
    while ref is None:
        ref = life.actor and life.actor.actor_ref
    ref.ask("hello", timeout=PATIENCE)
    assert heard.said == []

    ref.ask("ready", timeout=PATIENCE)
    ref.ask("ready", timeout=PATIENCE)
    assert heard.said == ["ready"]

    life.request_stop(123.0)
    stopped = ref.stop(block=False)
    assert ref.ask("still here", timeout=PATIENCE) == "still here"
    ref.tell("done")
    assert stopped.get(timeout=PATIENCE)
    assert heard.said == ["ready", None]
    assert life.actor.seen[3:] == [("stop", 123.0), ("stop", None), "still here", "done", ("teardown", None)]


def test_finishing_with_an_error_is_a_failure(begin):
    life, heard = begin(Later)
    life_ready = life
    while life_ready.actor is None:
        pass
    life.actor.actor_ref.tell("failed")
    assert heard.over.wait(PATIENCE)

    assert str(heard.said[-1]) == "on purpose"


def test_a_later_error_is_a_note_on_the_first(begin):
    life, heard = begin(lambda: Broken("teardown", ValueError("again")))
    assert heard.is_ready.wait(PATIENCE)
    life.actor.error = ValueError("second")
    life.actor.where = "teardown"
    first = KeyError("first")
    life.fail(first)
    life.request_stop(None)
    assert heard.over.wait(PATIENCE)

    assert heard.said[-1] is first
    assert first.__notes__ == ["then ValueError: second"]


def test_control_that_is_left_over_is_no_event_but_data_is(begin):
    class Note(Control):
        pass

    life, heard = begin(lambda: Broken("handler", ValueError("x")))
    assert heard.is_ready.wait(PATIENCE)
    inbox = life.actor.actor_inbox
    life.request_stop(None)
    assert heard.over.wait(PATIENCE)
    for message in (Note(), StopRequested(), "data"):
        inbox.put(pykka._envelope.Envelope(message))

    assert heard.events == [Undelivered("subject", "str")]


@pytest.mark.parametrize("product", [None, "text", object()])
def test_what_is_no_actor_is_refused_in_words(begin, product):
    _, heard = begin(lambda: product)
    assert heard.over.wait(PATIENCE)
    [error] = heard.said

    assert isinstance(error, NotAnActor)
    assert f"found {type(product).__name__}" in str(error)


def test_an_inbox_of_the_actors_own_is_left_alone_and_its_rest_is_reported(begin):
    class Own(pykka.ThreadingActor):
        @staticmethod
        def _create_actor_inbox():
            return queue.LifoQueue()

        def on_receive(self, message):
            if message == "fail":
                raise ValueError(message)

    life, heard = begin(Own)
    assert heard.is_ready.wait(PATIENCE)
    inbox = life.actor.actor_inbox
    assert type(inbox) is queue.LifoQueue
    with inbox.mutex:
        for message in ("left over", "fail"):
            inbox._put(pykka._envelope.Envelope(message))
            inbox.unfinished_tasks += 1
            inbox.not_empty.notify()
    assert heard.over.wait(PATIENCE)

    assert heard.events == [Undelivered("subject", "str")]


def test_what_a_constructor_puts_in_the_inbox_survives_the_adoption(begin):
    class Eager(pykka.ThreadingActor):
        def __init__(self):
            super().__init__()
            self.got = threading.Event()
            self.actor_ref.tell("from the constructor")

        def on_receive(self, message):
            self.got.set()

    life, heard = begin(Eager)
    assert heard.is_ready.wait(PATIENCE)

    assert life.actor.got.wait(PATIENCE)


def test_a_proxy_works_on_both_kinds(begin):
    class Ours(Supervised):
        def double(self, number):
            return 2 * number

    class Theirs(pykka.ThreadingActor):
        def double(self, number):
            return 2 * number

    for kind in (Ours, Theirs):
        life, heard = begin(kind)
        assert heard.is_ready.wait(PATIENCE)

        assert life.actor.actor_ref.proxy().double(21).get(timeout=PATIENCE) == 42


def test_a_thread_that_died_without_a_word_is_found(begin):
    heard = Heard()
    life = Lifeline("subject", Later, heard)
    life.thread = threading.Thread(target=life._claim)  # it came to life, and no further
    life.thread.start()
    life.thread.join(PATIENCE)

    assert life.bury()
    assert not life.bury()
    [error] = heard.said
    assert isinstance(error, ThreadDied)


def test_a_thread_that_never_came_to_life_is_found_and_does_not_live_later(monkeypatch):
    monkeypatch.setattr("noria.actors.supervision.supervised.BORN_WITHIN", 0.0)
    monkeypatch.setattr("noria.actors.supervision.supervised.LifeThread.start", lambda self: None)
    heard = Heard()
    life = Lifeline("subject", Later, heard)
    life.start()

    assert life.is_running()
    assert life.bury()
    assert not life.is_running()
    life.run()
    assert [type(said) for said in heard.said] == [ThreadDied]
    assert life.actor is None


def test_a_supervised_actor_also_starts_alone():
    ref = Later.start()

    assert ref.ask("hello", timeout=PATIENCE) == "hello"
    ref.tell("done")
    assert ref.actor_stopped.wait(PATIENCE)
