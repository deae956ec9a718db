"""Queues in one SQLite file: durable, shared by the processes of one machine, no server.

Knows: the driver and its config class. Must not know: how they work.

Read driver.py, then session.py: a session is the time between open and close, and does everything in rounds of one
transaction each.
"""

from .config import SqliteConfig
from .driver import SqliteDriver

__all__ = ["SqliteConfig", "SqliteDriver"]
