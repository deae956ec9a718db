"""What lies in a row, and how many rows go into one statement.

Knows: columns, positions. Must not know: SQL, transactions.
"""

from collections.abc import Iterator, Sequence

from attrs import define

from .schema import COUNT_BITS

# One statement for many rows costs less than one each, above all because the interpreter's lock changes hands with
# every statement. These sizes are few, so that the statements stay prepared.
SIZES = (256, 64, 16, 4, 1)

# position, attempts, suspect, published, id, headers, body
Record = tuple[int, int, int, int, str, str, bytes]
# position, published, id, headers, body
Fresh = tuple[int, int, str, str, bytes]


@define(eq=False)
class QueueRow:
    """A queue; the positions are explained in schema.py."""

    number: int
    name: str
    next: int
    head: int
    top: int
    ready: int
    in_flight: int
    delayed: int
    max_length: int
    message_ttl: int

    @property
    def start(self) -> int:
        """Its first possible position."""
        return self.number << COUNT_BITS

    @property
    def end(self) -> int:
        """Behind its last possible position."""
        return (self.number + 1) << COUNT_BITS

    def room(self, count: int) -> int:
        """How many of so many messages may come in."""
        return (
            count if not self.max_length else max(0, min(count, self.max_length - self.ready - self.delayed))
        )


def chunks(count: int) -> Iterator[tuple[int, int]]:
    """First and size of pieces that make up `count`."""
    first = 0
    for size in SIZES:
        while count - first >= size:
            yield first, size
            first += size


def by_queue(positions: Sequence[int]) -> dict[int, list[int]]:
    """Positions by the number of their queue."""
    groups: dict[int, list[int]] = {}
    for position in positions:
        groups.setdefault(position >> COUNT_BITS, []).append(position)
    return groups
