"""The file: opening it, and what its errors mean.

Knows: sqlite3. Must not know: queues, sessions.
"""

import errno
import sqlite3
from pathlib import Path

from ...errors import ActorsError, DriverRefused, DriverUnavailable

# SQLite waits so long for a lock at a time; whoever needs longer asks again, and can be stopped in between.
LOCK_STEP_MS = 200

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NOT_WRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection in autocommit mode, for one thread at a time."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=LOCK_STEP_MS / 1000
    )
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # Debian's SQLite writes zeros over what is removed: all of it goes through the log, and a purge needs as much
        # room as it gives.
        connection.execute("PRAGMA secure_delete = FAST")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def use_write_ahead_log(connection: sqlite3.Connection) -> bool:
    """Readers and the writer do not wait for each other; False if this file system cannot do it."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return str(mode) == "wal"


def check(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError if the file is damaged somewhere."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def is_locked(error: BaseException) -> bool:
    """Whether another program has the database locked: it will go away."""
    return _code(error) in _LOCKED


def is_full(error: BaseException) -> bool:
    """Whether the disk, or what the file may take of it, is full."""
    is_too_small = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHMSIZE
    has_no_space = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return _code(error) == sqlite3.SQLITE_FULL or is_too_small or has_no_space


def is_read_only(error: BaseException | None) -> bool:
    """Whether we have no right to write the file, or beside it."""
    return isinstance(error, PermissionError) or (error is not None and _code(error) in _NOT_WRITABLE)


def as_driver_error(error: BaseException, driver: str, path: Path) -> ActorsError:
    """What noria says instead of what SQLite said."""
    if isinstance(error, ActorsError):
        return error
    problem = _terminal_problem(error, path)
    if problem is not None:
        return DriverRefused(driver, problem)
    if is_full(error):
        return DriverUnavailable(driver, f"{path}: the disk is full")
    if is_locked(error):
        return DriverUnavailable(driver, f"{path} is locked by another program")
    return DriverUnavailable(driver, f"{path}: {error}")


def _terminal_problem(error: BaseException, path: Path) -> str | None:
    """What trying again will not mend."""
    problem = None
    match _code(error):
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            problem = (
                f"{path} is damaged, or no SQLite database ({error}): put it aside, and save what can be read"
                " with `sqlite3 FILE .recover`"
            )
        case code if code in _NOT_WRITABLE:
            problem = f"{path} cannot be written ({error}): the file and its folder must be writable"
        case sqlite3.SQLITE_CANTOPEN if not path.parent.is_dir():
            problem = f"there is no folder {path.parent}: make it, or correct path"
        case sqlite3.SQLITE_CANTOPEN if path.is_dir():
            problem = f"{path} is a folder: path names a file"
        case _ if isinstance(error, PermissionError):
            problem = f"the folder {path.parent} must be writable"
    return problem


def _code(error: BaseException) -> int | None:
    """The primary result code: the extended one says more than anybody needs here."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
