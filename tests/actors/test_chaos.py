"""Any actor may die at any moment, again and again, under load: nothing accepted is lost, and the tree heals.

Actors die in two ways. A poisoned message makes an actor fail that may have been asleep. And a trace function is
installed in every actor's thread; at random lines of our own code it raises, which ends the actor then and there, as no
message could. A few lines are spared, each for the reason that stands beside it.
"""

import itertools
import linecache
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pykka
import pytest
from pykka.messages import ProxyCall

import noria.actors.runtime
from noria.actors import Intensity, Runtime, Supervisor
from noria.actors.errors import ChangeFailed
from noria.actors.lifecycle import ServiceConfig
from noria.actors.supervision.events import ChildStarted
from noria.actors.supervision.mailbox import Mailbox
from noria.registry import Change, Create, Delete, NoriaError, Update

OURS = str(Path(noria.actors.runtime.__file__).parent)
LIMIT = 120
# Around a `with`, a trace function is called where nothing else can come: neither a signal nor an exception thrown in
# from another thread. (test_memory_driver.py interrupts these lines with a real signal.)
SPARED_FUNCTIONS = {"inside", "work_off_acks", "take", "give_back"}

PIPELINE = """
    namespace: app
    entries:
      - name: memory
        kind: queue.driver.memory
        lifecycle: {restart: {initial_delay: 1ms, max_delay: 5ms}}
      - name: first
        kind: queue.queue
        driver: memory
        options: {max_length: 200}
        redelivery: {initial_delay: 1ms, max_delay: 2ms}
        lifecycle: {restart: {initial_delay: 1ms, max_delay: 5ms}}
      - name: second
        kind: queue.queue
        driver: memory
        options: {max_length: 200}
        redelivery: {initial_delay: 1ms, max_delay: 2ms}
        lifecycle: {restart: {initial_delay: 1ms, max_delay: 5ms}}
      - {name: forward, kind: function.python, source: "file://handlers.py", method: forward}
      - {name: collect, kind: function.python, source: "file://handlers.py", method: collect}
      - name: forwarder
        kind: queue.consumer
        queue: first
        func: forward
        concurrency: 3
        lifecycle: {auto_start: true, restart: {initial_delay: 1ms, max_delay: 5ms}}
      - name: collector
        kind: queue.consumer
        queue: second
        func: collect
        concurrency: 3
        lifecycle: {auto_start: true, restart: {initial_delay: 1ms, max_delay: 5ms}}
"""

HANDLERS = """
    import probe
    from noria.actors import publish
    def forward(body):
        publish("app:second", body)
    def collect(body):
        probe.record(body)
"""


class Killed(BaseException):
    """Not an Exception: nobody catches it by accident."""


class Killer:
    """Raises at random lines of our code, in threads whose name fits."""

    def __init__(self, seed: int, victims: tuple[str, ...], one_in: int) -> None:
        self._random = random.Random(seed)
        self._victims = victims
        self._one_in = one_in
        self.kills: Counter[str] = Counter()
        self.is_armed = False

    def trace_call(self, frame, _event, _argument):
        if not self.is_armed or not threading.current_thread().name.startswith(self._victims):
            return None
        code = frame.f_code
        is_spared = code.co_name in SPARED_FUNCTIONS
        return self.trace_line if code.co_filename.startswith(OURS) and not is_spared else None

    def trace_line(self, frame, event, _argument):
        if event != "line" or not self.is_armed or self._random.randrange(self._one_in) > 0:
            return self.trace_line
        # The interpreter visits a `with` line again on its way out, when nothing protects the lock any more.
        if not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            self.kills[threading.current_thread().name.split("-")[0]] += 1
            self.is_armed = sum(self.kills.values()) < LIMIT
            raise Killed
        return self.trace_line


CONSUMER = "queue.consumer"
POISON = ProxyCall(attr_path=("no_such_attribute",), args=(), kwargs={})


