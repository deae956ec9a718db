"""From what is declared to what runs: drivers, queues and functions as objects, services as child specifications.

Knows: how the pieces are put together. Must not know: when they start, how they are supervised.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pykka
from attrs import field, frozen

from ..registry import Bus, Entry, EntryID, Registry, read_options
from ..security import Guard, Policies, Principal, Scope, token_stores_of
from .access import drivers_of, queues_of
from .consumer import Consumer
from .driver import Driver, short_name
from .entries import ConsumerConfig
from .function import Function
from .functions.lua.functions import LuaFunctions
from .functions.python import PythonFunctions
from .handle import Binding
from .kept import Kept, reached_by
from .lifecycle import Lifecycle, ServiceConfig
from .queue import Queue
from .services import DriverActor, Lease, QueueActor
from .stores import MemoryStoreConfig, stores_of
from .supervision import ChildSpec
from .supervision.restart import needed_by

if TYPE_CHECKING:
    from .runtime import Runtime

# A consumer tells its workers to end this much before its own time is up, so that it can still report.
STOP_MARGIN = 0.5


@frozen
class Loaders:
    """What loads functions; the topologies of one runtime share it."""

    python: PythonFunctions = field(factory=PythonFunctions)
    lua: LuaFunctions = field(factory=LuaFunctions)


class Topology:
    """Everything of one application that outlives its actors.

    It is made for one registry and not changed. The one for the next registry takes over, from its `former`, every
    object that means the same there; it is to take its place (`take_over`) or to be given up (`close`).

    Args:
        registry: what is declared.
        guard: authorises every call.
        bus: hears what happens.
        consuming: whether consumers start by themselves.
        former: what there was before a change.

    Attributes:
        affected: the entries that are not as they were, and all that need them.
    """

    def __init__(
        self,
        registry: Registry,
        guard: Guard,
        bus: Bus,
        *,
        consuming: bool = True,
        former: "Topology | None" = None,
    ) -> None:
        self.registry = registry
        self._consuming = consuming
        self.guard = guard
        self.bus = bus
        self.affected = (
            frozenset(entry.id for entry in registry)
            if former is None
            else reached_by(former.registry, registry)
        )
        kept = Kept(former, registry, self.affected)
        self.policies = Policies.from_registry(registry)
        self.drivers = drivers_of(registry, kept.drivers)
        self.queues = queues_of(registry, self.drivers, bus, kept.queues)
        for id_, queue in self.queues.items():
            if former is not None and id_ in former.queues:
                queue.succeed(former.queues[id_])
        self.stores = stores_of(registry, kept.stores)
        self.token_stores = token_stores_of(registry, self.stores, lambda: self.policies)
        # Each queue that some consumer takes from, with those consumers; one that does not start takes nothing.
        self.consumers: dict[str, list[str]] = defaultdict(list)
        starting = starts_by_itself(registry)
        for entry in registry:
            if consuming and entry.kind == "queue.consumer" and entry.id in starting:
                self.consumers[str(entry.config.queue)].append(str(entry.id))
        self.bindings = kept.bindings
        self.leases: defaultdict[Driver | Queue, Lease] = defaultdict(Lease, kept.leases)
        self.functions = kept.functions
        self.loaders: Loaders = Loaders() if former is None else former.loaders

    def changed(self, registry: Registry) -> "Topology":
        """The one for the next registry."""
        return Topology(registry, self.guard, self.bus, consuming=self._consuming, former=self)

    def load_functions(self) -> None:
        """Import every handler that is not there yet; Lua is only read, its states are made when they are needed.

        Raises:
            FunctionBroken: one of them cannot be loaded.
        """
        made = [self._load(entry) for entry in self.registry if str(entry.id) not in self.functions]
        for function in made:
            if function is not None and function.isolation is not None:
                function.isolation.wait_ready()

    def _load(self, entry: Entry) -> Function | None:
        if entry.kind == "function.python":
            function = self.loaders.python.load(entry)
        elif entry.kind == "function.lua":
            function = self.loaders.lua.load(entry, self.registry)
        else:
            return None
        self.functions[str(entry.id)] = function
        return function

    def take_over(self) -> None:
        """Its time has come: give the stores that it kept their new bounds."""
        for id_, store in self.stores.items():
            config: MemoryStoreConfig = self.registry[id_].config
            store.set_bounds(config.largest, config.seconds_between_cleanups)

    def close(self, successor: "Topology | None" = None) -> None:
        """Forget the functions and their modules, but for those that another topology goes on with."""
        left = () if successor is None else successor.functions.values()
        staying = {id(function) for function in left}
        for function in self.functions.values():
            if id(function) not in staying:
                (function.close if successor is None else function.retire or function.close)()
        self.functions = {}
        if successor is None:
            self.loaders.python.close()
            self.loaders.lua.close()

    def is_handling(self) -> bool:
        """Whether some handler runs, also one whose message has been settled already."""
        return any(
            handling.current is not None
            for binding in tuple(self.bindings.values())
            for handling in tuple(binding.handlings.values())
        )

    def children(self, runtime: "Runtime") -> tuple[ChildSpec, ...]:
        """The specification of every service, with what it requires; consumers have new bindings."""
        return self._children(runtime, self.registry)

    def affected_children(self, runtime: "Runtime") -> tuple[ChildSpec, ...]:
        """Those of the services that are affected."""
        return self._children(runtime, [entry for entry in self.registry if entry.id in self.affected])

    def _children(self, runtime: "Runtime", entries: Iterable[Entry]) -> tuple[ChildSpec, ...]:
        services = {entry.id: entry for entry in self.registry if isinstance(entry.config, ServiceConfig)}
        return tuple(
            self._child(entry, tuple(self._services_below(entry, services)), runtime)
            for entry in entries
            if entry.id in services
        )

    def _services_below(self, entry: Entry, services: dict[EntryID, Entry]) -> Iterator[EntryID]:
        """What a service needs running: its references, followed through entries that do not run."""
        seen: set[EntryID] = {entry.id}
        waiting = list(reversed(entry.dependencies))
        while waiting:
            id_ = waiting.pop()
            if id_ in seen:
                continue
            seen.add(id_)
            if id_ in services:
                yield id_
            else:
                waiting.extend(reversed(self.registry[id_].dependencies))

    def _child(self, entry: Entry, requires: tuple[EntryID, ...], runtime: "Runtime") -> ChildSpec:
        lifecycle: Lifecycle = entry.config.lifecycle
        actor, arguments, named = self._actor(entry, runtime)
        return ChildSpec(
            id=str(entry.id),
            actor=actor,
            args=arguments,
            kwargs=named,
            kind=entry.kind,
            backoff=lifecycle.restart.backoff(),
            stable_threshold=lifecycle.stable_threshold,
            start_timeout=lifecycle.start_timeout,
            stop_timeout=lifecycle.stop_timeout + STOP_MARGIN,
            requires=tuple(str(id_) for id_ in requires),
            # So that a handler that is still running while everything stops can publish what it has to.
            outlives=("queue.consumer",) if entry.kind == "queue.queue" else (),
            required=lifecycle.startup == "required",
            auto_start=auto_starts(entry) and (self._consuming or entry.kind != "queue.consumer"),
        )

    def _actor(
        self, entry: Entry, runtime: "Runtime"
    ) -> tuple[type[pykka.ThreadingActor], tuple[Any, ...], dict[str, Any]]:
        driver, queue = self.drivers.get(entry.id), self.queues.get(str(entry.id))
        if driver is not None:
            return DriverActor, (driver, self.leases[driver]), {}
        if queue is not None:
            return QueueActor, (queue, self.leases[queue]), {}
        config: ConsumerConfig = entry.config
        named = {
            "concurrency": config.concurrency,
            "prefetch": config.prefetch,
            "stop_timeout": config.lifecycle.stop_timeout,
        }
        return Consumer, (self.binding(entry, runtime),), named

    def identity(self, entry: Entry) -> tuple[Principal | None, Scope | None]:
        """Who a service acts as, and what it may."""
        block = entry.config.lifecycle.security
        if block is None:
            return None, None
        return block.principal(), self.policies.scope_of(block, entry.id.namespace)

    def binding(self, entry: Entry, runtime: "Runtime | None" = None) -> Binding:
        """What every call of a consumer has in common, its principal and scope included."""
        config: ConsumerConfig = entry.config
        principal, scope = self.identity(entry)
        function = self.functions[str(config.func)]
        binding = Binding(
            consumer=entry.id,
            queue=self.queues[str(config.queue)],
            function=function,
            guard=self.guard,
            check=self.guard.prepare(principal, scope, "funcs.call", str(function.id)),
            bus=self.bus,
            runtime=runtime,
            principal=principal,
            scope=scope,
            timeout=config.timeout,
            auto_ack=config.auto_ack,
            driver_options=self._driver_options(config),
        )
        self.bindings[str(entry.id)] = binding
        return binding

    def _driver_options(self, config: ConsumerConfig) -> Any:
        driver = self.registry[self.registry[config.queue].config.driver]
        given = config.driver_options.get(short_name(driver.kind), {})
        return read_options(given, driver.config.driver.consumer_options)[0]


def auto_starts(entry: Entry) -> bool:
    """Whether a service starts with the runtime. A queue does unless it says otherwise: it can be published to."""
    wish: bool | None = entry.config.lifecycle.auto_start
    return entry.kind == "queue.queue" if wish is None else wish


def starts_by_itself(registry: Registry) -> set[EntryID]:
    """The entries that start with the runtime, and what they need."""
    roots = (entry.id for entry in registry if isinstance(entry.config, ServiceConfig) and auto_starts(entry))
    return needed_by(roots, {entry.id: entry.dependencies for entry in registry})
