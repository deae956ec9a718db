"""What may stand in a `queue.driver.sqlite` entry.

Knows: fields, defaults and limits. Must not know: databases.
"""

from typing import Literal

from attrs import frozen

from ....registry import Duration, between
from ...driver import DriverConfig
from .driver import SqliteDriver


@frozen(kw_only=True)
class SqliteConfig(DriverConfig):
    """`queue.driver.sqlite`: the queues of one file.

    Attributes:
        path: the file, made if it is not there; relative to the folder of the definition file.
        synchronous: `full` survives a power failure; `normal` survives any end of the process, but the last moments
            before a power failure may be lost. `full` waits for the disk once for each transaction.
        busy_timeout: how long a publisher waits while another program has the database locked.
        lease: how long a process may be silent before others take over what it holds. One that is seen to be dead
            does not get that long.
    """

    driver = SqliteDriver

    path: str
    synchronous: Literal["normal", "full"] = "full"
    busy_timeout: Duration = between(0.01, 600, default=5.0)
    lease: Duration = between(1, 86400, default=30.0)
