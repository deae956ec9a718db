"""Clocks that are set, machines that boot, processes that are away for too long."""

import threading
from pathlib import Path

import pytest
from attrs import define, evolve

from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration, QueueOptions
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver
from noria.actors.drivers.sqlite.clock import DatabaseClock, MachineClock
from noria.actors.errors import DriverUnavailable
from noria.actors.testing import PATIENCE, Receiver

LEASE = 30.0


@define
class Machine:
    """A machine whose clocks a test moves."""

    wall: float = 1_700_000_000.0
    up: float = 1000.0
    boot: str = "first"

    @property
    def clock(self) -> MachineClock:
        return MachineClock(
            wall=lambda: self.wall, steady=lambda: self.up, awake=lambda: self.up, boot=self.boot
        )

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def make_driver(tmp_path: Path, machine: Machine):
    opened: list[SqliteDriver] = []

    def make(failed=lambda _error: None) -> SqliteDriver:
        config = SqliteConfig(path=str(tmp_path / "queues.db"), lease=LEASE)
        driver = SqliteDriver("sqlite", config, machine=machine.clock)
        driver.open(failed)
        driver.declare(QueueDeclaration(name="q", options=QueueOptions(message_ttl=100)))
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.close()


def publish(driver: SqliteDriver, *bodies: bytes) -> None:
    driver.publish("q", [Message(new_message_id(), body, {}) for body in bodies], PATIENCE)


def subscribe(driver: SqliteDriver, credit: int = 10) -> Receiver:
    receiver = Receiver()
    driver.subscribe("q", consumer="c", credit=credit, deliver=receiver)
    return receiver


def nack(delivery, delay: float) -> None:
    assert delivery.claim()
    delivery.subscription.nack(delivery, delay)
    assert delivery.subscription.flush(PATIENCE)


# ---- the clock ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_the_time_of_the_database_does_not_see_the_wall_clock_set(machine, step):
    clock = DatabaseClock(machine.clock)
    clock.take_up(None)
    before = clock.now()

    machine.wall += step
    machine.pass_time(5)

    assert clock.now() == before + 5000
    another = DatabaseClock(machine.clock)
    another.take_up(clock.mark())
    assert another.now() == clock.now()


@pytest.mark.parametrize(("off", "counted"), [(3600.0, 3600.0), (-50.0, 0.0)])
def test_after_a_boot_the_wall_clock_says_how_long_the_machine_was_off(machine, off, counted):
    clock = DatabaseClock(machine.clock)
    clock.take_up(None)
    mark = clock.mark()

    machine.wall, machine.up, machine.boot = machine.wall + off, 3.0, "second"
    later = DatabaseClock(machine.clock)
    later.take_up(mark)

    assert later.now() == mark.time + counted * 1000


def test_a_boot_is_seen_without_its_name(machine):
    machine.boot = ""
    clock = DatabaseClock(machine.clock)
    clock.take_up(None)
    mark = clock.mark()

    machine.up = 3.0
    later = DatabaseClock(machine.clock)
    later.take_up(mark)

    assert later.now() == mark.time


# ---- delays and ages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_a_delay_passes_as_if_nobody_had_set_the_clock(make_driver, machine, step):
    driver = make_driver()
    publish(driver, b"later")
    receiver = subscribe(driver)
    nack(receiver.take(1)[0], delay=60)

    machine.wall += step
    machine.pass_time(59)
    assert driver.info("q").delayed == 1
    machine.pass_time(2)
    driver.info("q")

    [again] = receiver.take(1)
    assert not again.is_expired


def test_a_delay_goes_on_after_a_boot(make_driver, machine):
    driver = make_driver()
    publish(driver, b"later")
    nack(subscribe(driver).take(1)[0], delay=60)
    driver.close()

    machine.wall, machine.up, machine.boot = machine.wall + 61, 5.0, "second"
    heir = make_driver()

    assert subscribe(heir).take(1)[0].message.body == b"later"


def test_age_is_counted_on_the_same_clock(make_driver, machine):
    driver = make_driver()
    publish(driver, b"old")
    machine.pass_time(99)
    publish(driver, b"young")
    machine.wall -= 86_400
    machine.pass_time(2)

    deliveries = subscribe(driver).take(2)

    assert [delivery.is_expired for delivery in deliveries] == [True, False]


# ---- leases ------------------------------------------------------------------------------------------


def test_a_process_that_was_away_for_too_long_has_lost_what_it_held_and_learns_it(make_driver, machine):
    lost: list[BaseException] = []
    noticed = threading.Event()

    def hear(error: BaseException) -> None:
        lost.append(error)
        noticed.set()

    away, living = make_driver(hear), make_driver()
    publish(away, b"held")
    [held] = subscribe(away).take(1)

    with away._session._turn:  # it does nothing, as a stopped process
        machine.pass_time(LEASE / 2)
        living.info("q")
        machine.pass_time(LEASE / 2 + 1)
        heir = subscribe(living)
        [inherited] = heir.take(1)
        held.claim()
        held.subscription.ack([held])

    assert noticed.wait(PATIENCE)
    assert "silent for longer than its lease" in str(lost[0])
    assert inherited.is_suspect
    assert living.info("q").in_flight == 1


def test_a_process_that_others_took_for_dead_takes_nothing_more(make_driver, machine):
    """It would be held in the name of nobody, and so for ever."""
    errors: list[BaseException] = []
    noticed = threading.Event()

    def hear(error: BaseException) -> None:
        errors.append(error)
        noticed.set()

    buried = make_driver(hear)
    taken = subscribe(buried)
    # Its turn to look must not come while the other one seems to be of another machine to it: it would bury that first.
    with buried._session._turn:
        machine.boot = "another"
        living = make_driver()
        machine.boot = "first"
        assert living.info("q").consumer_count == 0

    publish(living, b"1")
    with pytest.raises(DriverUnavailable, match="others have taken over"):
        publish(buried, b"2")

    assert noticed.wait(PATIENCE)
    assert taken.waiting == 0
    assert [delivery.message.body for delivery in subscribe(living).take(1)] == [b"1"]


def test_a_lease_outlives_a_slow_handler_and_a_set_clock(make_driver, machine):
    busy, other = make_driver(), make_driver()
    publish(busy, b"slow")
    [held] = subscribe(busy).take(1)
    receiver = subscribe(other)

    for _ in range(12):
        machine.wall -= 86_400
        machine.pass_time(LEASE / 4)
        busy.info("q")
        other.info("q")

    assert receiver.waiting == 0
    assert held.claim()
    held.subscription.ack([held])
    assert held.subscription.flush(PATIENCE)
    assert other.info("q").message_count == 0


def test_after_a_boot_nobody_of_before_lives(make_driver, machine, tmp_path):
    dead = make_driver()
    publish(dead, b"held")
    subscribe(dead).take(1)
    with dead._session._turn:
        machine.boot = "second"
        machine.up = 5.0

        heir = make_driver()

        assert subscribe(heir).take(1)[0].is_suspect


def test_a_machine_clock_reads_this_machine():
    clock = MachineClock()
    assert clock.steady() > 0
    assert clock.boot == evolve(clock).boot
