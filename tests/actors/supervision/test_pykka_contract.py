"""Nine facts about pykka that supervision is built around, each with the proof that ours is safe from it.

The first half of each test is pykka alone: when an upgrade changes it, the test says so.
"""

import queue
import sys
import threading

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from noria.actors.supervision.child import ChildSpec
from noria.actors.supervision.events import ChildFailed, ChildStarted, Undelivered
from noria.actors.supervision.mailbox import Mailbox
from noria.actors.supervision.supervised import Supervised

PATIENCE = 20


class Plain(pykka.ThreadingActor):
    """Does what it is told, with nothing of ours."""

    use_daemon_thread = True

    def __init__(self, start_error=None):
        super().__init__()
        self.start_error = start_error
        self.heard = []
        self.failed = threading.Event()
        self.gate = threading.Event()
        self.entered = threading.Event()

    def on_start(self):
        if self.start_error is not None:
            raise self.start_error

    def on_failure(self, *_):
        self.failed.set()

    def on_receive(self, message):
        match message:
            case "exit":
                sys.exit(3)
            case "fail":
                raise ValueError("told to")
            case "wait":
                self.entered.set()
                self.gate.wait(PATIENCE)
            case _:
                self.heard.append(message)
        return message


class Ours(Supervised, Plain):
    """The same, made to be supervised."""

    def setup(self):
        Plain.on_start(self)

    def on_receive(self, message):
        return Plain.on_receive(self, message)


@pytest.fixture(params=[Plain, Ours], ids=["adopted", "supervised"])
def kind(request):
    """A plain class under a supervisor, and one of ours: the promises are the same."""
    return request.param


def raw(*args):
    """An unsupervised plain actor and its instance."""
    actor = Plain(*args)
    pykka.ActorRegistry.register(actor.actor_ref)
    actor._start_actor_loop()
    return actor


def test_1_an_error_in_on_start_calls_no_hook(kind, grow, recorder, fast):
    actor = raw(ValueError("no start"))
    assert actor.actor_stopped.wait(PATIENCE)
    assert not actor.failed.wait(0.01)

    grow([ChildSpec("child", kind, args=(ValueError("no start"),), backoff=fast)])
    failure = recorder.wait_for(ChildFailed, child="child")

    assert str(failure.error) == "no start"


def test_2_a_base_exception_stops_every_actor_of_the_process(kind, grow, recorder, fast):
    bystander, culprit = raw(), raw()
    culprit.actor_ref.tell("exit")
    assert bystander.actor_stopped.wait(PATIENCE)

    bystander = raw()
    tree = grow([ChildSpec("culprit", kind, backoff=fast), ChildSpec("other", kind)])
    tree.wait_started(PATIENCE)
    other = tree.ref("other")
    tree.ref("culprit").tell("exit")
    recorder.wait_for(ChildStarted, child="culprit", restarts=1)

    assert type(recorder.seen(ChildFailed)[0].error) is SystemExit
    assert tree.ref("other") is other
    assert other.ask("hello", timeout=PATIENCE) == "hello"
    assert bystander.actor_ref.ask("hello", timeout=PATIENCE) == "hello"
    bystander.actor_ref.stop(timeout=PATIENCE)


def test_2_an_asker_does_not_catch_the_answerers_system_exit(kind, grow, recorder, fast):
    tree = grow([ChildSpec("child", kind, backoff=fast)])
    tree.wait_started(PATIENCE)

    with pytest.raises(pykka.ActorDeadError, match="died of SystemExit"):
        tree.ref("child").ask("exit", timeout=PATIENCE)
    recorder.wait_for(ChildStarted, child="child", restarts=1)


def test_3_what_was_told_to_an_actor_that_dies_is_dropped(kind, grow, recorder, fast):
    actor = raw()
    actor.actor_ref.tell("wait")
    actor.actor_ref.tell("fail")
    actor.actor_ref.tell("lost")
    actor.gate.set()
    assert actor.actor_stopped.wait(PATIENCE)
    assert actor.heard == []

    tree = grow([ChildSpec("child", kind, backoff=fast)])
    tree.wait_started(PATIENCE)
    child = tree.root.siblings["child"].record.lifeline.actor
    for message in ("wait", "fail", "left", b"behind"):
        child.actor_ref.tell(message)
    answer = child.actor_ref.ask("asked", block=False)
    child.gate.set()

    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=PATIENCE)
    recorder.wait_for(ChildStarted, child="child", restarts=1)
    assert recorder.seen(Undelivered) == [Undelivered("child", "str"), Undelivered("child", "bytes")]


