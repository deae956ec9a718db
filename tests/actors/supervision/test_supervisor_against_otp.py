"""Random trees, random failures: what the supervisor does is what a naive model of OTP's rules says.

The model knows nothing of our code: it works on names, in OTP's words, with our additions (children
that require an affected child are affected too).
"""

import pykka
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pykka.messages import ProxyGetAttr

from noria.actors.supervision.child import ChildSpec
from noria.actors.supervision.errors import SupervisorGaveUp
from noria.actors.supervision.events import ChildFailed, ChildStarted, ChildStopped
from noria.actors.supervision.restart import Backoff, Intensity
from noria.actors.supervision.tree import supervise

PATIENCE = 20
NOW = Backoff(initial_delay=0)


class Leaf(pykka.ThreadingActor):
    def on_receive(self, message):
        if message == "end":
            self.stop()
        else:
            raise ValueError(message)


class Otp:
    """Which children run, and what a failure does to them."""

    def __init__(self, strategy, specs, limit):
        self.strategy = strategy
        self.order = [name for name, _, _ in specs]
        self.restart = {name: restart for name, restart, _ in specs}
        self.requires = {name: set(requires) for name, _, requires in specs}
        self.running = set(self.order)
        self.done = set()
        self.limit = limit
        self.gave_up = False

    def fate(self, failed):
        """The failed child and everybody who goes down with it."""
        group = {failed}
        if self.restart[failed] != "temporary":
            if self.strategy == "rest_for_one":
                group |= set(self.order[self.order.index(failed) :])
            if self.strategy == "one_for_all":
                group |= set(self.order)
        while more := {name for name in self.order if self.requires[name] & group} - group:
            group |= more
        return group

    def end(self, name, *, normally):
        """A child ended; returns who is stopped and who is started, as sets."""
        self.running.discard(name)
        restart = self.restart[name]
        if normally and restart != "permanent":
            self.done.add(name)
            return {name}, set()
        if restart != "temporary":
            self.limit -= 1
            if self.limit < 0:
                self.gave_up = True
                stopped, self.running = self.running, set()
                return stopped, set()
        group = self.fate(name)
        stopped = group & self.running
        self.running -= stopped
        return stopped, self.bring_back(name, group, stopped)

    def bring_back(self, name, group, stopped):
        if self.restart[name] == "temporary":
            self.done -= group  # work that was done is none without what it builds on
            return set()
        again = {other for other in group if self.restart[other] != "temporary"}
        if self.strategy == "one_for_one":
            again &= stopped | {name}
        self.done -= again
        started = set()
        for other in self.order:  # a child whose requirement is gone for good stays down
            if other in again and self.requires[other] <= self.running | self.done:
                started.add(other)
                self.running.add(other)
        return started


@st.composite
def trees(draw):
    size = draw(st.integers(1, 6))
    names = [chr(ord("a") + number) for number in range(size)]
    restarts = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
    return [
        (name, draw(restarts), draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else [])
        for place, name in enumerate(names)
    ]


def place(events, kind):
    return {event.child: number for number, event in enumerate(events) if isinstance(event, kind)}


def check_order(events, failed, model, stopped, started):
    stops, starts = place(events, ChildStopped), place(events, ChildStarted)
    assert set(stops) == stopped
    assert set(starts) == started
    for name in model.order:
        for needed in model.requires[name]:
            if name in stops and needed in stops:
                assert stops[name] < stops[needed]
            if name in starts and needed in starts:
                assert starts[needed] < starts[name]
    if failed in starts:
        assert all(stop < starts[failed] for stop in stops.values())
    if model.strategy == "rest_for_one" and failed is not None and not model.gave_up:
        assert sorted(stops, key=stops.get, reverse=True) == [name for name in model.order if name in stops]
        assert sorted(starts, key=starts.get) == [name for name in model.order if name in starts]


def settle(recorder, tree, stopped, started):
    for name in stopped:
        recorder.wait_for(ChildStopped, child=name)
    for name in started:
        recorder.wait_for(ChildStarted, child=name)
    if tree.error is None:
        tree.root.actor_ref.ask(ProxyGetAttr(("unfinished",)), timeout=PATIENCE)


def running(tree):
    states = {node["id"]: node["state"] for node in tree.snapshot()["children"]}
    assert not {"starting", "stopping"} & set(states.values())
    return {name for name, state in states.items() if state == "running"}


@settings(max_examples=150, deadline=None)
@given(
    specs=trees(),
    strategy=st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]),
    limit=st.integers(0, 6),
    ends=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["fail", "fail", "end"])), max_size=5),
)
@example(  # what builds on the lost one by way of one whose work is done
    specs=[("a", "temporary", []), ("b", "transient", ["a"]), ("c", "permanent", ["b"])],
    strategy="one_for_one",
    limit=6,
    ends=[(1, "end"), (0, "fail")],
)
def test_the_supervisor_does_what_otp_does(new_recorder, specs, strategy, limit, ends):
    recorder = new_recorder()
    model = Otp(strategy, specs, limit)
    children = [
        ChildSpec(name, Leaf, restart=restart, requires=requires, backoff=NOW)
        for name, restart, requires in specs
    ]
    tree = supervise(children, strategy=strategy, intensity=Intensity(limit, 1000), bus=recorder.bus)
    try:
        tree.wait_started(PATIENCE)
        check_order(recorder.events, None, model, set(), model.running)
        for number, how in ends:
            alive = sorted(model.running)
            if not alive or model.gave_up:
                break
            name = alive[number % len(alive)]
            recorder.clear()
            tree.ref(name).tell(how)
            stopped, started = model.end(name, normally=how == "end")
            if model.gave_up:
                assert tree.join(PATIENCE)
            if name not in stopped:
                recorder.wait_for(ChildFailed, child=name)
            settle(recorder, tree, stopped, started)
            check_order(recorder.events, name, model, stopped, started)
            assert running(tree) == model.running
            assert isinstance(tree.error, SupervisorGaveUp) == model.gave_up
    finally:
        tree.stop(PATIENCE)
