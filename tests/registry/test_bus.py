"""Events and the bus."""

import logging
import threading

import attrs
import pytest

from noria.registry import Bus, Event


@attrs.frozen
class Happened(Event):
    number: int = 0


@attrs.frozen
class HappenedAgain(Happened):
    pass


@attrs.frozen
class Other(Event):
    pass


def test_a_sink_gets_the_types_it_asked_for_and_their_subclasses():
    bus, seen = Bus(), []
    bus.subscribe(seen.append, Happened)

    for event in (Happened(1), Other(), HappenedAgain(2)):
        bus.emit(event)

    assert seen == [Happened(1), HappenedAgain(2)]


def test_a_sink_without_types_gets_everything():
    bus, seen = Bus(), []
    bus.subscribe(seen.append)

    bus.emit(Other())
    bus.emit(Happened(1))

    assert seen == [Other(), Happened(1)]


def test_sinks_are_called_in_the_order_they_came():
    bus, seen = Bus(), []
    for name in "abc":
        bus.subscribe(lambda _, name=name: seen.append(name), Other)

    bus.emit(Other())

    assert seen == ["a", "b", "c"]


def test_nobody_wants_what_nobody_subscribed_to():
    bus = Bus()
    assert not bus.wants(Happened)

    unsubscribe = bus.subscribe(print, Happened)
    assert bus.wants(Happened)
    assert bus.wants(HappenedAgain)
    assert not bus.wants(Other)

    unsubscribe()
    assert not bus.wants(Happened)


def test_ending_a_subscription_twice_leaves_the_others_alone():
    bus, seen = Bus(), []
    first = bus.subscribe(seen.append, Other)
    bus.subscribe(seen.append, Other)

    first()
    first()
    bus.emit(Other())

    assert seen == [Other()]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_a_sink_that_raises_is_logged_and_harms_nobody(error, caplog):
    bus, seen = Bus(), []

    def broken(_):
        raise error

    bus.subscribe(broken)
    bus.subscribe(seen.append)
    with caplog.at_level(logging.ERROR, "noria.registry.events"):
        bus.emit(Other())

    assert seen == [Other()]
    assert [record.getMessage() for record in caplog.records] == ["a sink failed on Other"]


def test_a_sink_may_end_its_own_subscription():
    bus, seen = Bus(), []

    def once(event):
        seen.append(event)
        unsubscribe()

    unsubscribe = bus.subscribe(once)
    bus.emit(Other())
    bus.emit(Other())

    assert seen == [Other()]


def test_events_reach_a_steady_sink_while_others_come_and_go():
    bus, seen = Bus(), []
    bus.subscribe(seen.append, Happened)
    begin = threading.Barrier(4)
    leftover = []

    def emit(start):
        begin.wait()
        for number in range(start, start + 2000):
            bus.emit(Happened(number))

    def churn():
        begin.wait()
        for _ in range(500):
            bus.subscribe(leftover.append, Other)()

    threads = [threading.Thread(target=emit, args=(start,)) for start in (0, 2000)]
    threads += [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(event.number for event in seen) == list(range(4000))
    assert leftover == []
    assert not bus.wants(Other)


def test_subscriptions_made_at_once_are_all_kept():
    bus, begin = Bus(), threading.Barrier(8)
    seen = []

    def subscribe():
        begin.wait()
        for _ in range(50):
            bus.subscribe(seen.append, Other)

    threads = [threading.Thread(target=subscribe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.emit(Other())

    assert len(seen) == 400
