"""What an application keeps when it is changed: objects that mean the same before and after.

Knows: when an object may stay. Must not know: what is done with it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from ..registry import Entry, EntryID, Registry, affected
from ..security.entries import groups_of, policy_entries
from .driver import Driver
from .function import Function
from .handle import Binding
from .lifecycle import ServiceConfig
from .queue import Queue
from .services import Lease
from .stores import MemoryStore

if TYPE_CHECKING:
    from .topology import Topology

Found = TypeVar("Found")


class Kept:
    """What a topology takes over from the former one: whatever is not affected, and what nobody could make again.

    A driver that keeps its messages in this process stays the same object as long as it is declared as the same kind
    with the same options, so that they stay with it; so does a store.
    """

    def __init__(self, former: "Topology | None", registry: Registry, touched: frozenset[EntryID]) -> None:
        self.drivers: dict[EntryID, Driver] = {}
        self.queues: dict[str, Queue] = {}
        self.stores: dict[str, MemoryStore] = {}
        self.bindings: dict[str, Binding] = {}
        self.functions: dict[str, Function] = {}
        self.leases: dict[Driver | Queue, Lease] = {}
        if former is None:
            return
        unaffected = {str(entry.id) for entry in registry if entry.id not in touched}
        self.drivers = {
            id_: driver
            for id_, driver in former.drivers.items()
            if str(id_) in unaffected or _stays(driver, former.registry[id_], registry.get(id_))
        }
        self.stores = {
            id_: store
            for id_, store in former.stores.items()
            if (entry := registry.get(id_)) is not None and entry.kind == former.registry[id_].kind
        }
        self.queues = _only(former.queues, unaffected)
        self.bindings = _only(former.bindings, unaffected)
        self.functions = _only(former.functions, unaffected)
        objects = {*self.drivers.values(), *self.queues.values()}
        self.leases = {key: lease for key, lease in former.leases.items() if key in objects}


def _only(table: Mapping[str, Found], names: set[str]) -> dict[str, Found]:
    return {name: found for name, found in table.items() if name in names}


def _stays(driver: Driver, was: Entry, is_: Entry | None) -> bool:
    """Whether a driver without a backend is the same but for its life cycle, which is its supervisor's matter."""
    if driver.features.durable or is_ is None or is_.kind != was.kind:
        return False
    return bool(evolve(is_.config, lifecycle=was.config.lifecycle) == was.config)


def reached_by(former: Registry, registry: Registry) -> frozenset[EntryID]:
    """As `affected`; a policy that comes, goes or changes reaches those who name its group, too."""
    reached = affected(former, registry)
    groups = {
        group
        for version in (former, registry)
        for policy in policy_entries(version)
        if policy.id in reached
        for group in groups_of(policy)
    }
    members = (entry.id for entry in registry if groups.intersection(_groups_named_by(entry)))
    return affected(former, registry, members)


def _groups_named_by(entry: Entry) -> tuple[EntryID, ...]:
    block = entry.config.lifecycle.security if isinstance(entry.config, ServiceConfig) else None
    return () if block is None else block.group_ids(entry.id.namespace)
