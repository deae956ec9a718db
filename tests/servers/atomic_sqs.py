"""Makes moto's SQS do one call at a time on a queue, as SQS itself seems to.

Knows: moto's model of SQS. Must not know: who calls it.

As it comes, its threads run into each other: a message that is added while another one is deleted is lost, two
receivers get the same one, and a long poll does not notice what becomes visible. None of that happens in SQS, so none
of it is a case for a test. A long poll goes on when its client has gone, and takes what comes then: a process that ended
would hide messages from the next one. And a call takes time for each message in the queue, tenfold: 0.4 s where there are 900.
"""

import functools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

STEPS = (
    "change_message_visibility",
    "change_message_visibility_batch",
    "create_queue",
    "delete_message",
    "delete_message_batch",
    "get_queue_attributes",
    "purge_queue",
    "receive_message",
    "send_message",
    "send_message_batch",
)
# How soon a long poll notices that a delay or a lease is over.
LOOK = 0.1

_lock = threading.RLock()


def make_atomic() -> None:
    """Do it, once for this process."""
    from moto.sqs import models

    if getattr(models.SQSBackend, "is_atomic", False):
        return
    for name in STEPS:
        setattr(models.SQSBackend, name, _one_at_a_time(getattr(models.SQSBackend, name)))
    models.Queue.wait_for_messages = _wait_for_messages
    models.SQSBackend.is_message_valid_based_on_retention_period = _is_retained
    models.Message.visible = property(lambda message: time.time() * 1000 > message.visible_at)
    models.Message.delayed = property(lambda message: time.time() * 1000 < message.delayed_until)
    models.SQSBackend.is_atomic = True


def _one_at_a_time(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def inside(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _lock:
            result = step(self, *args, **kwargs)
            name = kwargs.get("queue_name") or kwargs.get("name") or (args[0] if args else None)
            queue = self.queues.get(name)
            if queue is not None and not step.__name__.startswith(("receive", "get")):
                with _changed(queue):
                    queue.changed.notify_all()
            return result

    return inside


def _changed(queue: Any) -> threading.Condition:
    if not hasattr(queue, "changed"):
        queue.changed = threading.Condition(_lock)
    changed: threading.Condition = queue.changed
    return changed


def _wait_for_messages(queue: Any, timeout: float) -> None:
    """Lets others in meanwhile; returns early, for whoever waits looks again by itself.

    Raises:
        QueueDoesNotExist: the client has closed its connection. Nobody sees what comes then, nor this error.
    """
    from moto.sqs.exceptions import QueueDoesNotExist

    _changed(queue).wait(min(timeout, LOOK))
    if _is_client_gone():
        raise QueueDoesNotExist


def _is_client_gone() -> bool:
    from flask import request

    try:
        return not request.environ["werkzeug.socket"].recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _is_retained(backend: Any, queue_name: str, message: Any) -> bool:
    """As moto says it, but without asking for every attribute of the queue."""
    retained: float = backend.queues[queue_name].message_retention_period
    return bool(message.sent_timestamp / 1000 + retained > time.time())
