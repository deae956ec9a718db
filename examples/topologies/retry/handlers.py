"""Retry with dead letter: what fails is tried again, ever later, and in the end laid aside with its reason.

Knows: which failure may pass and which will not. Must not know: how often and how late; the queue says that.
"""

import logging

from noria.actors import Reject, Retry, message

logger = logging.getLogger("retry")


def charge(payment):
    logger.info("payment %s, attempt %d", payment["id"], message.attempt)
    match payment["bank"]:
        case "answers late" if message.attempt == 1:
            # Any exception makes the message come back; its queue says when.
            raise ConnectionError("the bank does not answer")
        case "is busy" if message.attempt == 1:
            # The bank has told us when.
            raise Retry("come back later", delay=0.1)
        case "is closed":
            raise ConnectionError("the bank does not answer")
        case "does not know you":
            # It will not know us the next time, either.
            raise Reject("no such account")
    logger.info("payment %s is made", payment["id"])


def look_into(payment):
    reason, error = message.header("x_dead_letter_reason"), message.header("x_dead_letter_error")
    logger.info("payment %s failed (%s): %s", payment["id"], reason, error)
