"""A stateful model of queue and settlement: whatever is done in whatever order, driver and model agree."""

from hypothesis import settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration, QueueOptions, Subscription
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import QueueFull

FOR_EVER = 3600.0


class QueueModel(RuleBasedStateMachine):
    """One queue, one dead-letter queue, at most one consumer. The model is lists of (message ID, attempts)."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = MemoryDriver()
        self.driver.open(lambda _error: None)
        self.subscription: Subscription | None = None
        self.held: list = []
        self.ready: list[tuple[str, int]] = []
        self.delayed: list[tuple[str, int]] = []
        self.dead: list[str] = []
        self.accepted: set[str] = set()
        self.acked: set[str] = set()

    @initialize(length=strategies.integers(1, 8), credit=strategies.integers(1, 5))
    def declare(self, length: int, credit: int) -> None:
        self.length, self.credit = length, credit
        self.driver.declare(QueueDeclaration(name="tasks", options=QueueOptions(max_length=length)))
        self.driver.declare(QueueDeclaration(name="dead", options=QueueOptions(max_length=3)))

    def teardown(self) -> None:
        self.driver.close()

    # ---- what may happen -----------------------------------------------------------------------------

    @rule(count=strategies.integers(1, 6))
    def publish(self, count: int) -> None:
        messages = [Message(new_message_id(), b"x", {}) for _ in range(count)]
        # A consumer with credit makes room while the batch goes in.
        free = self.length - len(self.ready) - len(self.delayed)
        room = free + (self.credit - len(self.held) if self.subscription and free > 0 else 0)
        accepted = count
        try:
            self.driver.publish("tasks", messages, 0)
        except QueueFull as full:
            accepted = full.accepted
        assert accepted == min(count, max(0, room))
        for message in messages[:accepted]:
            self.accepted.add(message.id)
            self.ready.append((message.id, 0))

    @precondition(lambda self: self.subscription is None)
    @rule()
    def subscribe(self) -> None:
        self.held = []
        self.subscription = self.driver.subscribe(
            "tasks", consumer="c", credit=self.credit, deliver=self.held.extend
        )

    @precondition(lambda self: self.subscription is not None)
    @rule(started=strategies.booleans())
    def close(self, started: bool) -> None:  # noqa: FBT001
        self.dispatch()
        for delivery in self.held:
            delivery.started = started
        self.subscription.close()
        counted = [(d.message.id, d.attempt if started else d.attempt - 1) for d in self.held]
        self.ready = counted + self.ready
        self.subscription, self.held = None, []

    @precondition(lambda self: self.held)
    @rule(data=strategies.data())
    def ack(self, data) -> None:
        delivery = self.draw(data)
        self.subscription.ack([delivery])
        self.subscription.hurry()
        self.acked.add(delivery.message.id)

    @precondition(lambda self: self.held)
    @rule(data=strategies.data(), later=strategies.booleans())
    def nack(self, data, later: bool) -> None:  # noqa: FBT001
        delivery = self.draw(data)
        self.subscription.nack(delivery, FOR_EVER if later else 0.0)
        (self.delayed if later else self.ready).append((delivery.message.id, delivery.attempt))

    @precondition(lambda self: self.held)
    @rule()
    def pause_and_release(self) -> None:
        self.dispatch()
        released, self.held = list(self.held), []
        self.subscription.pause()
        self.subscription.release(released)
        self.subscription.close()
        self.subscription = None
        self.ready = [(d.message.id, d.attempt - 1) for d in released] + self.ready

    @precondition(lambda self: self.held)
    @rule(data=strategies.data())
    def dead_letter(self, data) -> None:
        delivery = data.draw(strategies.sampled_from(self.held))
        moved = self.subscription.move(delivery, "dead", delivery.message)
        assert moved == (len(self.dead) < 3)
        if moved:
            self.held.remove(delivery)
            self.dead.append(delivery.message.id)
            self.subscription.hurry()

    @rule()
    def close_and_open_the_driver(self) -> None:
        self.dispatch()
        self.driver.close()
        self.ready = [(d.message.id, d.attempt - 1) for d in self.held] + self.ready
        self.subscription, self.held = None, []
        self.driver.open(lambda _error: None)

    def draw(self, data):
        delivery = data.draw(strategies.sampled_from(self.held))
        assert delivery.claim()
        self.held.remove(delivery)
        return delivery

    # ---- what must hold ------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """The model hands over what the driver has handed over: the oldest first, as far as credit goes."""
        if self.subscription is None:
            return
        known = {id_ for id_, _attempts in self.ready}
        new = [delivery for delivery in self.held if delivery.message.id in known]
        expected = self.ready[: len(new)]
        assert [(d.message.id, d.attempt - 1) for d in new] == expected
        del self.ready[: len(new)]
        assert len(self.held) == self.credit or not self.ready

    @invariant()
    def every_message_is_in_exactly_one_place(self) -> None:
        self.dispatch()
        places = [
            *(id_ for id_, _ in self.ready),
            *(id_ for id_, _ in self.delayed),
            *(delivery.message.id for delivery in self.held),
            *self.dead,
            *self.acked,
        ]
        assert sorted(places) == sorted(self.accepted)

    @invariant()
    def the_figures_agree(self) -> None:
        info = self.driver.info("tasks")
        assert (info.ready, info.in_flight, info.delayed) == (
            len(self.ready),
            len(self.held),
            len(self.delayed),
        )
        assert self.driver.info("dead").ready == len(self.dead)

    @invariant()
    def credit_is_never_exceeded(self) -> None:
        assert len(self.held) <= self.credit


def test_queue_and_settlement_agree_with_a_naive_model():
    run_state_machine_as_test(
        QueueModel, settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )
