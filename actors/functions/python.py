"""`function.python`: functions in files and in installed modules.

Knows: importing. Must not know: queues, actors, who calls.
"""

import functools
import importlib
import inspect
import itertools
import linecache
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ...registry import Entry, EntryID
from ..entries import PoolConfig, PythonFunctionConfig
from ..errors import FunctionBroken
from ..function import Function

if TYPE_CHECKING:
    from .processes.pool import ProcessPool

_serial = itertools.count(1)


class PythonFunctions:
    """Loads the Python functions of one runtime.

    Two entries with the same file share one module, so module-level state is shared as it is in any program;
    two runtimes in one process have modules of their own. A file that has changed since is another module.
    """

    def __init__(self, prefix: str = "_noria") -> None:
        self._prefix = prefix
        self._modules: dict[tuple[Path, str], ModuleType] = {}
        self._users: dict[tuple[Path, str], set[object]] = {}
        # Also those that are retired and not empty yet.
        self._pools: WeakSet[ProcessPool] = WeakSet()

    def load(self, entry: Entry) -> Function:
        """The function of an entry. One in worker processes is loaded when `isolation.wait_ready` has returned.

        Raises:
            FunctionBroken: a syntax error, an exception at import, or no such function; with file and line.
        """
        config: PythonFunctionConfig = entry.config
        if config.pool is not None:
            return self._in_processes(entry, config.pool)
        return self.load_here(entry)

    def close(self) -> None:
        """End what still runs in processes. The functions are closed one by one."""
        for pool in tuple(self._pools):
            pool.close()

    def load_here(self, entry: Entry) -> Function:
        """The function of an entry in this process, whatever its `pool` says. Raises as `load`."""
        close = self._use(entry)
        try:
            return self._function(entry, close)
        except BaseException:
            close()
            raise

    def _function(self, entry: Entry, close: Callable[[], None]) -> Function:
        config: PythonFunctionConfig = entry.config
        module = self._module(entry, config)
        file = getattr(module, "__file__", None) or str(entry.source.file)
        if not hasattr(module, config.method):
            problem = f"{config.module or Path(file).name} does not define {config.method}"
            raise FunctionBroken(str(entry.id), problem, file=file, line=1)
        call = getattr(module, config.method)
        if not callable(call):
            raise FunctionBroken(str(entry.id), f"{config.method} cannot be called", file=file, line=1)
        if _is_generator(call):
            problem = (
                f"{config.method} has a yield: a call would only make a generator, and run nothing of it"
            )
            raise FunctionBroken(str(entry.id), problem, file=file, line=1)
        is_async = _is_async(call)
        return Function(
            id=entry.id,
            call=call if is_async else _without_coroutines(call, config.method),
            is_async=is_async,
            close=close,
        )

    def _in_processes(self, entry: Entry, config: PoolConfig) -> Function:
        from .processes.pool import ProcessPool

        pool = ProcessPool(entry, config.size or _core_count())
        self._pools.add(pool)
        pool.start()
        return Function(id=entry.id, call=pool.call, isolation=pool, close=pool.close, retire=pool.retire)

    def _module(self, entry: Entry, config: PythonFunctionConfig) -> ModuleType:
        if config.module is not None:
            return _guarded_import(entry, config.module)
        path, text = key = _file_of(entry)
        if key not in self._modules:
            self._modules[key] = _execute(entry.id, text, path, self._prefix)
        return self._modules[key]

    def _use(self, entry: Entry) -> Callable[[], None]:
        """Note a function of a module; the last one that closes lets go of it. What still runs in it goes on."""
        config: PythonFunctionConfig = entry.config
        if config.module is not None:
            return _nothing_to_close
        key, user = _file_of(entry), object()
        self._users.setdefault(key, set()).add(user)

        def close() -> None:
            # Once: a stop in the middle of a change may close a function that the change gives up, too.
            users = self._users.get(key, set())
            if user in users:
                users.discard(user)
                if not users:
                    del self._users[key]
                    if key in self._modules:
                        sys.modules.pop(self._modules.pop(key).__name__, None)

        return close


def _nothing_to_close() -> None:
    """An installed module stays imported."""


def _file_of(entry: Entry) -> tuple[Path, str]:
    source = entry.config.source
    return source.path or entry.source.file, str(source)


def _core_count() -> int:
    """How many of them this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_async(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def _without_coroutines(call: Callable[..., Any], method: str) -> Callable[..., Any]:
    """`call`, failing where it returns a coroutine: nobody would await it, and its message would be acked all the same.

    An async function looks like a plain one behind a decorator that is not written for such.
    """

    @functools.wraps(call)
    def checked(*arguments: Any) -> Any:
        result = call(*arguments)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(
                f"{method} returned a coroutine, which nobody awaits: make it an async def itself"
            )
        return result

    return checked


def _is_generator(call: Any) -> bool:
    return inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)


def _guarded_import(entry: Entry, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        file, line = _origin(error, Path(entry.source.file), entry.source.line, skip=importlib.__file__)
        raise FunctionBroken(
            str(entry.id), f"cannot import {name}: {_text(error)}", file=file, line=line
        ) from error


def _execute(function: EntryID, source: str, path: Path, prefix: str) -> ModuleType:
    module = ModuleType(f"{prefix}_{next(_serial)}_{path.stem}")
    # Dataclasses and pickle look their module up by name.
    sys.modules[module.__name__] = module
    module.__file__ = str(path)
    # Tracebacks show the handler's own lines, also when the file has changed since.
    linecache.cache[str(path)] = (len(source), None, source.splitlines(keepends=True), str(path))
    try:
        code = compile(source, str(path), "exec")
        exec(code, module.__dict__)  # noqa: S102  (running the user's handlers is what this is for)
    except BaseException as error:
        del sys.modules[module.__name__]
        file, line = _origin(error, path, 1)
        problem = f"{_text(error)}{_hint(error, path)}"
        raise FunctionBroken(str(function), problem, file=file, line=line) from error
    return module


def _hint(error: BaseException, path: Path) -> str:
    """For an import of what stands beside the handler: Python looks for it on `sys.path` only."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or not (path.parent / f"{name.partition('.')[0]}.py").exists():
        return ""
    return f" ({name}.py stands beside it: put {path.parent} on sys.path, as `noria run` does)"


def _origin(error: BaseException, path: Path, line: int, skip: str | None = None) -> tuple[Path | str, int]:
    """Where the user's code went wrong: the syntax error's place, or the deepest frame that is not ours."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or line
    ours = {__file__, skip}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if (
            frame.filename not in ours
            and not frame.filename.startswith("<")
            and _is_near(frame.filename, path)
        ):
            return frame.filename, frame.lineno or line
    return path, line


def _is_near(filename: str, path: Path) -> bool:
    return Path(filename) == path or not filename.startswith(sys.base_prefix)


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
