"""The file: what it is made of, what can be wrong with it, and what noria says then."""

import sqlite3
import threading
from pathlib import Path

import pytest
from attrs import evolve

from noria.actors.delivery import Message, new_message_id
from noria.actors.driver import QueueDeclaration
from noria.actors.drivers.sqlite import SqliteConfig, SqliteDriver
from noria.actors.drivers.sqlite.database import as_driver_error
from noria.actors.drivers.sqlite.schema import APPLICATION_ID, STEPS, SchemaUnknown, migrate
from noria.actors.errors import DriverRefused, DriverUnavailable, QueueNotFound
from noria.actors.testing import PATIENCE, Receiver


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
def config(path: Path) -> SqliteConfig:
    return SqliteConfig(path=str(path), busy_timeout=0.3)


def refused(config: SqliteConfig) -> str:
    with pytest.raises(DriverRefused) as caught:
        SqliteDriver("sqlite", config).open(lambda _error: None)
    return caught.value.problem


def publish(driver: SqliteDriver, *bodies: bytes, timeout: float = PATIENCE) -> None:
    driver.publish("q", [Message(new_message_id(), body, {}) for body in bodies], timeout)


@pytest.fixture
def driver(config: SqliteConfig):
    with SqliteDriver("sqlite", config) as driver:
        driver.declare(QueueDeclaration(name="q"))
        yield driver


# ---- what cannot be opened ---------------------------------------------------------------------------


def test_a_missing_folder_is_named(config, path):
    problem = refused(evolve(config, path=str(path.parent / "nowhere" / "queues.db")))

    assert "there is no folder" in problem
    assert "nowhere" in problem


def test_a_folder_is_no_file(config, path):
    assert "is a folder" in refused(evolve(config, path=str(path.parent)))


def test_a_file_that_is_no_database_is_left_alone(config, path):
    path.write_bytes(b"once upon a time" * 500)

    assert "no SQLite database" in refused(config)
    assert path.read_bytes() == b"once upon a time" * 500