def test_4_a_message_put_after_the_end_is_never_answered(kind, grow, recorder):
    actor = raw()
    actor.actor_ref.stop(timeout=PATIENCE)
    late = pykka.ThreadingFuture()
    actor.actor_inbox.put(Envelope("late", reply_to=late))  # what an ask does that lost the race
    with pytest.raises(pykka.Timeout):
        late.get(timeout=0.01)

    tree = grow([ChildSpec("child", kind)])
    tree.wait_started(PATIENCE)
    inbox = tree.ref("child").actor_inbox
    tree.stop_child("child", PATIENCE)
    late = pykka.ThreadingFuture()
    inbox.put(Envelope("asked late", reply_to=late))
    inbox.put(Envelope("told late"))

    with pytest.raises(pykka.ActorDeadError):
        late.get(timeout=PATIENCE)
    assert recorder.seen(Undelivered) == [Undelivered("child", "str")]


def test_5_an_asked_message_that_fails_leaves_the_actor_alive_a_told_one_kills_it(kind, grow, recorder, fast):
    actor = raw()
    with pytest.raises(ValueError, match="told to"):
        actor.actor_ref.ask("fail", timeout=PATIENCE)
    assert actor.actor_ref.is_alive()
    actor.actor_ref.tell("fail")
    assert actor.actor_stopped.wait(PATIENCE)

    tree = grow([ChildSpec("child", kind, backoff=fast)])
    tree.wait_started(PATIENCE)
    child = tree.ref("child")
    with pytest.raises(ValueError, match="told to"):
        child.ask("fail", timeout=PATIENCE)
    assert child.ask("hello", timeout=PATIENCE) == "hello"
    assert tree.ref("child") is child
    child.tell("fail")
    recorder.wait_for(ChildStarted, child="child", restarts=1)


def test_6_a_stop_waits_behind_the_backlog(kind, grow):
    actor = raw()
    actor.actor_ref.tell("wait")
    for number in range(100):
        actor.actor_ref.tell(number)
    stopped = actor.actor_ref.stop(block=False)
    actor.gate.set()
    stopped.get(timeout=PATIENCE)
    assert len(actor.heard) == 100

    tree = grow([ChildSpec("child", kind)])
    tree.wait_started(PATIENCE)
    child = tree.root.siblings["child"].record.lifeline.actor
    child.actor_ref.tell("wait")
    for number in range(100):
        child.actor_ref.tell(number)
    assert child.entered.wait(PATIENCE)
    stopped = child.actor_ref.stop(block=False)
    child.gate.set()
    stopped.get(timeout=PATIENCE)

    assert child.heard == []


def test_7_a_bounded_inbox_blocks_even_the_stop():
    inbox = queue.Queue(maxsize=1)
    inbox.put(Envelope("data"))
    with pytest.raises(queue.Full):
        inbox.put(Envelope(_ActorStop()), block=False)  # pykka's put has no timeout: it would hang
    assert type(Plain().actor_inbox) is queue.Queue
    assert Plain().actor_inbox.maxsize == 0

    mailbox = Mailbox()
    for number in range(10_000):
        mailbox.put(Envelope(number))
    stop = _ActorStop()
    mailbox.put(Envelope(stop))
    assert mailbox.get().message is stop


def test_8_nothing_in_pykka_watches_or_restarts(kind, grow, recorder, fast):
    assert not {"supervise", "link", "monitor", "restart"} & {
        name.lower() for name in dir(pykka.ThreadingActor)
    }
    actor = raw()
    actor.actor_ref.tell("fail")
    assert actor.actor_stopped.wait(PATIENCE)
    with pytest.raises(pykka.ActorDeadError):
        actor.actor_ref.tell("anybody?")

    tree = grow([ChildSpec("child", kind, backoff=fast)])
    tree.wait_started(PATIENCE)
    tree.ref("child").tell("fail")
    recorder.wait_for(ChildStarted, child="child", restarts=1)
    assert tree.ref("child").ask("anybody?", timeout=PATIENCE) == "anybody?"


def test_9_an_actor_is_a_thread_and_its_private_parts_are_where_we_use_them(kind, grow):
    actor = raw()
    names = {thread.name for thread in threading.enumerate()}
    assert any(name.startswith("Plain-") for name in names)
    actor.actor_ref.stop(timeout=PATIENCE)
    for name in ("_handle_receive", "_start_actor_loop", "_actor_loop", "_create_actor_inbox"):
        assert callable(getattr(pykka.ThreadingActor, name))
    assert actor.actor_ref.actor_inbox is actor.actor_inbox
    assert Envelope.__slots__ == ["message", "reply_to"]

    tree = grow([ChildSpec("child", kind)])
    tree.wait_started(PATIENCE)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "child"]
    assert thread.daemon  # one that hangs does not keep the process alive
    assert type(tree.ref("child").actor_inbox) is Mailbox
