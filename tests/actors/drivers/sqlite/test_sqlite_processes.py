"""Real processes on one file, killed and stopped."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver
from noria.actors.testing import PATIENCE, Receiver

HOLDER = """
import sys, threading
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver

driver = SqliteDriver("holder", SqliteConfig(path=sys.argv[1], lease=float(sys.argv[2])))
driver.open(lambda error: print("lost", flush=True))
driver.subscribe("q", consumer="c", credit=5, deliver=lambda taken: print("holds", len(taken), flush=True))
sys.stdin.read()
driver.close()
print("closed", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
def driver(path: Path) -> Iterator[SqliteDriver]:
    with SqliteDriver("sqlite", SqliteConfig(path=str(path))) as driver:
        driver.declare(QueueDeclaration(name="q"))
        yield driver


@pytest.fixture
def hold(path: Path, tmp_path: Path) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    """Another process that takes five messages and keeps them."""
    script = tmp_path / "holder.py"
    script.write_text(textwrap.dedent(HOLDER))
    started: list[subprocess.Popen[str]] = []

    def begin(lease: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, script, path, str(lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "holds 5\n"
        return process

    yield begin
    for process in started:
        with process:  # waits for it, and closes its pipes
            process.kill()


def publish(driver: SqliteDriver, count: int) -> None:
    driver.publish("q", [Message(new_message_id(), b"x", {}) for _ in range(count)], PATIENCE)


def subscribe(driver: SqliteDriver) -> Receiver:
    receiver = Receiver()
    driver.subscribe("q", consumer="c", credit=10, deliver=receiver)
    return receiver


def test_what_a_killed_process_held_comes_back_long_before_its_lease_is_over(driver, path, hold):
    publish(driver, 5)
    process = hold(3600)
    receiver = subscribe(driver)

    process.kill()

    assert all(delivery.is_suspect and delivery.attempt == 1 for delivery in receiver.take(5))
    assert len(list(path.parent.glob("*-bell-*"))) == 1


def test_a_stopped_process_loses_its_lease_and_learns_it_when_it_goes_on(driver, hold):
    publish(driver, 5)
    process = hold(1)
    receiver = subscribe(driver)

    process.send_signal(signal.SIGSTOP)
    receiver.take(5)
    process.send_signal(signal.SIGCONT)

    assert process.stdout.readline() == "lost\n"


def test_a_process_that_ends_well_gives_everything_back_unsuspected(driver, hold):
    publish(driver, 5)
    process = hold(3600)
    receiver = subscribe(driver)
    assert driver.info("q").consumer_count == 2

    process.stdin.close()

    assert process.stdout.readline() == "closed\n"
    assert not any(delivery.is_suspect for delivery in receiver.take(5))
    assert driver.info("q").consumer_count == 1
