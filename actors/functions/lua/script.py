"""A function and its libraries as texts: what a state is filled with.

Knows: entries and their references to each other. Must not know: Lua, states.
"""

from collections.abc import Iterator

from attrs import frozen

from ....registry import Entry, Registry
from .entries import LuaFunctionConfig, LuaLibraryConfig


@frozen(kw_only=True)
class Chunk:
    """One text.

    Attributes:
        key: the registry ID of its entry.
        name: what errors call it: the file as the definition file names it.
        names: what it may require: modules by their names, libraries (their keys) by their aliases.
    """

    key: str
    name: str
    text: str
    names: dict[str, str]


@frozen(kw_only=True)
class Script:
    """A function's own chunk, its libraries, and every module that one of them lists."""

    main: Chunk
    libraries: tuple[Chunk, ...]
    modules: tuple[str, ...]

    @classmethod
    def of(cls, entry: Entry, registry: Registry) -> "Script":
        """Everything that a function needs, libraries of libraries too."""
        entries = {str(found.id): found for found in _reached(entry, registry, set())}
        names: set[str] = set()
        chunks = [_chunk(found, names) for found in entries.values()]
        listed = {module for found in entries.values() for module in found.config.modules}
        return cls(main=chunks[0], libraries=tuple(chunks[1:]), modules=tuple(sorted(listed)))


def _reached(entry: Entry, registry: Registry, seen: set[str]) -> Iterator[Entry]:
    if str(entry.id) in seen:
        return
    seen.add(str(entry.id))
    yield entry
    for library in entry.config.imports.values():
        yield from _reached(registry[library], registry, seen)


def _chunk(entry: Entry, taken: set[str]) -> Chunk:
    config: LuaFunctionConfig | LuaLibraryConfig = entry.config
    name = name_of(entry)
    if name in taken:
        name = f"{name} ({entry.id})"
    taken.add(name)
    names = {module: module for module in config.modules}
    names |= {alias: str(library) for alias, library in config.imports.items()}
    return Chunk(key=str(entry.id), name=name, text=str(config.source), names=names)


def name_of(entry: Entry) -> str:
    """`task_handler.lua`, relative to the definition file; the ID of an entry whose text stands in it."""
    path = entry.config.source.path
    if path is None:
        return str(entry.id)
    home = entry.source.file.parent.resolve()
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