def test_a_database_of_another_program_is_left_alone(config, path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()

    assert "another program" in refused(config)


def test_what_a_newer_noria_wrote_is_left_alone(config, path):
    with SqliteDriver("sqlite", config):
        pass
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    newer.close()

    assert "upgrade noria" in refused(config)


def test_a_file_that_cannot_be_written_is_a_refusal(path):
    sqlite3.connect(path).close()
    path.touch()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    with pytest.raises(sqlite3.Error) as caught:
        connection.execute("CREATE TABLE x (y)")
    connection.close()

    error = as_driver_error(caught.value, "sqlite", path)
    assert isinstance(error, DriverRefused)
    assert "cannot be written" in str(error)


def test_a_locked_file_can_be_opened_later(config, path):
    with SqliteDriver("sqlite", config):
        pass
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(DriverUnavailable, match="locked by another program"):
        SqliteDriver("sqlite", config).open(lambda _error: None)

    holder.close()
    with SqliteDriver("sqlite", config):
        pass


# ---- what happens to an open one ---------------------------------------------------------------------


def test_a_publisher_hears_of_a_lock_and_settlements_wait_for_its_end(driver, path):
    publish(driver, b"1")
    receiver = Receiver()
    subscription = driver.subscribe("q", consumer="c", credit=1, deliver=receiver)
    [held] = receiver.take(1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    held.claim()
    subscription.ack([held])
    with pytest.raises(DriverUnavailable, match="locked") as caught:
        publish(driver, b"2", timeout=0)
    assert caught.value.accepted == 0
    holder.execute("COMMIT")
    holder.close()

    assert subscription.flush(PATIENCE)
    assert driver.info("q").message_count == 0
    publish(driver, b"3")
    assert receiver.take(1)[0].message.body == b"3"


def test_on_a_full_disk_publishers_hear_it_and_everything_else_goes_on(driver):
    publish(driver, b"first")
    receiver = Receiver()
    subscription = driver.subscribe("q", consumer="c", credit=1, deliver=receiver)
    [first] = receiver.take(1)
    connection = driver._session._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")

    with pytest.raises(DriverUnavailable, match="disk is full") as caught:
        publish(driver, *[b"x" * 4000] * 50)
    assert caught.value.accepted == 0
    first.claim()
    subscription.ack([first])
    assert subscription.flush(PATIENCE)
    assert driver.info("q").message_count == 0

    connection.execute("PRAGMA max_page_count = 1000000")
    publish(driver, *[b"x" * 4000] * 50)
    assert driver.info("q").message_count == 50


@pytest.mark.parametrize("replace", [True, False])
def test_a_file_that_is_taken_away_is_a_lost_backend(config, path, replace):
    failures: list[BaseException] = []
    failed = threading.Event()

    def hear(error: BaseException) -> None:
        failures.append(error)
        failed.set()

    driver = SqliteDriver("sqlite", config)
    driver.open(hear)
    driver.declare(QueueDeclaration(name="q"))

    path.rename(path.with_name("elsewhere"))
    if replace:
        path.write_bytes(b"")
    with pytest.raises(DriverUnavailable, match="removed or replaced"):
        publish(driver, b"to nowhere")

    assert failed.wait(PATIENCE)
    driver.close()
    assert [type(error) for error in failures] == [DriverUnavailable]


def test_damage_that_shows_late_ends_the_driver_and_its_restarts(config, path):
    with SqliteDriver("sqlite", config) as driver:
        driver.declare(QueueDeclaration(name="q"))
        publish(driver, *[bytes(2000)] * 500)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    failed = threading.Event()
    driver = SqliteDriver("sqlite", config)
    driver.open(lambda _error: failed.set())

    driver.subscribe("q", consumer="c", credit=1000, deliver=Receiver())
    assert failed.wait(PATIENCE)
    driver.close()

    with pytest.raises(DriverRefused, match="is damaged"):
        driver.open(lambda _error: None)


# ---- what it is made of ------------------------------------------------------------------------------


def test_an_older_file_is_brought_to_the_present_version_and_keeps_what_it_has(tmp_path):
    connection = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    migrate(connection, ["CREATE TABLE things (name TEXT);\n"])
    connection.execute("INSERT INTO things VALUES ('kept')")

    newer = ["not run again", "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7;\n"]
    migrate(connection, newer)
    migrate(connection, newer)

    assert connection.execute("SELECT * FROM things").fetchall() == [("kept", 7)]
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    with pytest.raises(SchemaUnknown, match="version 2"):
        migrate(connection, newer[:1])
    connection.close()


def test_a_batch_of_any_size_is_stored_in_order(driver):
    bodies = [str(number).encode() for number in range(2345)]

    publish(driver, *bodies)

    assert [found.message.body for found in driver.peek("q", 3000)] == bodies


def test_a_closed_driver_leaves_one_file(config, path):
    with SqliteDriver("sqlite", config) as driver:
        driver.declare(QueueDeclaration(name="q"))
        publish(driver, b"1")

    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_what_was_settled_before_closing_is_settled_although_the_file_is_locked_for_a_while(config, path):
    driver = SqliteDriver("sqlite", config)
    driver.open(lambda _error: None)
    driver.declare(QueueDeclaration(name="q"))
    publish(driver, b"1")
    receiver = Receiver()
    subscription = driver.subscribe("q", consumer="c", credit=1, deliver=receiver)
    [held] = receiver.take(1)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    held.claim()
    subscription.ack([held])

    unlock = threading.Timer(1.0, holder.execute, ["COMMIT"])
    unlock.start()
    driver.close()
    unlock.join()
    holder.close()

    with driver:
        assert driver.info("q").message_count == 0


# ---- settlements that come too late ------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["move", "note_start"])
def test_what_another_consumer_has_meanwhile_is_left_to_it(driver, verb):
    """Both are of one process, so the file alone cannot tell."""
    driver.declare(QueueDeclaration(name="dead"))
    publish(driver, b"1")
    receiver, heir = Receiver(), Receiver()
    late = driver.subscribe("q", consumer="late", credit=1, deliver=receiver)
    [held] = receiver.take(1)
    ask = late._ask

    def ask_too_late(task):
        late.close()
        driver.subscribe("q", consumer="heir", credit=1, deliver=heir)
        heir.take(1)
        return ask(task)

    late._ask = ask_too_late
    if verb == "move":
        assert late.move(held, "dead", held.message)
    else:
        with pytest.raises(DriverUnavailable):
            late.note_start(held)

    assert driver.info("q").in_flight == 1
    assert driver.info("dead").message_count == 0


# ---- what can still be read --------------------------------------------------------------------------


@pytest.fixture
def lock(config, path):
    """Another program that has the database for itself."""
    with SqliteDriver("sqlite", config) as driver:
        driver.declare(QueueDeclaration(name="q"))
        publish(driver, b"1", b"2")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield holder
        holder.close()


@pytest.fixture
def looker(config, lock):
    driver = SqliteDriver("sqlite", config)
    driver.open_to_look(lambda _error: None)
    yield driver
    driver.close()


def test_what_cannot_be_written_now_can_be_looked_at(looker):
    looker.declare(QueueDeclaration(name="q"))

    assert looker.info("q").ready == 2
    assert [each.message.body for each in looker.peek("q", 10)] == [b"1", b"2"]


def test_who_looks_changes_nothing(looker, lock, path):
    looker.declare(QueueDeclaration(name="q", options=SqliteDriver.queue_options(max_length=1)))

    assert lock.execute("SELECT max_length FROM queues").fetchall() == [(0,)]
    for change in (
        lambda: publish(looker, b"3", timeout=0),
        lambda: looker.purge("q"),
        lambda: looker.subscribe("q", consumer="c", credit=1, deliver=Receiver()),
    ):
        with pytest.raises(DriverUnavailable, match="is locked by another program"):
            change()


def test_nothing_is_in_a_queue_that_could_not_be_made_yet(looker):
    with pytest.raises(QueueNotFound):
        looker.info("new")
    looker.declare(QueueDeclaration(name="new"))

    assert looker.info("new").message_count == 0
    assert list(looker.peek("new", 1)) == []


def test_who_looks_sees_what_others_do_meanwhile(looker, lock):
    looker.info("q")
    lock.execute("UPDATE queues SET ready = 7 WHERE name = 'q'")
    lock.execute("COMMIT")

    assert looker.info("q").ready == 7


def test_who_looks_where_all_is_well_opens_it_as_everybody(config):
    driver = SqliteDriver("sqlite", config)
    driver.open_to_look(lambda _error: None)
    try:
        driver.declare(QueueDeclaration(name="q"))
        publish(driver, b"1")
        assert driver.info("q").ready == 1
    finally:
        driver.close()


def test_what_is_no_file_of_ours_is_not_looked_at(config, path):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DriverRefused, match="is damaged, or no SQLite database"):
        SqliteDriver("sqlite", config).open_to_look(lambda _error: None)


def test_a_file_without_tables_is_not_looked_at(config, path):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DriverUnavailable, match="is locked by another program"):
        SqliteDriver("sqlite", config).open_to_look(lambda _error: None)
    holder.close()


def test_a_purge_writes_little_of_what_it_removes(driver, path):
    """On a full disk there is no room for more; Debian's SQLite would write zeros over everything."""
    publish(driver, *[b"x" * 3000] * 2000)
    log = path.with_name(f"{path.name}-wal")
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert driver.purge("q") == 2000
    assert log.stat().st_size < 1_000_000


def test_no_room_for_what_processes_share_is_a_full_disk():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    assert "the disk is full" in str(as_driver_error(error, "sqlite", Path("queues.db")))
