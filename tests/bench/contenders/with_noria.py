"""noria. Both of its brokers as they are by default, apart from the prefetch."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from common import FOLDER, ON_REDIS, PREFETCH, QUEUE, URL, Body, Publish

from noria.actors import Runtime

DEFINITION = """
    namespace: bench
    entries:
      - {{name: broker, kind: queue.driver.{kind}, url: "{url}"}}
      - {{name: tasks, kind: queue.queue, driver: broker, queue_name: {queue}}}
      - {{name: handler, kind: function.python, source: "file://handlers.py", method: handled}}
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        concurrency: {workers}
        prefetch: {prefetch}
        lifecycle: {{auto_start: {consuming}}}
"""


def application(workers: int, *, consuming: bool) -> Path:
    folder = FOLDER / f"{QUEUE}-{workers}-{consuming}"
    folder.mkdir()
    definition = DEFINITION.format(
        kind="redis" if ON_REDIS else "amqp",
        url=URL,
        queue=QUEUE,
        workers=workers,
        prefetch=PREFETCH,
        consuming=str(consuming).lower(),
    )
    (folder / "app.yaml").write_text(dedent(definition))
    (folder / "handlers.py").write_text("from common import handled\n")
    return folder


def command(workers: int) -> list[str]:
    folder = application(workers, consuming=True)
    return [sys.executable, "-m", "noria.actors.cli", "run", str(folder), "--log-level", "warn"]


@contextmanager
def publisher() -> Iterator[Publish]:
    with Runtime.load(application(1, consuming=False)) as runtime:

        def publish(bodies: Iterable[Body]) -> None:
            for body in bodies:
                runtime.publish("bench:tasks", body)

        yield publish
