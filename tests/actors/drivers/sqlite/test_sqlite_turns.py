"""Writers of several processes take turns."""

import threading
from pathlib import Path

import pytest

from noria.actors.delivery import Message
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver, turnstile
from noria.actors.drivers.sqlite.turnstile import Turnstile
from noria.actors.testing import PATIENCE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def test_who_comes_later_waits_for_who_stands_in_it(path, monkeypatch):
    monkeypatch.setattr(turnstile, "PATIENCE", PATIENCE)
    first, second = Turnstile(path), Turnstile(path)
    is_in = threading.Event()

    def come() -> None:
        second.enter()
        is_in.set()

    first.enter()
    later = threading.Thread(target=come)
    later.start()
    assert not is_in.is_set()
    first.leave()

    assert is_in.wait(PATIENCE)
    later.join()
    first.close()
    second.close()


def test_nobody_waits_for_ever_for_one_who_was_stopped_in_it(path):
    stopped, living = Turnstile(path), Turnstile(path)
    stopped.enter()

    living.enter()

    living.leave()
    stopped.close()
    living.close()


def test_one_that_writes_without_a_pause_does_not_keep_others_out(tmp_path):
    config = SqliteConfig(path=str(tmp_path / "queues.db"), busy_timeout=PATIENCE)
    is_enough = threading.Event()
    with SqliteDriver("busy", config) as busy, SqliteDriver("other", config) as other:
        busy.declare(QueueDeclaration(name="q"))

        def write() -> None:
            while not is_enough.is_set():
                busy.publish("q", [Message("m", b"x", {})], PATIENCE)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(20):
            other.publish("q", [Message("m", b"x", {})], PATIENCE)
        is_enough.set()
        writer.join(PATIENCE)

        assert not writer.is_alive()
