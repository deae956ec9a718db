"""The figures that are kept in a queue's row are those of its messages, whatever happens."""

import random
import sqlite3
import threading
from collections import deque
from pathlib import Path

import pytest

from noria.actors.delivery import Delivery, Message, new_message_id
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver
from noria.actors.drivers.sqlite.schema import COUNT_BITS
from noria.actors.errors import DriverRefused
from noria.actors.testing import PATIENCE

QUEUES = ("a", "b")


class Actor:
    """A process that does this and that."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.driver = SqliteDriver(str(seed), SqliteConfig(path=str(path), synchronous="normal"))
        self.driver.open(lambda _error: None)
        for queue in QUEUES:
            self.driver.declare(QueueDeclaration(name=queue))
        self.held: deque[Delivery] = deque()
        self.subscribe()

    def subscribe(self) -> None:
        self.subscriptions = [
            self.driver.subscribe(
                queue, consumer="c", credit=self.random.randint(1, 30), deliver=self.held.extend
            )
            for queue in QUEUES
        ]

    def act(self) -> None:
        queue = self.random.choice(QUEUES)
        choice = self.random.randrange(12)
        if choice < 4:
            made = [Message(new_message_id(), b"x", {}) for _ in range(self.random.choice((1, 3, 70)))]
            self.driver.publish(queue, made, PATIENCE)
        elif choice < 10:
            self.settle(choice, queue)
        elif choice == 10:
            self.random.choice(self.subscriptions).close()
            self.subscribe()
        elif self.random.random() < 0.2:
            self.driver.purge(queue)

    def settle(self, choice: int, queue: str) -> None:
        for _ in range(min(len(self.held), self.random.randint(1, 20))):
            delivery = self.held.popleft()
            subscription = delivery.subscription
            if not delivery.claim():
                continue
            if choice == 4:
                subscription.release([delivery])
            elif choice == 5:
                subscription.nack(delivery, self.random.choice((0.0, 0.01, 3600.0)))
            elif choice == 6:
                subscription.move(delivery, queue, delivery.message)
            else:
                subscription.ack([delivery])

    def run(self) -> None:
        for _ in range(150):
            self.act()


def check(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")  # a delay may end, and a consumer take, between one look and the next
    rows = connection.execute("SELECT number, next, head, top, ready, in_flight, delayed FROM queues")
    for number, following, head, top, ready, in_flight, delayed in rows.fetchall():
        found = connection.execute(
            "SELECT owner, position FROM messages WHERE position >> ? = ?", (COUNT_BITS, number)
        ).fetchall()
        waiting = [position for owner, position in found if not owner]
        flying = [position for owner, position in found if owner]
        assert (len(waiting), len(flying)) == (ready, in_flight)
        assert connection.execute("SELECT count(*) FROM delayed WHERE queue = ?", (number,)).fetchone() == (
            delayed,
        )
        assert all(head <= position < following for position in waiting)
        assert all(position < top <= following for position in flying)
    connection.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_figures_are_true_after_anything(tmp_path, seed):
    path = tmp_path / "queues.db"
    actors = [Actor(path, seed * 10 + number) for number in range(2)]

    threads = [threading.Thread(target=actor.run) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert not any(thread.is_alive() for thread in threads)
    for actor in actors:
        actor.driver.info("a")
    check(path)
    for actor in actors:
        actor.driver.close()
    check(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT sum(in_flight), count(*) FROM queues").fetchone() == (0, 2)
    assert connection.execute("SELECT * FROM owners").fetchall() == []
    connection.close()


def test_what_no_file_can_keep_is_refused_and_harms_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("noria.actors.drivers.sqlite.driver.LARGEST_BODY", 10)
    with SqliteDriver("sqlite", SqliteConfig(path=str(tmp_path / "queues.db"))) as driver:
        driver.declare(QueueDeclaration(name="a"))

        with pytest.raises(DriverRefused, match="11 bytes"):
            driver.publish("a", [Message("1", b"x" * 11, {})], 0)
        with pytest.raises(DriverRefused, match="ID"):
            driver.publish("a", [Message("\ud800", b"x", {})], 0)

        driver.publish("a", [Message("1", b"x" * 10, {"name": "\ud800"})], 0)
        assert [found.message.headers for found in driver.peek("a", 5)] == [{"name": "\ud800"}]
