"""The application that `noria init` writes: its files, as texts.

Knows: a first application. Must not know: where it is written. `tests/cli/test_init.py` checks and runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DEFINITION: Final = """\
# What exists in this application. Every .yaml, .yml and .json file below this directory may declare entries.
# `noria check` says whether they are valid, `noria graph` draws them.
version: "1.0"
namespace: app

entries:
  # Where messages are kept. This driver keeps them in memory: they end with the process.
  - name: memory_driver
    kind: queue.driver.memory
    lifecycle:
      auto_start: true

  # A queue. A message that fails three times goes to the dead-letter queue.
  - name: greetings
    kind: queue.queue
    meta:
      comment: Whom to greet
    driver: memory_driver
    options:
      max_length: 1000 # a publisher waits while the queue is full
    dead_letter:
      queue: dead_letters
      max_attempts: 3

  - name: dead_letters
    kind: queue.queue
    driver: memory_driver

  # Four workers take messages from the queue and call the function for each.
  - name: greeter
    kind: queue.consumer
    queue: greetings
    func: greet
    concurrency: 4 # workers
    prefetch: 20 # messages held at once
    timeout: 10s # for one call of the handler
    lifecycle:
      auto_start: true
      # As whom the workers act, and what they may do. Without a policy that allows it, nothing is called.
      security:
        actor:
          id: greeter
        policies:
          - may_greet

  # The handler: a function of a file.
  - name: greet
    kind: function.python
    source: file://handlers.py
    method: greet

  - name: may_greet
    kind: security.policy
    policy:
      actions: funcs.call
      resources: app:greet
      effect: allow
"""

_HANDLERS: Final = '''\
"""What is done with each message."""

from noria.actors import Reject, message


def greet(body):
    """Greet somebody. Returning means done; an exception means: again, later."""
    if not isinstance(body, dict):
        raise Reject("expected an object")  # straight to the dead-letter queue
    if "name" not in body:
        raise ValueError("nobody to greet")  # tried again, three times in all
    # In one piece: four workers print at once.
    print(f"Hello, {body['name']}! (attempt {message.attempt})\\n", end="")
'''

_INPUT: Final = """\
{"name": "Ada"}
{"name": "Grace"}
{"surname": "Nobody"}
{"name": "Alan"}
{"name": "Edsger"}
"""

_README: Final = """\
# A first application

| file | what it is |
| --- | --- |
| `app.yaml` | what exists: a driver, queues, a consumer, a function, a policy |
| `handlers.py` | what is done with a message |
| `input.jsonl` | messages to try it with, one JSON value a line |
| `.noria.yaml` | how the runtime itself behaves |

    noria check DIRECTORY
    noria run DIRECTORY --publish app:greetings=DIRECTORY/input.jsonl --until-idle
    noria graph DIRECTORY

The third message has no name: it fails three times and ends in the dead-letter queue, as the summary tells.
Leave `--until-idle` out and the application goes on until you press Ctrl-C.
Type messages yourself with `--publish app:greetings=-`.
"""

_SETTINGS: Final = """\
# How the runtime behaves; every line may be left out. What is here is the default.
security:
  strict_mode: false # true: what has no principal or no policies may do nothing

shutdown:
  timeout: 30s # for the whole stop

logger:
  level: info # debug, info, warn or error
  format: auto # a live view on a terminal, JSON lines elsewhere; or text, or json
"""

FILES: Final[Mapping[str, str]] = {
    "app.yaml": _DEFINITION,
    "handlers.py": _HANDLERS,
    "input.jsonl": _INPUT,
    "README.md": _README,
    ".noria.yaml": _SETTINGS,
}
