"""The keys of a queue, and the names that its stream's consumer group knows.

Knows: names. Must not know: redis-py, scripts, messages.

All keys of a queue carry the same hash tag, so that a cluster keeps them on one node and a script may touch them all.
"""

from binascii import crc_hqx
from urllib.parse import quote

from attrs import field, frozen

GROUP = "noria"
# Of a cluster: CRC16 of the hash tag, modulo this.
SLOTS = 16384
# Consumers of the group that are nobody: whoever takes looks at the first, and a delay's end at the second.
RELEASED = "-released-"
DELAYED = "-delayed-"


@frozen
class QueueKeys:
    """Where a queue is kept.

    Attributes:
        stream: every message that is not settled, ready or not; an entry is a message.
        leases: a sorted set: which consumer lives until when, in milliseconds of the server's clock.
        notes: a hash: what is to be remembered of an entry that its fields do not say.
        delayed: a sorted set: which entries are due when.
        capacities: a hash: how many messages each consumer may hold.
    """

    prefix: str
    queue: str
    stream: str = field(init=False)
    leases: str = field(init=False)
    notes: str = field(init=False)
    delayed: str = field(init=False)
    capacities: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A brace in a name would end the hash tag early.
        tag = quote(f"{self.prefix}:{self.queue}", safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`|~")
        for part in ("stream", "leases", "notes", "delayed", "capacities"):
            object.__setattr__(self, part, f"{{{tag}}}:{part}")

    @property
    def slot(self) -> int:
        """Which part of a cluster keeps it."""
        tag = self.stream[1 : self.stream.index("}")]
        return crc_hqx(tag.encode(), 0) % SLOTS

    @property
    def all(self) -> tuple[str, ...]:
        """In the order in which the scripts name them."""
        return self.stream, self.leases, self.notes, self.delayed, self.capacities