class Poisoner(threading.Thread):
    """Tells poison to a random actor of the tree, again and again, until it is stopped."""

    def __init__(self, runtime: Runtime, seed: int, victims: tuple[str, ...]) -> None:
        super().__init__(name="poisoner")
        self._runtime = runtime
        self._random = random.Random(seed)
        self._victims = victims
        self._over = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while self.kills < LIMIT and not self._over.wait(self._random.uniform(0, 0.01)):
            living = [actor for name, actor in actors_of(self._runtime) if name.startswith(self._victims)]
            if living:
                try:
                    self._random.choice(living).actor_ref.tell(POISON)
                except pykka.ActorDeadError:
                    continue
                self.kills += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def actors_of(runtime: Runtime) -> Iterator[tuple[str, pykka.Actor]]:
    """Every living actor, the root supervisor first."""
    root = runtime._seat.supervision._root
    yield "runtime", root
    yield from below(root)


def below(supervisor: Supervisor) -> Iterator[tuple[str, pykka.Actor]]:
    for child in tuple(supervisor.siblings):
        lifeline = child.record.lifeline
        actor = lifeline.actor if lifeline is not None else None
        if actor is not None:
            yield child.id, actor
            if isinstance(actor, Supervisor):
                yield from below(actor)


# A thread that is killed in its very last lines has nobody left to tell.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("victims", "one_in"),
    [
        (("worker",), 1500),
        (("app:forwarder", "app:collector"), 1500),
        (("app:memory", "app:first", "app:second"), 300),
        (("runtime",), 3000),
        (("worker", "app:", "runtime"), 3000),
    ],
    ids=["workers", "consumers", "drivers and queues", "root supervisor", "anybody"],
)
def test_killing_actors_at_random_moments_loses_no_message_and_the_tree_heals(
    application, probe, monkeypatch, victims, one_in
):
    monkeypatch.setattr("noria.actors.consumer.ORPHAN_CHECK", 0.02)
    # A root that is killed a hundred times in ten seconds gives up; here it is killed oftener than that.
    monkeypatch.setattr("noria.actors.supervision.tree.ROOT_INTENSITY", Intensity(restarts=1000, seconds=10))
    killer = Killer(20261121, victims, one_in)
    runtime = Runtime.load(application(PIPELINE, HANDLERS))
    poisoner = Poisoner(runtime, 20261121, victims)
    threading.settrace(killer.trace_call)
    try:
        runtime.start(20)
        killer.is_armed = True
        poisoner.start()
        sent = publish_while(poisoner.is_alive, runtime)
    finally:
        killer.is_armed = False
        threading.settrace(None)
        poisoner.stop()
    kills = sum(killer.kills.values()) + poisoner.kills
    probe.wait_until(lambda records: set(records) >= sent, "every message")
    runtime.wait_idle(20)
    healed = wait_for_running(runtime)
    runtime.stop()

    copies = Counter(probe.records)
    assert set(copies) == sent
    assert kills > 100
    assert healed == ["app:collector", "app:first", "app:forwarder", "app:memory", "app:second"]
    # At most what was held when somebody died: the credit of both consumers, for each kill.
    assert sum(copies.values()) - len(sent) <= 20 * kills


FORWARDER = {
    "queue": "first",
    "func": "forward",
    "lifecycle": {"auto_start": True, "restart": {"initial_delay": "1ms", "max_delay": "5ms"}},
}
SPARE = {**FORWARDER, "queue": "second", "func": "collect"}


def changes(runtime: Runtime) -> list[Change]:
    """From the version without a spare consumer to the one that has it, and back."""
    if runtime.registry.get("app:spare") is None:
        return [
            Update("app:forwarder", {**FORWARDER, "concurrency": 2}),
            Create("app:spare", CONSUMER, SPARE),
        ]
    return [Update("app:forwarder", {**FORWARDER, "concurrency": 3}), Delete("app:spare")]


