"""The application that is measured, and how: shared by the benchmarks that need no server."""

import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from noria.actors import Runtime

BODY = {"id": "task-123", "action": "process"}
PYTHON = 'kind: function.python, source: "file://handlers"'
NO_OP = "def handler(body): pass"
SECURITY = "security: {actor: {id: worker}, policies: [allow]}"
LOOKING = "security: {actor: {id: worker}, policies: [allow_first_attempts]}"

DEFINITION = """
    namespace: bench
    entries:
      - {{name: memory, kind: queue.driver.memory}}
      - {{name: tasks, kind: queue.queue, driver: memory, options: {{max_length: 1000000}}}}
      - {{name: handler, {function}}}
      - name: allow
        kind: security.policy
        policy: {{actions: funcs.call, resources: "bench:*", effect: allow}}
      - name: allow_first_attempts
        kind: security.policy
        policy:
          actions: funcs.call
          resources: "bench:*"
          effect: allow
          conditions: [{{field: meta.message.attempt, operator: lte, value: 3}}]
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        concurrency: {concurrency}
        prefetch: {prefetch}
        lifecycle:
          auto_start: true
          {security}
"""


@contextmanager
def application(
    concurrency: int,
    prefetch: int = 10,
    handlers: str = NO_OP,
    security: str = SECURITY,
    function: str = PYTHON,
) -> Iterator[Runtime]:
    """A running application with one queue and one consumer."""
    with tempfile.TemporaryDirectory() as directory:
        definition = DEFINITION.format(
            concurrency=concurrency, prefetch=prefetch, security=security, function=function
        )
        Path(directory, "app.yaml").write_text(textwrap.dedent(definition))
        Path(directory, "handlers").write_text(handlers)
        with Runtime.load(directory) as runtime:
            yield runtime


class Cost:
    """CPU and wall seconds of a block."""

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cpu, self.wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
