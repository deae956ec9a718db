"""Siblings: which child may start, which may stop, and who shares whose fate.

Knows: the children of one supervisor, their order and dependencies, the strategy. Does not know: the
clock, threads, pykka. Every method is a step of the rule; the supervisor acts on what it returns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from .child import Child, ChildSpec, State
from .errors import ChildDuplicate, ChildNeeded, ChildUnknown, DependencyUnknown
from .restart import Restart, Strategy, affected, needed_by, start_order


class Siblings:
    """The children of one supervisor, in start order.

    Only `tuple(siblings)` and `find` are for other threads than the supervisor's.
    """

    def __init__(self, strategy: Strategy, specs: Iterable[ChildSpec]) -> None:
        self.strategy = strategy
        self.up: set[str] = set()
        """The children that are starting, running or stopping."""
        by_id: dict[str, ChildSpec] = {}
        for spec in specs:
            if spec.id in by_id:
                raise ChildDuplicate(spec.id)
            by_id[spec.id] = spec
        self._requires = {spec.id: spec.requires for spec in by_id.values()}
        self._children = {name: Child(by_id[name]) for name in start_order(self._requires)}
        self._dependents: dict[str, dict[str, None]] = {name: {} for name in by_id}
        for spec in by_id.values():
            for needed in spec.requires:
                self._dependents[needed][spec.id] = None
        self._of_kind: dict[str, dict[str, None]] = {}
        self._outlasting: dict[str, dict[str, None]] = {}
        """Which children outlive a kind of others."""
        for spec in by_id.values():
            self._note_kinds(spec)
        self._clearing: set[str] = set()

    def _note_kinds(self, spec: ChildSpec) -> None:
        self._of_kind.setdefault(spec.kind, {})[spec.id] = None
        for kind in spec.outlives:
            self._outlasting.setdefault(kind, {})[spec.id] = None

    def __iter__(self) -> Iterator[Child]:
        # A copy made in one step of C: another thread may add a child meanwhile.
        return iter(tuple(self._children.values()))

    def __len__(self) -> int:
        return len(self._children)

    def __contains__(self, name: object) -> bool:
        return name in self._children

    def __getitem__(self, name: str) -> Child:
        """Raises `ChildUnknown`."""
        child = self._children.get(name)
        if child is None:
            raise ChildUnknown(name, tuple(self._children))
        return child

    def find(self, name: str) -> Child | None:
        """The child, if there is one."""
        return self._children.get(name)

    def dependents(self, name: str) -> tuple[str, ...]:
        """Those that require this child directly."""
        return tuple(self._dependents[name])

    def add(self, spec: ChildSpec) -> Child:
        """Add a child after all others. Raises `ChildDuplicate`, `DependencyUnknown`."""
        if spec.id in self._children:
            raise ChildDuplicate(spec.id)
        for needed in spec.requires:
            if needed not in self._children or self._children[needed].forgotten:
                raise DependencyUnknown(spec.id, needed, tuple(self._children))
        child = Child(spec)
        self._requires[spec.id] = spec.requires
        self._dependents[spec.id] = {}
        self._note_kinds(spec)
        for needed in spec.requires:
            self._dependents[needed][spec.id] = None
        self._children[spec.id] = child
        return child

    def check_removable(self, name: str) -> Child:
        """Raises `ChildUnknown`, `ChildNeeded`."""
        child = self[name]
        if self._dependents[name]:
            raise ChildNeeded(name, self._dependents[name])
        return child

    def forget(self, child: Child) -> None:
        """Remove a child that is down and that nobody requires."""
        for needed in self._requires.pop(child.id):
            self._dependents[needed].pop(child.id, None)
        del self._dependents[child.id]
        del self._of_kind[child.spec.kind][child.id]
        for kind in child.spec.outlives:
            del self._outlasting[kind][child.id]
        del self._children[child.id]

    def needed_by(self, names: Iterable[str]) -> set[str]:
        """These children and all that they require, directly or not."""
        return needed_by(names, self._requires)

    def fellows(self, name: str) -> tuple[str, ...]:
        """The child and all that require it, directly or not, in stop order."""
        if not self._dependents[name]:
            return (name,)
        return affected(Strategy.ONE_FOR_ONE, tuple(self._children), self._requires, name)

    def chain(self) -> None:
        """Before the first start: where each child builds on those before it, it waits for them."""
        if self.strategy is Strategy.REST_FOR_ONE:
            self._chain([child for child in self if child.wanted])

    def share_fate(self, failed: Child) -> list[Child]:
        """Mark what goes down with a child that has just failed; returns it, in stop order.

        All of it must be down before the failed child is restarted, and comes up again after it.
        """
        others = [self._children[name] for name in self._fate(failed) if name != failed.id]
        for child in others:
            self._doom(child, again=failed.spec.restart is not Restart.TEMPORARY)
        failed.clears = {child.id for child in others if child.up}
        if failed.clears:
            self._clearing.add(failed.id)
        if failed.spec.restart is Restart.TEMPORARY:
            return others  # it never comes back, so nobody waits for it
        if self.strategy is Strategy.REST_FOR_ONE:
            self._chain([failed, *self._coming_back(failed, others)])
        elif self.strategy is Strategy.ONE_FOR_ALL:
            for child in others:
                if child.wanted:
                    child.waits_for.add(failed.id)
        return others

    def unwant(self, child: Child) -> None:
        """It shall be down, and waits for nobody."""
        child.wanted = False
        child.must_stop = child.up
        child.waits_for.clear()
        child.clears.clear()
        self._clearing.discard(child.id)

    def may_start(self, child: Child) -> bool:
        """Whether everything it waits for is there."""
        return (
            child.wanted
            and not child.up
            and not (child.resting or child.waits_for or child.clears)
            and all(self._serves(needed) for needed in child.spec.requires)
        )

    def _serves(self, name: str) -> bool:
        """Whether those that require this child may start. Work that was done is none without what it builds on."""
        child = self._children[name]
        if not child.finished:
            return child.serves
        return child.serves and not any(self._children[needed].lost for needed in self.needed_by([name]))

    def may_stop(self, child: Child) -> bool:
        """Whether it has to stop and everything that stops before it is down."""
        if not child.must_stop or child.state not in {State.STARTING, State.RUNNING}:
            return False
        if not self.up.isdisjoint(self._dependents[child.id]):
            return False
        if any(
            self._is_going_down(name) for kind in child.spec.outlives for name in self._of_kind.get(kind, ())
        ):
            return False
        return self.strategy is not Strategy.REST_FOR_ONE or not self._later_one_stops(child)

    def _is_going_down(self, name: str) -> bool:
        return name in self.up and self._children[name].must_stop

    def comes_first(self, child: Child) -> bool:
        """One for all: whether a failed child may begin the restart that its siblings wait for."""
        return self.strategy is Strategy.ONE_FOR_ALL and child.wanted and not (child.resting or child.clears)

    def after_up(self, child: Child) -> list[Child]:
        """The child serves now, or nobody wants it any more: who may be able to start."""
        return [*self.release(child), *self._builders_on(child)]

    def _builders_on(self, child: Child) -> list[Child]:
        """Those that require it, directly or by way of children whose work is done."""
        found: dict[str, None] = {}
        waiting = [child.id]
        while waiting:
            for name in self._dependents[waiting.pop()]:
                if name not in found:
                    found[name] = None
                    if self._children[name].finished:
                        waiting.append(name)
        return [self._children[name] for name in found]

    def after_down(self, child: Child) -> list[Child]:
        """The child is down: who may be able to stop or to start."""
        self.up.discard(child.id)
        child.must_stop = False
        touched = [self._children[name] for name in child.spec.requires]
        touched += [self._children[name] for name in self._outlasting.get(child.spec.kind, ())]
        for name in tuple(self._clearing):
            failed = self._children[name]
            failed.clears.discard(child.id)
            if not failed.clears:
                self._clearing.discard(name)
                touched.append(failed)
        if self.strategy is Strategy.REST_FOR_ONE:
            touched.extend(self._next_to_stop(child))
        return [*touched, child]

    def release(self, child: Child) -> list[Child]:
        """Nobody waits for this child any more; returns those who did."""
        if self.strategy is Strategy.ONE_FOR_ONE:
            return []
        waiting = [other for other in self._children.values() if child.id in other.waits_for]
        for other in waiting:
            # Whoever waited for this child waits on for those that it waits for itself.
            other.waits_for.discard(child.id)
            other.waits_for |= child.waits_for - {other.id}
        return waiting

    def _fate(self, failed: Child) -> tuple[str, ...]:
        if failed.spec.restart is Restart.TEMPORARY or self.strategy is Strategy.ONE_FOR_ONE:
            return self.fellows(failed.id)
        return affected(self.strategy, tuple(self._children), self._requires, failed.id)

    def _coming_back(self, failed: Child, others: list[Child]) -> list[Child]:
        """Those that start again after the failed child, in order: not one whose requirement is gone for good."""
        coming = {failed.id}
        back = []
        for child in reversed(others):
            required = child.spec.requires
            if child.wanted and all(needed in coming or self._serves(needed) for needed in required):
                coming.add(child.id)
                back.append(child)
        return back

    def _doom(self, child: Child, *, again: bool) -> None:
        if child.up:
            child.must_stop = True
        if child.spec.restart is Restart.TEMPORARY:
            child.wanted = False  # never restarted, not even for a sibling's sake (as in OTP)
        elif again and child.finished and self.strategy is not Strategy.ONE_FOR_ONE:
            child.wanted = True  # its work is to be done anew (as in OTP)

    @staticmethod
    def _chain(children: list[Child]) -> None:
        for before, child in itertools.pairwise(children):
            child.waits_for.add(before.id)

    def _later_one_stops(self, child: Child) -> bool:
        children = list(self._children.values())
        position = children.index(child)
        return any(later.up and later.must_stop for later in children[position + 1 :])

    def _next_to_stop(self, child: Child) -> list[Child]:
        children = list(self._children.values())
        for earlier in reversed(children[: children.index(child)]):
            if earlier.up and earlier.must_stop:
                return [earlier]
        return []
