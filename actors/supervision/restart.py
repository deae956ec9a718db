"""Restart arithmetic: who restarts with whom, how soon, and how often is too often.

Knows: strategies, counts, and times given to it. Does not know: pykka, threads, the clock.
If you need `import time` here, the code belongs in supervisor.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

import attrs

from .errors import DependencyCycle, DependencyUnknown

Random = Callable[[], float]
Requires = Mapping[str, Sequence[str]]
Name = TypeVar("Name", bound=Hashable)


class Strategy(StrEnum):
    """Which siblings share a failed child's fate.

    Whatever the strategy, the children that require an affected child, directly or not, are affected too.
    """

    ONE_FOR_ONE = "one_for_one"
    """Only the failed one: the children are independent."""

    REST_FOR_ONE = "rest_for_one"
    """It and all that come after it: each child builds on those before it."""

    ONE_FOR_ALL = "one_for_all"
    """All: none makes sense without the others."""


class Restart(StrEnum):
    """Which ends of a child are followed by a restart."""

    PERMANENT = "permanent"
    """Every end: it is meant to run for ever."""

    TRANSIENT = "transient"
    """Ends with an error: a normal end means that its work is done."""

    TEMPORARY = "temporary"
    """None."""


@attrs.frozen
class Backoff:
    """How long to wait before the next attempt: `min(max_delay, initial_delay * backoff_factor ** (n - 1))`.

    The jitter is a fraction, added or subtracted at random after the cap: 90 seconds become 81 to 99 with
    0.1. `max_attempts` is the number of failures in a row after which nothing more is tried; 0 is no limit.
    Seconds throughout. Defaults and formula: spec, supervisor, sections 1 and 4.
    """

    initial_delay: float = attrs.field(default=1.0, validator=attrs.validators.ge(0))
    max_delay: float = attrs.field(default=90.0, validator=attrs.validators.ge(0))
    backoff_factor: float = 2.0
    jitter: float = attrs.field(default=0.1, validator=attrs.validators.ge(0))
    max_attempts: int = attrs.field(default=0, validator=attrs.validators.ge(0))

    def base(self, attempt: int) -> float:
        """Seconds to wait after failure number `attempt` (the first is 1), before jitter."""
        factor = self.backoff_factor if self.backoff_factor > 0 else 1.0
        try:
            return min(self.max_delay, self.initial_delay * factor ** (attempt - 1))
        except OverflowError:
            # Only a huge power overflows, so only a zero delay stays below the cap.
            return self.max_delay if self.initial_delay > 0 else 0.0

    def delay(self, attempt: int, random: Random) -> float:
        """The same with jitter; `random` returns a number from 0 up to 1. Never negative."""
        base = self.base(attempt)
        return max(0.0, base + base * self.jitter * (2 * random() - 1))

    def exhausted(self, attempts: int) -> bool:
        """Whether that many failures in a row are the end of it."""
        return 0 < self.max_attempts <= attempts


@attrs.frozen
class Intensity:
    """So many restarts within so many seconds are borne; one more and the supervisor itself fails."""

    restarts: int = attrs.field(validator=attrs.validators.ge(0))
    seconds: float = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen
class RestartWindow:
    """The restarts of late, as times on any clock."""

    intensity: Intensity
    stamps: tuple[float, ...] = ()

    def record(self, now: float) -> RestartWindow:
        """The window after one more restart at `now`, forgetting those that are too old to count."""
        recent = tuple(stamp for stamp in self.stamps if now - stamp <= self.intensity.seconds)
        return attrs.evolve(self, stamps=(*recent, now))

    @property
    def exhausted(self) -> bool:
        """Whether the last restart recorded was one too many."""
        return len(self.stamps) > self.intensity.restarts


def attempts_after(attempts: int, ran: float, stable_threshold: float) -> int:
    """The number of failures in a row once a run of `ran` seconds failed too: a stable run starts anew.

    A start that fails has run for minus infinity: see `NEVER_RAN`.
    """
    return 1 if ran >= stable_threshold else attempts + 1


NEVER_RAN = -math.inf


def start_order(requires: Requires) -> tuple[str, ...]:
    """All children, each after what it requires, otherwise in the order given.

    Raises `DependencyUnknown` and `DependencyCycle`.
    """
    _check_known(requires)
    placed: dict[str, None] = {}
    for child in requires:
        if child not in placed:
            _place(child, requires, placed)
    return tuple(placed)


def levels(requires: Requires) -> tuple[tuple[str, ...], ...]:
    """The children in steps: each step requires only earlier ones, so all of one step may start together.

    Raises `DependencyUnknown` and `DependencyCycle`.
    """
    _check_known(requires)
    waiting = {child: set(needed) for child, needed in requires.items()}
    steps: list[tuple[str, ...]] = []
    while waiting:
        step = tuple(child for child, needed in waiting.items() if not needed & waiting.keys())
        if not step:
            raise DependencyCycle(_cycle(waiting))
        for child in step:
            del waiting[child]
        steps.append(step)
    return tuple(steps)


def affected(strategy: Strategy, order: Sequence[str], requires: Requires, failed: str) -> tuple[str, ...]:
    """The children that go down when `failed` does, itself included, in stop order (last started first).

    `order` is a start order. Those are the strategy's and all that require any of them, directly or not.
    """
    match strategy:
        case Strategy.ONE_FOR_ONE:
            marked = {failed}
        case Strategy.REST_FOR_ONE:
            marked = set(order[order.index(failed) :])
        case Strategy.ONE_FOR_ALL:
            marked = set(order)
    # In start order every child comes after what it requires, so one pass finds all dependents.
    for child in order:
        if not marked.isdisjoint(requires[child]):
            marked.add(child)
    return tuple(child for child in reversed(order) if child in marked)


def needed_by(children: Iterable[Name], requires: Mapping[Name, Sequence[Name]]) -> set[Name]:
    """These children and all that they require, directly or not."""
    found: set[Name] = set()
    waiting = list(children)
    while waiting:
        child = waiting.pop()
        if child not in found:
            found.add(child)
            waiting.extend(requires[child])
    return found


def _place(child: str, requires: Requires, placed: dict[str, None]) -> None:
    """Add `child` to `placed`, after what it requires."""
    # A path of our own: a chain of a thousand children is deeper than Python's stack.
    path = {child: iter(requires[child])}
    while path:
        last = next(reversed(path))
        needed = next((name for name in path[last] if name not in placed), None)
        if needed is None:
            placed[last] = None
            del path[last]
        elif needed in path:
            ring = [*path][[*path].index(needed) :]
            raise DependencyCycle((*ring, needed))
        else:
            path[needed] = iter(requires[needed])


def _check_known(requires: Requires) -> None:
    for child, needed in requires.items():
        for name in needed:
            if name not in requires:
                raise DependencyUnknown(child, name, known=tuple(requires))


def _cycle(waiting: Mapping[str, set[str]]) -> tuple[str, ...]:
    """One cycle among children each of which waits for another one of them."""
    path = [min(waiting)]
    while path[-1] not in path[:-1]:
        path.append(min(waiting[path[-1]] & waiting.keys()))
    return tuple(path[path.index(path[-1]) :])
