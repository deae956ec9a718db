"""What is done with a task.

Knows: its message. Must not know: queues. To return is to ack; to raise is to nack: the message comes back a little later.
"""

import logging

from noria.actors import message

logger = logging.getLogger("tasks")


def handler(body):
    logger.info("processing %s, attempt %d", body["id"], message.attempt)
    result = process_task(body)
    logger.info("finished %s: %s", body["id"], result)
    return result


def process_task(task):
    # A server that does not answer at once, so that you see a message come back.
    if task["action"] == "fetch" and message.attempt == 1:
        raise ConnectionError("the server does not answer")
    return f"{task['action']} done"
