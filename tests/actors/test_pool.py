"""Who is woken for what lies in the buffer of a pool."""

import pytest

from noria.actors import Runtime
from noria.actors.delivery import Delivery, Message
from noria.actors.events import MessageAcked
from noria.actors.pool import MOST_COMING, WORK, Buffer, WorkerMailbox
from noria.actors.testing import PATIENCE


class Sleeper(WorkerMailbox):
    """The mailbox of a worker that is asleep, until it is woken."""

    def __init__(self, buffer: Buffer) -> None:
        super().__init__(buffer)
        self.is_woken = False
        self._sleeping = True

    def wake(self) -> bool:
        slept = super().wake()
        self.is_woken = self.is_woken or slept
        return slept


@pytest.fixture
def buffer() -> Buffer:
    return Buffer()


@pytest.fixture
def sleepers(buffer):
    def made(count: int) -> list[Sleeper]:
        mailboxes = [Sleeper(buffer) for _ in range(count)]
        for mailbox in mailboxes:
            assert mailbox._next() is None
        return mailboxes

    return made


def deliveries(count: int) -> list[Delivery]:
    return [Delivery(Message(str(number), b"", {}), None, 1, number) for number in range(count)]


def woken(mailboxes) -> list[Sleeper]:
    return [mailbox for mailbox in mailboxes if mailbox.is_woken]


def test_a_batch_wakes_the_one_who_fell_asleep_last(buffer, sleepers):
    mailboxes = sleepers(3)
    buffer.put(deliveries(10))

    assert woken(mailboxes) == [mailboxes[-1]]


def test_who_takes_wakes_the_next_one_as_long_as_something_is_left(buffer, sleepers):
    first, second, third = sleepers(3)
    buffer.put(deliveries(2))
    assert third._next() is WORK

    buffer.take(third)
    assert woken([first, second]) == [second]
    assert second._next() is WORK
    buffer.take(second)
    assert not first.is_woken


def test_there_is_an_end_to_how_many_are_on_their_way(buffer, sleepers):
    """However many deliveries those that are awake take meanwhile."""
    awake, *others = sleepers(MOST_COMING + 11)
    for _ in range(10 * MOST_COMING):
        buffer.put(deliveries(2))
        buffer.take(awake)

    assert len(woken(others)) == MOST_COMING
    come = woken(others)[0]
    assert come._next() is WORK
    buffer.take(come)
    assert len(woken(others)) == MOST_COMING + 1


def test_whoever_finds_nothing_left_may_be_woken_again(buffer, sleepers):
    mailboxes = sleepers(MOST_COMING)
    for _ in range(3):
        for delivery in deliveries(MOST_COMING):
            buffer.put([delivery])
        assert woken(mailboxes) == mailboxes
        buffer.drain()
        for mailbox in mailboxes:
            assert mailbox._next() is None
            mailbox.is_woken, mailbox._sleeping = False, True


def test_whoever_was_chosen_when_it_woke_up_by_itself_is_on_its_way_no_more(buffer, sleepers):
    [mailbox] = sleepers(1)
    buffer.put(deliveries(3))
    assert mailbox._next() is WORK
    buffer._idle.append(mailbox)  # as of its first look
    mailbox._sleeping = True
    buffer.rouse()
    buffer.take(mailbox)

    assert not buffer._coming


def test_who_is_not_asleep_is_passed_over(buffer, sleepers):
    asleep, busy = sleepers(2)
    busy._sleeping = False
    buffer.put(deliveries(1))

    assert asleep.is_woken
    assert buffer._coming == {asleep}


def test_a_wake_up_does_not_die_with_who_was_to_come(buffer, sleepers):
    other, dead = sleepers(2)
    buffer.put(deliveries(1))
    assert woken([other, dead]) == [dead]
    buffer.leave(dead)

    assert other.is_woken


def test_nobody_wakes_who_has_left(buffer, sleepers):
    other, gone = sleepers(2)
    buffer.leave(gone)
    buffer.put(deliveries(1))

    assert woken([other, gone]) == [other]


MEETING = """
    import threading
    everybody = threading.Barrier(150)
    def handler(body):
        everybody.wait(timeout=60)
"""


@pytest.mark.parametrize("batch", [1, 150])
def test_every_worker_comes_when_there_is_work_for_it(application, batch):
    """Each handler waits for all others, so a wake-up that was lost would leave them all waiting."""
    app = application(
        """
        namespace: app
        entries:
          - {name: memory, kind: queue.driver.memory}
          - {name: tasks, kind: queue.queue, driver: memory}
          - name: workers
            kind: queue.consumer
            queue: tasks
            func: meet
            concurrency: 150
            lifecycle: {auto_start: true}
          - {name: meet, kind: function.python, source: file://handlers.py}
        """,
        handlers=MEETING,
    )
    acked = []
    with Runtime.load(app) as runtime:
        runtime.bus.subscribe(acked.append, MessageAcked)
        for _ in range(10):
            for _ in range(150 // batch):
                runtime.publish_many("app:tasks", range(batch))
            runtime.wait_idle(timeout=PATIENCE)

    assert len(acked) == 1500
