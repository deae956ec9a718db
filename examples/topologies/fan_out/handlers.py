"""Fan-out: one message becomes one for each of several queues.

Knows: orders. Must not know: who listens; that is in the definition file.
"""

import logging

from noria.actors import publish

logger = logging.getLogger("fan_out")


def announce(order):
    # The order is acknowledged when all three have it. Should the third publish fail, all three are repeated: whoever
    # reads these queues may see an order twice, and must not mind.
    for queue in ("fan_out:stock", "fan_out:bills", "fan_out:letters"):
        publish(queue, order)


def take_from_stock(order):
    logger.info("order %d: %d x %s taken from stock", order["id"], order["pieces"], order["item"])


def send_bill(order):
    logger.info("order %d: a bill over %d", order["id"], order["pieces"] * order["price"])


def write_letter(order):
    logger.info("order %d: a letter to %s", order["id"], order["customer"])
