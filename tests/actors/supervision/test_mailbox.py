"""Mailbox: two lanes, timers, and nothing that comes too late is lost in silence."""

import collections
import threading
import time

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from noria.actors.supervision.mailbox import Control, Mailbox


class Urgent(Control):
    pass


class Shared(Mailbox):
    """Draws from a buffer of others too, as a pool's workers do."""

    def __init__(self, buffer):
        super().__init__()
        self.buffer = buffer

    def _next(self):
        try:
            return self.buffer.popleft()
        except IndexError:
            return super()._next()


def messages(mailbox, count):
    return [mailbox.get().message for _ in range(count)]


def test_messages_come_out_in_the_order_they_were_put():
    mailbox = Mailbox()
    for number in range(5):
        mailbox.put(Envelope(number))

    assert messages(mailbox, 5) == [0, 1, 2, 3, 4]
    assert mailbox.empty()


def test_control_overtakes_data_and_keeps_its_own_order():
    mailbox = Mailbox()
    first, stop = Urgent(), _ActorStop()
    for message in ("data", first, "more", stop):
        mailbox.put(Envelope(message))

    assert messages(mailbox, 4) == [first, stop, "data", "more"]


def test_get_waits_for_a_message():
    mailbox = Mailbox()
    got = []
    thread = threading.Thread(target=lambda: got.append(mailbox.get().message))
    thread.start()
    mailbox.put(Envelope("hello"))
    thread.join(20)

    assert got == ["hello"]


def test_a_message_that_rang_no_bell_is_found_after_a_nudge():
    mailbox = Mailbox()
    got = []
    thread = threading.Thread(target=lambda: got.append(mailbox.get().message))
    thread.start()
    mailbox._data.append(Envelope("hello"))
    mailbox.nudge()
    thread.join(20)

    assert got == ["hello"]


def test_nudges_do_not_pile_up_and_none_is_given_for_nothing(clock):
    mailbox = Mailbox(clock)
    mailbox.schedule(1, "later")
    mailbox.nudge()
    assert mailbox._wake_ups.qsize() == 0

    clock.advance(1)
    mailbox.nudge()
    mailbox.nudge()
    assert mailbox._wake_ups.qsize() == 1

    assert messages(mailbox, 1) == ["later"]


def test_a_timer_is_due_after_its_delay_and_not_before(clock):
    mailbox = Mailbox(clock)
    mailbox.schedule(5, "late")
    mailbox.schedule(3, "early")
    mailbox.put(Envelope("data"))
    clock.advance(2.9)

    assert messages(mailbox, 1) == ["data"]

    clock.advance(0.1)
    mailbox.put(Envelope("data"))

    assert messages(mailbox, 2) == ["early", "data"]

    clock.advance(100)

    assert messages(mailbox, 1) == ["late"]


def test_a_cancelled_timer_never_comes(clock):
    mailbox = Mailbox(clock)
    timer = mailbox.schedule(1, "never")
    mailbox.schedule(1, "always")
    timer.cancel()
    clock.advance(1)

    assert not timer.active
    assert messages(mailbox, 1) == ["always"]


def test_timers_due_at_the_same_time_come_in_the_order_of_scheduling(clock):
    mailbox = Mailbox(clock)
    for number in range(20):
        mailbox.schedule(1, number)
    clock.advance(1)

    assert messages(mailbox, 20) == list(range(20))


def test_a_waiting_get_returns_when_a_timer_is_due():
    mailbox = Mailbox()
    mailbox.schedule(0.01, "tick")

    assert mailbox.get().message == "tick"


def test_a_timer_set_by_another_thread_shortens_the_wait():
    mailbox = Mailbox()
    mailbox.schedule(3600, "hour")
    got = []
    thread = threading.Thread(target=lambda: got.append(mailbox.get().message))
    thread.start()
    mailbox.schedule(0, "now")
    thread.join(20)

    assert got == ["now"]


def test_a_very_long_timer_does_not_overflow():
    mailbox = Mailbox()
    mailbox.schedule(1e12, "never")
    threading.Timer(0.01, mailbox.put, [Envelope("data")]).start()

    assert mailbox.get().message == "data"


