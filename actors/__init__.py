"""What runs: supervised actors, drivers, queues, consumers, workers, and the runtime that wires them.

Inside a handler: `message`, `publish`, `call`, `context`, and `Retry` or `Reject` to raise. Around it: `Runtime`.
Without any queue: `supervise`, `ChildSpec` and the rest of supervision.
"""

from .current import call, context, message, publish, publish_many, start_thread
from .drain_report import DrainReport
from .errors import ActorsError, Reject, Retry
from .runtime import Runtime
from .supervision import Backoff, ChildSpec, Intensity, Restart, Strategy, Supervised, Supervisor, supervise

__all__ = [
    "ActorsError",
    "Backoff",
    "ChildSpec",
    "DrainReport",
    "Intensity",
    "Reject",
    "Restart",
    "Retry",
    "Runtime",
    "Strategy",
    "Supervised",
    "Supervisor",
    "call",
    "context",
    "message",
    "publish",
    "publish_many",
    "start_thread",
    "supervise",
]
