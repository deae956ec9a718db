"""How long a message waits in which delay queue.

Knows: arithmetic, names, arguments. Must not know: pika, connections.

RabbitMQ lets messages expire at the head of a queue only, so a queue holds messages of one delay; delays are
rounded up to one of a few steps, so that there are few queues. They are quorum queues, which let a message go only once
it is safe where it goes; a queue that does not survive the broker has classic ones. A classic queue that nobody declares
again is deleted by the broker some time after the last message has left it. A quorum queue stays: RabbitMQ does not
count it as use when it is declared again (seen with 3.10), and would delete it together with its messages.
"""

from bisect import bisect_left
from typing import Any

from .options import QueueType, dead_lettering_to, type_arguments

# Three significant steps of at most 13 %; what people write (1s, 5s, 30s, 1.5s) is among them as it is.
MANTISSAS = (
    *(10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 25, 27, 30, 33),
    *(36, 40, 43, 45, 48, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95),
)
STEPS = tuple(mantissa * 10**power for power in range(9) for mantissa in MANTISSAS)
LONGEST = 1_500_000_000
"""Milliseconds, 17 days: its queue must live longer than it, and RabbitMQ counts up to 49 days."""
GRACE = 120_000


def step_for(seconds: float) -> tuple[int, float]:
    """How many milliseconds to wait now, never less than asked for; and how many seconds are left after that."""
    wanted = seconds * 1000
    if wanted > LONGEST:
        return LONGEST, seconds - LONGEST / 1000
    return min(STEPS[bisect_left(STEPS, wanted)], LONGEST), 0.0


def delay_queue_name(queue: str, queue_type: QueueType, step: int) -> str:
    """Unique for a queue, its type and the step."""
    suffix = "" if queue_type == "classic" else f".{queue_type}"
    return f"{queue}.noria.delay{suffix}.{step}"


def delay_queue_arguments(queue: str, queue_type: QueueType, step: int) -> dict[str, Any]:
    """Messages wait for `step` milliseconds and go to `queue`; a classic one lives as long again after that."""
    return dead_lettering_to(queue, queue_type) | {
        "x-message-ttl": step,
        **expiring_after(2 * step + GRACE, queue_type),
    }


def expiring_after(milliseconds: int, queue_type: QueueType) -> dict[str, Any]:
    """When an unused queue is deleted, if its type may be."""
    return {"x-expires": milliseconds} if queue_type == "classic" else type_arguments(queue_type)


def may_be_gone(step: int, age: float) -> bool:
    """Whether a classic delay queue, declared `age` seconds ago, may have been deleted."""
    return age * 1000 > 2 * step + GRACE


def is_to_be_declared_again(step: int, age: float) -> bool:
    """Whether a delay queue, declared `age` seconds ago, might be deleted before a message in it is due."""
    return age * 1000 > (step + GRACE) / 2