class Changer(threading.Thread):
    """Changes the application, again and again, until it is stopped."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="changer")
        self._runtime = runtime
        self._over = threading.Event()
        self.made = 0
        self.untrue: list[ChangeFailed] = []
        """Refusals that say something else about what is declared now than the registry does."""
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._change()
        except BaseException as error:  # whatever it is, the test is to tell
            self.error = error

    def _change(self) -> None:
        before = self._runtime.registry
        try:
            self._runtime.apply(changes(self._runtime), timeout=20)
        except ChangeFailed as error:
            if (self._runtime.registry is before) != error.is_undone:
                self.untrue.append(error)
        else:
            self.made += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("victims", "one_in"),
    [(("worker", "app:"), 3000), (("runtime",), 1500), (("worker", "app:", "runtime"), 3000)],
    ids=["below the root", "root supervisor", "anybody"],
)
def test_an_application_that_is_changed_while_actors_are_killed_becomes_what_is_declared(
    application, probe, monkeypatch, victims, one_in
):
    monkeypatch.setattr("noria.actors.consumer.ORPHAN_CHECK", 0.02)
    monkeypatch.setattr("noria.actors.supervision.tree.ROOT_INTENSITY", Intensity(restarts=1000, seconds=10))
    killer = Killer(20261122, victims, one_in)
    runtime = Runtime.load(application(PIPELINE, HANDLERS))
    poisoner, changer = Poisoner(runtime, 20261122, victims), Changer(runtime)
    threading.settrace(killer.trace_call)
    try:
        runtime.start(20)
        killer.is_armed = True
        poisoner.start()
        changer.start()
        sent = publish_while(poisoner.is_alive, runtime)
    finally:
        killer.is_armed = False
        threading.settrace(None)
        poisoner.stop()
        changer.stop()
    probe.wait_until(lambda records: set(records) >= sent, "every message")
    runtime.wait_idle(20)
    healed = wait_for_running(runtime)
    workers = {node["id"]: len(node["children"]) for node in runtime.tree()["children"] if node["children"]}
    runtime.stop()

    assert changer.error is None
    assert changer.untrue == []
    assert changer.made > 0
    assert set(probe.records) == sent
    declared = [entry for entry in runtime.registry if isinstance(entry.config, ServiceConfig)]
    assert healed == sorted(str(entry.id) for entry in declared)
    assert workers == {
        str(entry.id): entry.config.concurrency for entry in declared if entry.kind == CONSUMER
    }


def wait_for_running(runtime: Runtime) -> list[str]:
    """The services that run, as soon as all do."""
    changed = threading.Event()
    runtime.bus.subscribe(lambda _event: changed.set(), ChildStarted)
    while True:
        changed.clear()
        states = {child["id"]: child["state"] for child in runtime.tree()["children"]}
        if set(states.values()) == {"running"}:
            return sorted(states)
        assert changed.wait(20), states


def publish_while(goes_on: Callable[[], bool], runtime: Runtime) -> set[int]:
    """Publish from two threads of ours, which nobody kills; every body that was accepted."""
    accepted: list[int] = []
    refused: list[BaseException] = []

    def publish(start: int) -> None:
        numbers = itertools.count(start, 2)
        try:
            while goes_on():
                number = next(numbers)
                runtime.publish("app:first", number, timeout=60)
                accepted.append(number)
        except NoriaError as error:
            refused.append(error)

    threads = [threading.Thread(target=publish, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [], refused
    return set(accepted)


def test_a_delivery_is_handled_although_its_bringer_died_before_it_woke_a_worker(application, probe):
    killed = []

    def trace(frame, event, _argument):
        if frame.f_code is not Mailbox.wake.__code__:
            return trace
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and "_wake_ups.put" in line and not killed:
            killed.append(line)
            raise Killed
        return trace

    def publish_until_killed() -> None:
        numbers = itertools.count()
        sys.settrace(trace)
        try:
            while True:
                runtime.publish("app:first", next(numbers))
        except Killed:
            sys.settrace(None)

    with Runtime.load(application(PIPELINE, HANDLERS)) as runtime:
        thread = threading.Thread(target=publish_until_killed)
        thread.start()
        thread.join()
        runtime.wait_idle(20)

    assert killed
    # The last one perhaps twice: the driver could not know any more that it had been handed over.
    assert set(probe.records) == {*range(max(probe.records) + 1)}


def test_the_killer_kills():
    """The oracle's own test: a trace function that raises ends the thread at that line."""
    killer = Killer(1, ("victim",), 1)
    killer.is_armed = True
    before = sys.gettrace()
    ended = []

    def victim() -> None:
        try:
            from noria.actors.outcome import describe

            describe(ValueError("x"))
        except Killed:
            ended.append("killed")

    threading.settrace(killer.trace_call)
    try:
        thread = threading.Thread(target=victim, name="victim")
        thread.start()
        thread.join()
    finally:
        threading.settrace(None)

    assert ended == ["killed"]
    assert sys.gettrace() is before
