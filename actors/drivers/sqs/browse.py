"""Looking into a queue, and emptying it: SQS lets nobody see a message without taking it.

Knows: taking, giving back, deleting. Must not know: consumers, threads.
"""

import math
from typing import TYPE_CHECKING, Any

from ...driver import StoredMessage
from .lease import Uncounted
from .queue import SqsQueue
from .wire import unpack

if TYPE_CHECKING:
    from .client import SqsClient

LARGEST_BATCH = 10
# Others do not see what is taken for that long, should this process end before it gives it back.
HIDDEN_FOR = 30
# SQS asks only some of its servers unless the call may wait.
WAIT = 1
# Our clock and that of SQS may differ by some seconds.
CLOCK_TOLERANCE = 3.0


def peek(client: "SqsClient", queue: SqsQueue, limit: int, uncounted: Uncounted) -> list[StoredMessage]:
    """The first messages that can be seen, as far as SQS has an order. They are given back, not counted here."""
    taken: list[Any] = []
    try:
        while len(taken) < limit:
            wanted = min(LARGEST_BATCH, limit - len(taken))
            received = client.receive(queue.url, wanted, wait=WAIT, visibility=HIDDEN_FOR).messages
            if not received:
                break
            taken += received
        found = [_stored(message, uncounted) for message in taken]
    finally:
        for message in taken:
            uncounted.add(message["MessageId"])
        for start in range(0, len(taken), LARGEST_BATCH):
            handles = [message["ReceiptHandle"] for message in taken[start : start + LARGEST_BATCH]]
            client.hide(queue.url, handles, [0] * len(handles))
    return found


def _stored(received: Any, uncounted: Uncounted) -> StoredMessage:
    count = int(received.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    attempts = uncounted.attempt(received["MessageId"], count) - 1
    return StoredMessage(message=unpack(received), attempts=attempts, state="ready")


def purge(client: "SqsClient", queue: SqsQueue) -> int:
    """Delete what can be seen, and what this process has delayed; how many messages that were.

    SQS's own PurgeQueue would take what is being handled as well, and go on for a minute.
    """
    count = 0
    handles = queue.hidden_handles()
    queue.forget_hidden()
    for start in range(0, len(handles), LARGEST_BATCH):
        batch = handles[start : start + LARGEST_BATCH]
        count += len(batch) - len(client.delete(queue.url, batch))
    begun = math.inf
    while True:
        received = client.receive(queue.url, LARGEST_BATCH, wait=WAIT, visibility=HIDDEN_FOR)
        begun = min(begun, received.server_time + CLOCK_TOLERANCE)
        handles = [message["ReceiptHandle"] for message in received.messages]
        count += len(handles) - len(client.delete(queue.url, handles)) if handles else 0
        # Publishers may go on for ever.
        if all(_sent_at(message) > begun for message in received.messages):
            return count


def _sent_at(received: Any) -> float:
    return int(received.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
