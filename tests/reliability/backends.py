"""The entry of each driver as these tests use it: short leases, so that what a dead process held comes back soon.

Knows: the fields of the drivers' entries. Must not know: what is done to them.
"""

from pathlib import Path

LEASE = "2s"
# Recovery is what the tests wait for, again and again.
RESTART = "lifecycle: {restart: {initial_delay: 50ms, max_delay: 500ms}}"


def sqlite(folder: Path) -> str:
    """One file that several processes share."""
    return (
        f"{{name: driver, kind: queue.driver.sqlite, path: {folder}/messages.db, lease: {LEASE}, {RESTART}}}"
    )


def redis(url: str) -> str:
    """A Redis whose URL may lead through a proxy."""
    return f"{{name: driver, kind: queue.driver.redis, url: '{url}', lease: {LEASE}, socket_timeout: 2s, {RESTART}}}"


def amqp(url: str) -> str:
    """A RabbitMQ whose URL may lead through a proxy."""
    return f"{{name: driver, kind: queue.driver.amqp, url: '{url}', heartbeat: 2s, {RESTART}}}"
