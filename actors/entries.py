"""What may stand in a definition file about queues: the config classes and their kinds.

Knows: fields, defaults, limits and what only the whole registry can tell about them. Must not know: anything
that runs. Defaults and maxima are the seed's and those of Wippy's queue specification.
"""

import ast
from collections.abc import Mapping
from typing import Any, Literal

from attrs import asdict, field, frozen

from ..registry import (
    Duration,
    Entry,
    EntryID,
    FileText,
    Kind,
    Registry,
    between,
    read_options,
    reference,
)
from ..registry.wording import nearest
from .aws import AWS_KIND
from .codecs import DEFAULT_CODEC, what_is_wrong_with
from .driver import Features, short_name
from .drivers import DRIVER_KINDS
from .functions.lua.entries import LUA_KINDS
from .lifecycle import Complaints, ServiceConfig, check_service
from .stores import STORE_KINDS
from .supervision import Backoff


@frozen(kw_only=True)
class DeadLetterConfig:
    """`dead_letter:`: the queue for messages that fail for good; `max_attempts: 0`: only rejected ones."""

    queue: EntryID = reference("queue.queue")
    max_attempts: int = between(0, default=0)


@frozen(kw_only=True)
class RedeliveryConfig:
    """`redelivery:`: how long a failed message waits, longer each time. The defaults avoid a hot loop."""

    initial_delay: Duration = between(0, default=0.1)
    max_delay: Duration = between(0, default=30.0)
    backoff_factor: float = between(1, 1000, default=2.0)
    jitter: float = between(0, 1, default=0.1)

    def backoff(self) -> Backoff:
        """The delays between the attempts."""
        return Backoff(**asdict(self))


@frozen(kw_only=True)
class QueueConfig(ServiceConfig):
    """`queue.queue`: a logical queue on a driver."""

    driver: EntryID = reference("queue.driver.*")
    queue_name: str = ""
    codec: str = DEFAULT_CODEC
    options: Mapping[str, Any] = field(factory=dict)
    driver_options: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    dead_letter: DeadLetterConfig | None = None
    redelivery: RedeliveryConfig = RedeliveryConfig()
    publish_timeout: Duration = between(0, default=30.0)

    def options_for(self, driver_kind: str) -> dict[str, Any]:
        """The options of this driver: `options`, and over them `driver_options.<short name of the driver>`."""
        return {**self.options, **self.driver_options.get(short_name(driver_kind), {})}


@frozen(kw_only=True)
class ConsumerConfig(ServiceConfig):
    """`queue.consumer`: a queue's messages handed to a function by a pool of workers."""

    queue: EntryID = reference("queue.queue")
    func: EntryID = reference("function.*")
    concurrency: int = between(1, 1000, default=1)
    prefetch: int = between(1, 10000, default=10)
    timeout: Duration | None = between(0.001, default=None)
    auto_ack: bool = False
    driver_options: Mapping[str, Mapping[str, Any]] = field(factory=dict)


@frozen(kw_only=True)
class PoolConfig:
    """`pool:`: the function runs in worker processes; without a size, in as many as there are cores."""

    type: Literal["process"]
    size: int | None = between(1, 1000, default=None)


@frozen(kw_only=True)
class PythonFunctionConfig:
    """`function.python`: a function in a file (`source: file://handlers.py`) or in an installed module."""

    source: FileText | None = None
    module: str | None = None
    method: str = "handler"
    pool: PoolConfig | None = None


def _check_queue(entry: Entry, registry: Registry) -> Complaints:
    yield from check_service(entry, registry)
    config: QueueConfig = entry.config
    if config.queue_name and not config.queue_name.strip():
        yield "queue_name", "expected a name, found only white space"
    yield from _check_codec(config, registry)
    if config.dead_letter is not None and config.dead_letter.queue == entry.id:
        yield "dead_letter.queue", "a queue cannot be its own dead-letter queue"
    yield from _check_driver_names(config.driver_options, registry)
    kind = registry[config.driver].kind
    driver = registry[config.driver].config.driver
    own = config.driver_options.get(short_name(kind), {})
    for path, problem in read_options(config.options_for(kind), driver.queue_options)[1]:
        steps = tuple(path)
        where = ("driver_options", short_name(kind)) if steps and steps[0] in own else ("options",)
        yield (*where, *steps), problem
    if driver.features.shared:
        yield from _check_unique_name(entry, registry, driver.features)


