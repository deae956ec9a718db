"""What every entry that runs as an actor has: when it starts, what it needs, how it is restarted and as whom it acts.

Knows: the fields of `lifecycle` and their limits. Must not know: what the services do.
"""

from collections.abc import Iterator
from typing import Literal

from attrs import asdict, frozen

from ..registry import Duration, Entry, EntryID, Registry, between, reference
from ..registry.kinds import Complaint
from ..security import SecurityBlock, check_security_block
from .supervision import Backoff

Complaints = Iterator[Complaint]


@frozen(kw_only=True)
class RestartConfig:
    """`restart:`: how a failed service is started again. `max_attempts: 0` means without limit."""

    initial_delay: Duration = between(0, default=1.0)
    max_delay: Duration = between(0, default=90.0)
    backoff_factor: float = between(1, 1000, default=2.0)
    jitter: float = between(0, 1, default=0.1)
    max_attempts: int = between(0, default=0)

    def backoff(self) -> Backoff:
        """The delays between the attempts."""
        return Backoff(**asdict(self))


@frozen(kw_only=True)
class Lifecycle:
    """`lifecycle:`: when a service starts, what it needs, how it is restarted and as whom it acts."""

    auto_start: bool | None = None
    startup: Literal["required", "optional"] = "required"
    requires: tuple[EntryID, ...] = reference(default=())
    depends_on: tuple[EntryID, ...] = reference(default=())
    start_timeout: Duration = between(0.001, default=10.0)
    stop_timeout: Duration = between(0, default=10.0)
    stable_threshold: Duration = between(0, default=5.0)
    restart: RestartConfig = RestartConfig()
    security: SecurityBlock | None = None


@frozen(kw_only=True)
class ServiceConfig:
    """What every entry that runs as an actor has."""

    lifecycle: Lifecycle = Lifecycle()


def check_service(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with the `lifecycle` of a service."""
    block = entry.config.lifecycle.security
    if block is not None:
        for path, message in check_security_block(block, entry, registry):
            yield f"lifecycle.security.{path}" if path else "lifecycle.security", message
