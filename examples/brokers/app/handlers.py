"""Packs orders, as far as there is something to pack.

Knows: what is in stock. Must not know: which broker brought the order.
"""

import logging
import os

from noria.actors import Reject

logger = logging.getLogger("shop")


def pack(order):
    if order["count"] < 1:
        # No retry will make sense of it.
        raise Reject(f"nobody can pack {order['count']} of anything")
    if order["product"] not in os.environ.get("STOCK", "tea coffee").split():
        raise LookupError(f"no {order['product']} in stock")
    logger.info("order %s: %s x %d is packed", order["id"], order["product"], order["count"])
