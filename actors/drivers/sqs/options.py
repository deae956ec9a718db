"""What may stand under `options` and `driver_options.sqs` of queues and consumers.

Knows: fields and SQS's limits. Must not know: anything that runs.
"""

from attrs import frozen

from ....registry import Duration, between
from ...driver import ConsumerOptions, QueueOptions

LONGEST_VISIBILITY = 43_200
LONGEST_WAIT_TIME = 20


@frozen(kw_only=True)
class SqsQueueOptions(QueueOptions):
    """Options of a queue.

    Attributes:
        default_visibility_timeout: given to SQS when the queue is created; an existing queue keeps its own.
    """

    default_visibility_timeout: Duration | None = between(1, LONGEST_VISIBILITY, default=None)


@frozen(kw_only=True)
class SqsConsumerOptions(ConsumerOptions):
    """Options of a consumer.

    Attributes:
        visibility_timeout: for how long a message is ours at a time; it is prolonged while it is in our hands.
        wait_time: of one long poll.
    """

    visibility_timeout: Duration | None = between(1, LONGEST_VISIBILITY, default=None)
    wait_time: Duration = between(1, LONGEST_WAIT_TIME, default=20.0)
