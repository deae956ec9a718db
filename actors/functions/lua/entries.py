"""`function.lua` and `library.lua` in a definition file.

Knows: fields, and what a source shows without running it. Must not know: what a state is.
"""

from collections.abc import Mapping

from attrs import Factory, field, frozen

from ....registry import Entry, EntryID, FileText, Kind, Registry, between, reference
from ...lifecycle import Complaints

POOL_TYPES = ("lazy", "static", "adaptive", "inline")
DEFAULT_INSTRUCTIONS = 1_000_000_000
DEFAULT_MEMORY = 64 * 1024 * 1024


@frozen(kw_only=True)
class LuaPoolConfig:
    """`pool:` as Wippy has it. A consumer's `concurrency` decides here; the block is checked and changes nothing."""

    type: str = ""
    size: int = between(0, default=0)
    workers: int = between(0, default=0)
    buffer: int = between(0, default=0)
    max_size: int = between(0, default=0)


@frozen(kw_only=True)
class LuaLimitsConfig:
    """`limits:` of one call; 0 is none."""

    instructions: int = between(0, default=DEFAULT_INSTRUCTIONS)
    memory: int = between(0, default=DEFAULT_MEMORY)


@frozen(kw_only=True)
class LuaLibraryConfig:
    """`library.lua`: code for the `imports` of functions and other libraries."""

    source: FileText
    modules: tuple[str, ...] = ()
    imports: Mapping[str, EntryID] = reference("library.lua", default=Factory(dict))


@frozen(kw_only=True)
class LuaFunctionConfig:
    """`function.lua`: a script that returns a table of functions, or one function."""

    source: FileText
    method: str = "handler"
    modules: tuple[str, ...] = ()
    imports: Mapping[str, EntryID] = reference("library.lua", default=Factory(dict))
    pool: LuaPoolConfig | None = None
    limits: LuaLimitsConfig = field(factory=LuaLimitsConfig)
    engine: str = "lua54"


def _check_library(entry: Entry, registry: Registry) -> Complaints:
    from .check import check_code

    yield from check_code(entry, registry, "lua54")


def _check_function(entry: Entry, registry: Registry) -> Complaints:
    from .check import check_code, check_engine, check_method

    config: LuaFunctionConfig = entry.config
    yield from _check_pool(config.pool)
    problem = check_engine(config.engine)
    if problem is not None:
        yield problem
        return
    yield from check_code(entry, registry, config.engine)
    yield from check_method(entry)


def _check_pool(pool: LuaPoolConfig | None) -> Complaints:
    if pool is None:
        return
    if pool.type and pool.type not in POOL_TYPES:
        yield "pool.type", f"expected one of {', '.join(POOL_TYPES)}"
    if pool.workers > 0 and pool.size == 0:
        yield "pool.workers", "workers needs a size above 0"


LUA_KINDS: tuple[Kind, ...] = (
    Kind("function.lua", LuaFunctionConfig, _check_function),
    Kind("library.lua", LuaLibraryConfig, _check_library),
)
