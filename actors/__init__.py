"""What runs: supervised actors, drivers, queues, consumers, workers, and the runtime that wires them.

Inside a handler: `message`, `publish`, `context`, and `Retry` or `Reject` to raise. Around it: `Runtime`. Without any
queue: `supervise`, `ChildSpec` and the rest of supervision.
"""

from .child import ChildSpec
from .current import context, message, publish, publish_many, start_thread
from .errors import ActorsError, Reject, Retry
from .restart import Backoff, Intensity, Restart, Strategy
from .runtime import DrainReport, Runtime
from .supervised import Supervised
from .supervision import supervise
from .supervisor import Supervisor

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
    "context",
    "message",
    "publish",
    "publish_many",
    "start_thread",
    "supervise",
]
