"""Time that nobody can set: for delays, ages and leases.

Knows: the clocks of the machine. Must not know: databases, queues.

A delay is counted on the time of the database, in milliseconds: it runs like the steady clock of the machine, which
all processes share and nobody sets. That clock begins anew when the machine boots; only how long the machine was off
is then taken from the wall clock, and never as less than nothing.
"""

import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _read_boot() -> str:
    """What names this run of the machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _seconds_since_boot() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@frozen(kw_only=True)
class MachineClock:
    """The clocks of this machine, all in seconds.

    Attributes:
        wall: the time of day; anybody may set it.
        steady: since the machine booted.
        awake: the same without the time that the machine slept: a sleeping process loses no lease.
        boot: names this run of the machine.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = _seconds_since_boot
    awake: Callable[[], float] = time.monotonic
    boot: str = field(factory=_read_boot)


@frozen(kw_only=True)
class ClockMark:
    """What the database remembers of the time.

    Attributes:
        boot: the run of the machine.
        offset: milliseconds from its steady clock to the time of the database.
        wall: the wall clock when this was written, in milliseconds.
        time: the time of the database then.
    """

    boot: str
    offset: int
    wall: int
    time: int


@define(eq=False)
class DatabaseClock:
    """The time of one database, the same in all processes of the machine."""

    machine: MachineClock
    _offset: int = 0

    def now(self) -> int:
        """Milliseconds; near those of the wall clock, but no step of that one shows."""
        return self._offset + self._steady()

    def take_up(self, mark: ClockMark | None) -> None:
        """Go on from what the database remembers; None for a new one."""
        if mark is None:
            self._offset = self._wall() - self._steady()
        elif mark.boot == self.machine.boot and mark.offset + self._steady() >= mark.time:
            self._offset = mark.offset
        else:
            off = max(0, self._wall() - mark.wall)
            self._offset = mark.time + off - self._steady()

    def mark(self) -> ClockMark:
        """What to remember now."""
        return ClockMark(boot=self.machine.boot, offset=self._offset, wall=self._wall(), time=self.now())

    def _wall(self) -> int:
        return int(self.machine.wall() * 1000)

    def _steady(self) -> int:
        return int(self.machine.steady() * 1000)
