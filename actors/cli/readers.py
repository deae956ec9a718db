"""Whether anybody still reads what the program prints.

Knows: file descriptors. Must not know: what follows from it. `noria run APP | head -3` must end when `head` does, not
fail every message whose handler prints.
"""

from __future__ import annotations

import select
from typing import Final

OUTPUTS: Final = {1: "standard output", 2: "standard error"}


def unread() -> str | None:
    """The name of a standard stream whose reader is gone, or None."""
    poll = select.poll()
    for descriptor in OUTPUTS:
        poll.register(descriptor, 0)
    for descriptor, event in poll.poll(0):
        # One that was closed from the beginning (`>&-`) was never meant to be read.
        if event & (select.POLLERR | select.POLLHUP) and not event & select.POLLNVAL:
            return OUTPUTS[descriptor]
    return None
