"""The thread that every driver with a backend has."""

import threading

from noria.actors.drivers import IoThread
from noria.actors.testing import PATIENCE


def test_what_rang_while_it_was_busy_costs_no_rounds_in_vain():
    rounds = 0
    is_idle, has_ended = threading.Event(), threading.Event()

    def work() -> float | None:
        nonlocal rounds
        rounds += 1
        if rounds < 1000:
            thread.ring()
            return 0
        is_idle.set()
        return None

    thread = IoThread("test", work, lambda _error: has_ended.set())
    thread.start()
    assert is_idle.wait(PATIENCE)
    assert thread.stop(PATIENCE)

    assert has_ended.is_set()
    assert rounds <= 1003  # at most one for a ring that came late; the last one of a stop


def test_a_ring_is_never_missed_and_a_stop_ends_with_a_last_round():
    rung, seen = 0, 0
    heard, ended = threading.Condition(), threading.Event()

    def work() -> float | None:
        nonlocal seen
        with heard:
            seen = rung
            heard.notify_all()
        return None

    thread = IoThread("test", work, lambda _error: ended.set())
    thread.start()
    for number in range(1, 2001):
        rung = number
        thread.ring()
        with heard:
            assert heard.wait_for(lambda number=number: seen == number, PATIENCE)
    rung = -1
    assert thread.stop(PATIENCE)

    assert seen == -1
    assert ended.is_set()
