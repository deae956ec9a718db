"""Competing consumers: each message goes to one of them, to whichever has room.

Knows: pictures. Must not know: how many others do the same.
"""

import logging
import time

from noria.security import principal

logger = logging.getLogger("competing")


def make_thumbnail(picture):
    time.sleep(picture["megapixels"] / 1000)
    logger.info("%s made a thumbnail of %s", principal().id, picture["file"])
