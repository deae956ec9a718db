"""What runs: supervised actors, drivers, queues, consumers, workers, and the runtime that wires them.

Inside a handler: `message`, `publish`, `call`, `context`, and `Retry` or `Reject` to raise. Around it: `Runtime`.
Without any queue: `supervise`, `ChildSpec` and the rest of supervision.

Each name is imported when it is asked for: what needs only a part of this package, as `noria --help` does, starts at
once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .current import call, context, message, publish, publish_many, start_thread
    from .drain_report import DrainReport
    from .errors import ActorsError, Reject, Retry
    from .runtime import Runtime
    from .supervision import (
        Backoff,
        ChildSpec,
        Intensity,
        Restart,
        Strategy,
        Supervised,
        Supervisor,
        supervise,
    )

_HOMES = {
    "current": ("call", "context", "message", "publish", "publish_many", "start_thread"),
    "drain_report": ("DrainReport",),
    "errors": ("ActorsError", "Reject", "Retry"),
    "runtime": ("Runtime",),
    "supervision": (
        "Backoff",
        "ChildSpec",
        "Intensity",
        "Restart",
        "Strategy",
        "Supervised",
        "Supervisor",
        "supervise",
    ),
}

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


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            found = getattr(import_module(f".{home}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
