"""Dependency arithmetic: levels and cycles of a graph.

Knows: things that can be sorted, and who needs whom. Does not know: entries, IDs, files.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, TypeVar


class Sortable(Protocol):
    """What can be compared and hashed."""

    def __lt__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...


Thing = TypeVar("Thing", bound=Sortable)
Graph = Mapping[Thing, Collection[Thing]]


def levels(needs: Graph[Thing]) -> tuple[tuple[Thing, ...], ...]:
    """The things in layers: each needs only things of earlier layers, and stands as early as it can.

    What is needed but is no key of the graph is ignored. Things on a cycle, and what needs them, are left
    out: `cycles` names them. The same graph gives the same layers, whatever the order of its keys.
    """
    waiting = {thing: len({other for other in needed if other in needs}) for thing, needed in needs.items()}
    dependents = _reversed(needs)
    layers: list[tuple[Thing, ...]] = []
    ready = sorted(thing for thing, count in waiting.items() if count == 0)
    while ready:
        layers.append(tuple(ready))
        freed: list[Thing] = []
        for thing in ready:
            for dependent in dependents[thing]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    freed.append(dependent)
        ready = sorted(freed)
    return tuple(layers)


def cycles(needs: Graph[Thing]) -> tuple[tuple[Thing, ...], ...]:
    """One shortest cycle for each knot of things that need each other: (a, b, a), smallest thing first."""
    ordered = {thing for layer in levels(needs) for thing in layer}
    knotted = {
        thing: sorted(other for other in set(needed) if other in needs and other not in ordered)
        for thing, needed in needs.items()
        if thing not in ordered
    }
    backwards = _reversed(knotted)
    found: list[tuple[Thing, ...]] = []
    told: set[Thing] = set()
    for thing in sorted(knotted):
        if thing in told:
            continue
        cycle = _shortest_way_back(thing, knotted)
        if cycle:
            found.append(cycle)
            told |= _reachable(thing, knotted) & _reachable(thing, backwards)
    return tuple(found)


def _reversed(needs: Graph[Thing]) -> dict[Thing, set[Thing]]:
    dependents: dict[Thing, set[Thing]] = defaultdict(set)
    for thing, needed in needs.items():
        for other in needed:
            dependents[other].add(thing)
    return dependents


def _shortest_way_back(start: Thing, needs: Graph[Thing]) -> tuple[Thing, ...]:
    came_from: dict[Thing, Thing] = {}
    to_visit = deque([start])
    while to_visit:
        thing = to_visit.popleft()
        for other in needs[thing]:
            if other == start:
                return (*_way(came_from, start, thing), start)
            if other not in came_from:
                came_from[other] = thing
                to_visit.append(other)
    return ()


def _way(came_from: Mapping[Thing, Thing], start: Thing, end: Thing) -> Iterable[Thing]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return reversed(way)


def _reachable(start: Thing, needs: Mapping[Thing, Iterable[Thing]]) -> set[Thing]:
    reached = {start}
    to_visit = [start]
    while to_visit:
        for other in needs.get(to_visit.pop(), ()):
            if other not in reached:
                reached.add(other)
                to_visit.append(other)
    return reached