def test_a_subclass_that_draws_from_elsewhere_is_woken_by_the_same_bell():
    buffer = collections.deque()
    mailbox = Shared(buffer)
    got = []
    thread = threading.Thread(target=lambda: got.extend(messages(mailbox, 3)))
    thread.start()
    buffer.append(Envelope("shared"))
    mailbox.wake()
    mailbox.put(Envelope("own"))
    mailbox.put(Envelope(Urgent()))
    thread.join(20)

    assert {type(message).__name__ for message in got} == {"str", "Urgent"}
    assert mailbox.empty()
    assert not buffer


def test_waking_an_owner_that_is_awake_says_so():
    assert not Mailbox().wake()


def test_what_is_left_is_refused_at_the_close():
    mailbox = Mailbox()
    asked, stopped = pykka.ThreadingFuture(), pykka.ThreadingFuture()
    mailbox.put(Envelope("told"))
    mailbox.put(Envelope("asked", reply_to=asked))
    mailbox.put(Envelope(_ActorStop(), reply_to=stopped))
    undelivered = []
    mailbox.close(undelivered.append)

    assert undelivered == ["told"]
    assert stopped.get(timeout=1) is None
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=1)


def test_what_comes_after_the_close_is_refused_at_once():
    mailbox = Mailbox()
    undelivered = []
    mailbox.close(undelivered.append)
    asked = pykka.ThreadingFuture()
    mailbox.put(Envelope("told"))
    mailbox.put(Envelope("asked", reply_to=asked))

    assert undelivered == ["told"]
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=1)


@pytest.mark.parametrize("round_", range(30))
def test_no_message_is_lost_or_doubled_when_puts_race_with_the_close(round_):
    """Every put ends as exactly one of: got, handed over, answered."""
    mailbox = Mailbox()
    putters, each = 4, 200
    ready = threading.Barrier(putters + 1)
    futures = [[pykka.ThreadingFuture() for _ in range(each)] for _ in range(putters)]

    def put(putter):
        ready.wait()
        for number, future in enumerate(futures[putter]):
            mailbox.put(Envelope((putter, number), reply_to=future if number % 2 else None))

    threads = [threading.Thread(target=put, args=[putter]) for putter in range(putters)]
    for thread in threads:
        thread.start()
    ready.wait()
    seen = collections.Counter()
    for _ in range(round_ * 20):
        envelope = mailbox.get()
        seen[envelope.message] += 1
        if envelope.reply_to is not None:
            envelope.reply_to.set("handled")
    undelivered = []
    mailbox.close(undelivered.append)
    for thread in threads:
        thread.join(20)
    seen.update(undelivered)
    for putter in range(putters):
        for number in range(1, each, 2):
            try:
                futures[putter][number].get(timeout=5)
            except pykka.ActorDeadError:
                seen[(putter, number)] += 1

    assert seen == {(putter, number): 1 for putter in range(putters) for number in range(each)}


def test_many_putters_and_a_sleepy_owner_lose_nothing():
    mailbox = Mailbox()
    putters, each = 4, 3000

    def put(putter):
        for number in range(each):
            mailbox.put(Envelope((putter, number)))

    threads = [threading.Thread(target=put, args=[putter]) for putter in range(putters)]
    for thread in threads:
        thread.start()
    got = messages(mailbox, putters * each)
    for thread in threads:
        thread.join(20)

    assert mailbox.empty()
    for putter in range(putters):
        assert [number for who, number in got if who == putter] == list(range(each))


def test_timers_and_messages_together_lose_nothing():
    mailbox = Mailbox()
    due = time.monotonic()
    for number in range(200):
        mailbox.schedule(number / 10_000, ("timer", number))
        mailbox.put(Envelope(("data", number)))
    got = messages(mailbox, 400)

    assert time.monotonic() - due >= 0.0199
    assert [number for lane, number in got if lane == "data"] == list(range(200))
    assert [number for lane, number in got if lane == "timer"] == list(range(200))
