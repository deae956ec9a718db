"""What `noria check` says of a Lua source without running it.

Knows: compiling. Must not know: what happens when it runs.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ....registry import Entry, Registry
from ....registry.wording import nearest
from ...lifecycle import Complaints
from .engines import ENGINES, new_runtime, what_is_missing
from .entries import LuaFunctionConfig, LuaLibraryConfig
from .modules import ALWAYS, LISTED
from .names import Names, names_in
from .script import name_of


def check_engine(engine: str) -> tuple[str, str] | None:
    """Why a function with this engine cannot run here."""
    if engine not in ENGINES:
        return "engine", f"expected one of {', '.join(ENGINES)}"
    missing = what_is_missing(engine)
    return ("engine", missing) if missing else None


@cache
def _compiler(engine: str) -> Any:
    return new_runtime(ENGINES[engine]).eval(
        b"function(text, name) return select(2, load(text, name, 't')) end"
    )


def syntax_error(text: str, name: str, engine: str) -> str | None:
    """`handler.lua:3: unexpected symbol near 'end'`, or None."""
    problem = _compiler(engine)(text.encode("utf-8", "surrogatepass"), b"@" + name.encode())
    return None if problem is None else str(problem.decode("utf-8", "replace"))


def check_code(entry: Entry, registry: Registry, engine: str) -> Complaints:  # noqa: ARG001
    """Everything that is wrong with the source, modules and imports of a function or library."""
    config: LuaFunctionConfig | LuaLibraryConfig = entry.config
    yield from _check_modules(config)
    missing = what_is_missing(engine)
    if missing:
        yield "source", missing
        return
    if config.source.path is None and config.source.strip().endswith(".lua"):
        yield "source", f"expected the text of a script; did you mean file://{config.source.strip()}?"
        return
    name = name_of(entry)
    problem = syntax_error(config.source, name, engine)
    if problem is not None:
        yield "source", problem
        return
    yield from _check_required(config, name)


def _check_modules(config: LuaFunctionConfig | LuaLibraryConfig) -> Complaints:
    for index, module in enumerate(config.modules):
        where = f"modules[{index}]"
        if not module:
            yield where, "a module has a name"
        elif ":" in module:
            yield where, "a module cannot have a namespace; libraries belong in imports"
        elif module not in LISTED:
            near = nearest(module, LISTED)
            hint = f", did you mean {near}?" if near else f"; known are {', '.join(LISTED)}"
            yield where, f"there is no module {module}{hint}"
    for alias in config.imports:
        if not alias:
            yield "imports", "an import has a name"


def _check_required(config: LuaFunctionConfig | LuaLibraryConfig, name: str) -> Complaints:
    known = {*config.modules, *config.imports, *ALWAYS}
    for line, wanted in names_in(config.source).required:
        if wanted not in known:
            yield "source", f"{name}:{line}: require of {wanted}: {_why_not_there(wanted, known)}"


def _why_not_there(wanted: str, known: Iterable[str]) -> str:
    if wanted in LISTED:
        return "list it under modules"
    near = nearest(wanted, {*known, *LISTED})
    return "it is neither in modules nor in imports" + (f", did you mean {near}?" if near else "")


def check_method(entry: Entry) -> Complaints:
    """A method that the script visibly cannot have: it is nowhere in the text, and no bare function is returned."""
    config: LuaFunctionConfig = entry.config
    name = name_of(entry)
    if syntax_error(config.source, name, config.engine) is not None:
        return  # Nobody knows what it defines, and check_code has told why.
    found = names_in(config.source)
    if found.returns_nothing:
        yield (
            "method",
            f"{name} returns nothing; it has to end with `return {config.method}`, or return a table with it",
        )
    elif not found.may_export(config.method):
        yield "method", f"the table that {name} returns has no {config.method}"


def undefined_names(registry: Registry) -> Iterator[tuple[Entry, str]]:
    """Names, and members of tables that stand ready, that nobody defines, with the function or library they stand in.

    `handler.lua:9: process_task is neither defined nor built in`
    """
    for entry in registry:
        if entry.kind in {"function.lua", "library.lua"}:
            texts = _texts_of(entry, registry)
            found = [*_undefined_globals(entry, texts), *_undefined_members(entry, texts)]
            yield from ((entry, f"{name_of(entry)}:{line}: {told}") for line, told in sorted(found))


def _texts_of(entry: Entry, registry: Registry) -> tuple[Names, ...]:
    """What it says itself, and what the libraries say that run in the same state."""
    found = {str(entry.id): entry}
    waiting = list(entry.config.imports.values())
    while waiting:
        library = registry[waiting.pop()]
        if str(library.id) not in found:
            found[str(library.id)] = library
            waiting.extend(library.config.imports.values())
    return tuple(names_in(each.config.source) for each in found.values())


def _undefined_globals(entry: Entry, texts: Sequence[Names]) -> Iterator[tuple[int, str]]:
    from .state import KEPT

    known = {*KEPT.split(), *ALWAYS, *entry.config.imports}
    known.update(*(text.assigned for text in texts))
    for line, wanted in texts[0].undefined(known):
        yield line, f"{wanted} is neither defined nor built in"


def _undefined_members(entry: Entry, texts: Sequence[Names]) -> Iterator[tuple[int, str]]:
    if any(text.is_dynamic for text in texts):
        return
    tables = _tables_of(entry)
    given = {each for text in texts for each in text.members.given}
    shared = {each for text in texts for each in text.members.shared}
    for line, table, member in texts[0].members.read:
        if table not in shared and (table, member) not in given and member not in tables.get(table, {member}):
            near = nearest(member, tables[table])
            yield line, f"{table} has no {member}" + (f", did you mean {near}?" if near else "")


def _tables_of(entry: Entry) -> Mapping[str, Collection[str]]:
    """The members of what stands ready for a script. A library's functions may have any engine that is there."""
    from .ready import ready_in

    config: LuaFunctionConfig | LuaLibraryConfig = entry.config
    engines = [config.engine] if isinstance(config, LuaFunctionConfig) else list(ENGINES)
    found: dict[str, set[str]] = {}
    for ready in [ready_in(engine) for engine in engines if what_is_missing(engine) is None]:
        modules = {name: ready.modules[name] for name in config.modules if name not in config.imports}
        for name, members in {**modules, **ready.globals}.items():
            found.setdefault(name, set()).update(members)
    return found