def _check_codec(config: QueueConfig, registry: Registry) -> Complaints:
    problem = what_is_wrong_with(config.codec)
    if problem is not None:
        yield "codec", problem
    elif config.dead_letter is not None:
        target = config.dead_letter.queue
        other = registry[target].config.codec
        if other != config.codec:
            yield (
                "dead_letter.queue",
                f"a dead letter keeps its bytes: this queue writes {config.codec}, and {target} reads {other}",
            )


def _check_driver_names(options: Mapping[str, Any], registry: Registry) -> Complaints:
    """An application may carry options for drivers that it does not use now, but not for ones that nobody knows."""
    if not options:
        return  # most have none, and each would look through all entries
    kinds = {kind.name for kind in DRIVER_KINDS} | {
        entry.kind for entry in registry.find({".kind": "queue.driver.*"})
    }
    known = sorted(map(short_name, kinds))
    for name in options:
        if name not in known:
            near = nearest(name, known)
            hint = f", did you mean {near}?" if near else f"; known are {', '.join(known)}"
            yield f"driver_options.{name}", f"there is no driver {name}{hint}"


def _check_unique_name(entry: Entry, registry: Registry, features: Features) -> Complaints:
    """Two queues must not be one in the backend: a handler of one would get the other's bodies."""
    mine = backend_name(entry, features)
    for other in registry:
        if other.kind != entry.kind or other.config.driver != entry.config.driver or other.id >= entry.id:
            continue
        if backend_name(other, features) == mine:
            field_name = "queue_name" if entry.config.queue_name else "name"
            yield field_name, f"{mine} on {entry.config.driver} is already {other.id}: set queue_name"


def backend_name(entry: Entry, features: Features) -> str:
    """What a queue is called in its backend.

    Its `queue_name`, or its name, where other programs may know it by that; its whole ID where only we do.
    """
    name: str = entry.config.queue_name or entry.id.name
    return name if features.shared else str(entry.id)


def _check_consumer(entry: Entry, registry: Registry) -> Complaints:
    yield from check_service(entry, registry)
    config: ConsumerConfig = entry.config
    driver = registry[registry[config.queue].config.driver]
    yield from _check_driver_names(config.driver_options, registry)
    name = short_name(driver.kind)
    given = config.driver_options.get(name, {})
    for path, problem in read_options(given, driver.config.driver.consumer_options)[1]:
        yield ("driver_options", name, *path), problem


def _check_python_function(entry: Entry, registry: Registry) -> Complaints:  # noqa: ARG001
    config: PythonFunctionConfig = entry.config
    if (config.source is None) == (config.module is None):
        yield "source", "give either source (file://handlers.py) or module (package.module)"
    elif config.source is not None:
        yield from _check_source(config.source, config.method)


def _check_source(source: FileText, method: str) -> Complaints:
    """Errors that reading the source shows without running it."""
    name = source.path.name if source.path else "source"
    if source.path is None and source.strip().endswith(".py"):
        yield "source", f"expected the text of a module; did you mean file://{source.strip()}?"
        return
    try:
        tree = ast.parse(source, filename=str(source.path or "<source>"))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        yield "source", f"{name}:{line}: {getattr(error, 'msg', error)}"
        return
    if not _may_define(tree, method):
        yield "method", f"{name} does not define {method}"


def _may_define(tree: ast.Module, method: str) -> bool:
    """Whether the module can have this name: exact for plain code, generous where it cannot be known."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if name in (method, "__getattr__"):
                    return True
            case ast.Name(id=name, ctx=ast.Store()) if name == method:
                return True
            case ast.alias(name=name, asname=alias) if (alias or name) in (method, "*"):
                return True
            case ast.Constant(value=text) if text == method:
                return True
    return False


KINDS: tuple[Kind, ...] = (
    AWS_KIND,
    *DRIVER_KINDS,
    Kind("queue.queue", QueueConfig, _check_queue),
    Kind("queue.consumer", ConsumerConfig, _check_consumer),
    Kind("function.python", PythonFunctionConfig, _check_python_function),
    *LUA_KINDS,
    *STORE_KINDS,
)
