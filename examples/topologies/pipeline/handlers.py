"""A pipeline: each stage takes from one queue and publishes to the next.

Knows: one step at a time. Must not know: what the other stages do, nor how many workers they have.
"""

import logging
import re
from collections import Counter

from noria.actors import publish

logger = logging.getLogger("pipeline")


def split(page):
    words = re.findall(r"\w+", page["text"].lower())
    publish("pipeline:words", {"page": page["page"], "words": words})


def count(body):
    [(word, times)] = Counter(body["words"]).most_common(1)
    publish("pipeline:counts", {"page": body["page"], "word": word, "times": times})


def show(body):
    logger.info('page %(page)d says "%(word)s" %(times)d times', body)
