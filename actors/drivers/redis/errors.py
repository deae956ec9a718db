"""What only this driver can meet.

Knows: words. Must not know: redis-py.
"""

from collections.abc import Sequence


class LeaseLost(Exception):
    """The server has given to others what this process held: it showed no sign of life for too long."""

    def __init__(self, consumers: Sequence[str]) -> None:
        super().__init__(
            f"the lease of {', '.join(consumers)} ran out, and what it held went to others:"
            " this process was stopped for longer than `lease`, or somebody removed the keys"
        )
