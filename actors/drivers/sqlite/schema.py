"""The tables, their version, and the way from an older version to this one.

Knows: SQL that defines. Must not know: queues' rules, threads.

A position is the number of a queue and a count within it in one integer, so that the messages of a queue lie together
in their order without an index. A message that is in flight stays where it is and gets an owner; one that is delayed
lies in a table of its own until its time has come, and is then put behind the others.
"""

import sqlite3
from collections.abc import Sequence

# The second half of a position: a queue takes a million million messages, a thousand each second for 34 years.
COUNT_BITS = 40
# In the header of the file: whose it is ("nria").
APPLICATION_ID = 0x6E726961

_FIRST = """
CREATE TABLE queues (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next INTEGER NOT NULL,         -- the position of the next message
    head INTEGER NOT NULL,         -- no ready message lies before it
    top INTEGER NOT NULL,          -- no message in flight lies behind it
    ready INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    max_length INTEGER NOT NULL DEFAULT 0,
    message_ttl INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE messages (
    position INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,        -- 0: ready; else the process that has it in flight
    attempts INTEGER NOT NULL,
    suspect INTEGER NOT NULL,      -- a process died with it
    started INTEGER NOT NULL,      -- and its present one is said to run a handler with it
    published INTEGER NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE delayed (
    number INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    published INTEGER NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX delayed_by_due ON delayed (due, number);
CREATE TABLE owners (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    boot TEXT NOT NULL,
    beat REAL NOT NULL,
    lease REAL NOT NULL
);
CREATE TABLE consumers (
    queue INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    count INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    PRIMARY KEY (queue, owner)
) WITHOUT ROWID;
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    wall INTEGER NOT NULL,
    time INTEGER NOT NULL
);
"""

# The first makes version 1 of an empty file, the next one makes version 2 of version 1, and so on. What was released
# is never changed.
STEPS: tuple[str, ...] = (_FIRST,)


class SchemaUnknown(Exception):
    """The file is not one that this version of noria can use. Its text says why, and what to do."""


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Bring the file to the latest version, inside the transaction that is open.

    Raises:
        SchemaUnknown: it is of something else, or of a newer noria.
    """
    for step in steps[version_of(connection, len(steps)) :]:
        for statement in step.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(steps)}")


def version_of(connection: sqlite3.Connection, latest: int = len(STEPS)) -> int:
    """The version of the tables; 0 for an empty file.

    Raises:
        SchemaUnknown: it is of something else, or of a newer noria.
    """
    application: int
    version: int
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise SchemaUnknown("it is the database of another program: give the driver a file of its own")
    if version > latest:
        raise SchemaUnknown(
            f"it was written by a newer noria (version {version} of its tables, this one knows {latest}):"
            " upgrade noria"
        )
    return version
