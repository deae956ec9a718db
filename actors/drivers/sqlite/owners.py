"""The processes that share a database: who lives, and who wants to hear of new messages.

Knows: leases, bells. Must not know: messages, subscriptions.

A process is dead when nobody listens to its bell any more, which the kernel sees to at once; or when it has given no
sign for longer than its lease, which also catches one that is stopped or hangs. It may wake up later: then it finds
that it is no owner any more, and that nothing it held is still its own.
"""

import os
from collections.abc import Callable
from pathlib import Path

from attrs import define

from ...errors import DriverUnavailable
from .bell import Answer, Bell, look, remove, ring
from .clock import MachineClock
from .store import Store
from .turnstile import Turnstile

# How often we look whether others have died, where there are others.
LOOK_EVERY = 1.0
# A sign of life so many times in each lease.
BEATS = 3


@define(eq=False)
class Other:
    """Another process, as the database tells of it."""

    number: int
    boot: str
    beat: float
    lease: float

    def is_silent(self, machine: MachineClock) -> bool:
        """Whether its lease is over. What it wrote in another run of the machine says nothing but that."""
        now = machine.awake()
        return self.boot != machine.boot or not self.beat <= now <= self.beat + self.lease


class Owners:
    """This process among the others. All methods but `ring_for` are called inside a transaction.

    Args:
        driver: named in errors.
        path: the database.
        lease: seconds.
        machine: the clocks.
        rung: called, from another thread, when somebody rings here.
    """

    def __init__(
        self, driver: str, path: Path, *, lease: float, machine: MachineClock, rung: Callable[[], None]
    ) -> None:
        self._driver = driver
        self._path = path
        self._lease = lease
        self._machine = machine
        self._rung = rung
        self._bell: Bell | None = None
        self._turnstile: Turnstile | None = None
        self._others: dict[int, Other] = {}
        self._consumers: dict[int, dict[int, int]] = {}
        self._version = -1
        self._last_beat = 0.0
        self._last_look = -LOOK_EVERY

    def join(self, store: Store) -> None:
        """Become one of them."""
        self._last_beat = self._machine.awake()
        store.join(os.getpid(), self._machine.boot, self._last_beat, self._lease)
        self._bell = Bell(self._bell_of(store.owner), self._rung)
        # SQLite does not lock this one, and everybody who has the database open has it.
        self._turnstile = Turnstile(self._path.with_name(f"{self._path.name}-wal"))

    def leave(self, store: Store) -> None:
        """Be one no more; what we hold goes back."""
        store.forget_owner(store.owner)

    def hang_up(self, *, has_left: bool) -> None:
        """Stop to listen. After `leave` nobody looks for our bell any more."""
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None
        if self._bell is not None:
            self._bell.close()
            if has_left:
                remove(self._bell.path)
            self._bell = None

    def begin(self, store: Store) -> bool:
        """Begin to write when it is our turn; False if the database is locked."""
        if not self._others or self._turnstile is None:
            return store.begin()
        self._turnstile.enter()
        try:
            return store.begin()
        finally:
            self._turnstile.leave()

    def attend(self, store: Store) -> bool:
        """Give a sign of life when it is time, and bury who has died; True if there was a sign.

        Raises:
            DriverUnavailable: others thought that we had died.
        """
        if store.version != self._version:
            self._read(store)
            self._version = store.version
        is_beat = self._beat(store)
        if self._others and self._machine.awake() >= self._last_look + LOOK_EVERY:
            self._last_look = self._machine.awake()
            self._bury(store)
        return is_beat

    def start_over(self) -> None:
        """The transaction was undone: what we thought to know may not be so."""
        self._version = -1

    def share(self, queue: int, ready: int, credit: int) -> int:
        """How many of the ready messages are for us: as large a part as our credit is of all consumers' credit."""
        theirs = sum(self._consumers.get(queue, {}).values())
        return ready if not theirs else -(-ready * credit // (credit + theirs))

    def ring_for(self, queue: int) -> None:
        """Wake those that take from this queue."""
        for owner in self._consumers.get(queue, ()):
            ring(self._bell_of(owner))

    def ring_all(self) -> None:
        """Wake everybody."""
        for owner in self._others:
            ring(self._bell_of(owner))

    @property
    def are_there_others(self) -> bool:
        """Whether anybody else has the database open."""
        return bool(self._others)

    def seconds_to_wait(self) -> float:
        """Until there is something to do here."""
        now = self._machine.awake()
        next_beat = self._last_beat + self._lease / BEATS
        next_look = self._last_look + LOOK_EVERY if self._others else next_beat
        return max(0.0, min(next_beat, next_look) - now)

    def _beat(self, store: Store) -> bool:
        now = self._machine.awake()
        if now < self._last_beat + self._lease / BEATS:
            return False
        store.members.beat(now)
        self._last_beat = now
        return True

    def _read(self, store: Store) -> None:
        self._others = {row[0]: Other(*row) for row in store.members.owners()}
        # What we took now would belong to nobody, and nobody would give it back.
        if self._others.pop(store.owner, None) is None:
            raise DriverUnavailable(
                self._driver,
                f"others have taken over what this process held: it was silent for longer than its lease"
                f" ({self._lease:g} s), or they run on another machine",
            )
        self._consumers = {}
        for queue, owner, _count, credit in store.members.other_consumers():
            self._consumers.setdefault(queue, {})[owner] = credit

    def _bury(self, store: Store) -> None:
        for other in list(self._others.values()):
            bell = self._bell_of(other.number)
            if other.is_silent(self._machine) or look(bell) is Answer.DEAD:
                store.forget_owner(other.number)
                remove(bell)
                del self._others[other.number]
                for consumers in self._consumers.values():
                    consumers.pop(other.number, None)

    def _bell_of(self, owner: int) -> Path:
        return self._path.with_name(f"{self._path.name}-bell-{owner}")
