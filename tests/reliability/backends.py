"""The application of these tests, and the entry of each driver: short leases, so that what the dead held is soon back.

Knows: the fields of the drivers' entries. Must not know: what is done to them.
"""

from pathlib import Path

CONCURRENCY = 4
PREFETCH = 20
APPLICATION = """
namespace: app
entries:
  - {driver}
  - {{name: tasks, kind: queue.queue, driver: driver, queue_name: {queue}}}
  - {{name: handler, kind: function.python, source: "file://handlers.py"}}
  - name: worker
    kind: queue.consumer
    queue: tasks
    func: handler
    concurrency: {concurrency}
    prefetch: {prefetch}
    lifecycle: {{auto_start: true}}
"""

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


def application(driver: str, queue: str) -> str:
    """The definition file: one queue of this name in the backend, one consumer."""
    return APPLICATION.format(driver=driver, queue=queue, concurrency=CONCURRENCY, prefetch=PREFETCH)
