"""One Lua state: made, filled with a script, called, thrown away.

Knows: how calls and data cross, and when a call must end. Must not know: entries, workers, which thread calls.
"""

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ....security import CallContext, current_context
from ...handle import HandlerContext
from .engines import Engine, new_runtime
from .faults import LuaError, LuaLimit, fault_of
from .modules import ALWAYS, BENEATH, MODULES
from .modules.module import Surroundings, scripts_of
from .sandbox import PARTS, START
from .script import Chunk, Script
from .values import DEEPEST, Flattener, plain

# Between two looks at the count there are this many instructions: few milliseconds, and no cost that shows.
STEP = 10_000
# Looking at the clock asks Python, which may have to wait for the interpreter's lock.
POLL = 1_000_000

# What a script finds without asking; the sandbox replaces some of it.
KEPT = (
    "_G _VERSION assert bit bit32 collectgarbage coroutine error getmetatable ipairs math next os pairs pcall print"
    " rawequal rawget rawlen rawset require select setmetatable string table tonumber tostring type unpack utf8 xpcall"
)

Returned = tuple[str, Any]


class LuaState:
    """One state with one script. Not thread-safe: whoever calls it has it to itself.

    Attributes:
        is_usable: false once a limit ended a call, or the state was closed.
        interrupt: an exception that is no error, on its way past the script.
    """

    def __init__(
        self, script: Script, engine: Engine, surroundings: Surroundings, instructions: int, memory: int
    ) -> None:
        self.is_usable = True
        self._instructions = instructions
        self._memory = memory
        self._flattener = Flattener(engine.largest)
        self.interrupt: BaseException | None = None
        self._lua: Any = new_runtime(engine)
        options = self._options(engine)
        host = self._host(engine)
        self._doors: Mapping[bytes, Any] = dict(
            self._lua.execute(
                START,
                self._table(host),
                self._table(options),
                self._lua.table_from(PARTS),
                name=b"=[noria]",
            ).items()
        )
        for name in dict.fromkeys((*BENEATH, *ALWAYS, *script.modules)):
            self._install(name, surroundings)
        self._provide(script)

    def _options(self, engine: Engine) -> dict[str, Any]:
        is_limited = not engine.hooks_stop_compiling or self._instructions > 0
        return {
            "step": STEP,
            "poll": POLL,
            "instructions": self._instructions,
            "memory": self._memory,
            "counts_memory": not engine.limits_memory,
            "hooks": is_limited,
            "depth": DEEPEST,
            "kept": KEPT.encode(),
        }

    def _host(self, engine: Engine) -> dict[str, Callable[[], Any]]:
        """What the sandbox calls without arguments: none of it may raise, nor make Lua allocate."""
        own = weakref.ref(self)

        def guarded(target: Callable[[LuaState], Any]) -> Callable[[], Any]:
            def call() -> Any:
                state = own()
                try:
                    return None if state is None else target(state)
                except BaseException as error:  # Ctrl-C, most of all: it goes on where the call began
                    if state is not None:
                        state.interrupt = error
                    return True

            return call

        # What was raised in any of them ends the call here.
        host = {"poll": guarded(lambda state: state.interrupt is not None or _must_end())}
        if engine.limits_memory:
            host["lift_limit"] = guarded(LuaState.lift_limit)
            host["set_limit"] = guarded(LuaState.set_limit)
        return host

    def _table(self, values: Mapping[str, Any]) -> Any:
        return self._lua.table_from({name.encode(): value for name, value in values.items()})

    def _install(self, name: str, surroundings: Surroundings) -> None:
        module = MODULES[name]
        functions = {key: self._bridge(target) for key, target in module.functions(surroundings).items()}
        for text in scripts_of(module):
            self._doors[b"install"](name.encode(), text, self._table(functions), name in ALWAYS)

    def _provide(self, script: Script) -> None:
        for library in script.libraries:
            self._doors[b"provide"](library.key.encode(), library.text.encode(), _chunk_name(library))
        for chunk in (script.main, *script.libraries):
            names = {alias: key.encode() for alias, key in chunk.names.items()}
            names |= {name: name.encode() for name in ALWAYS}
            self._doors[b"scope"](_chunk_name(chunk), self._table(names))
        self._conclude(self._doors[b"start"](script.main.text.encode(), _chunk_name(script.main)))

    def _bridge(self, target: Callable[..., Any]) -> Callable[..., Any]:
        """A function of a module as the sandbox calls it: it never raises, and only plain data crosses."""
        most = _most_arguments(target)
        # Lua holds this function where Python's collector does not look: it must not hold the state in turn.
        own = weakref.ref(self)

        def cross(codes: bytes | None = None, *values: Any) -> tuple[Any, ...]:
            state = own()
            return () if state is None else state.answer(target, most, codes, values)

        return cross

    def answer(
        self, target: Callable[..., Any], most: int | None, codes: bytes | None, values: Sequence[Any]
    ) -> tuple[Any, ...]:
        """What the sandbox gets from a module's function: whether it went well, and a flat value or error."""
        try:
            arguments = plain(codes, values if codes is None else values[0].values())
            return (True, *self._flat(target(*arguments[:most])))
        except Exception as error:
            return (False, *self._flat_fault(fault_of(error)))
        except BaseException as error:  # it goes on where the call began, past all of the script
            self.interrupt = error
            return ()

    def lift_limit(self) -> None:
        """Let Python put values into the state: an error of the allocator would jump over Python's own frames."""
        self._lua.set_max_memory(0)

    def set_limit(self) -> None:
        """From here on the script's memory is limited."""
        self._lua.set_max_memory(self._memory)

    def _flat(self, *values: Any) -> tuple[Any, ...]:
        codes, scalars = self._flattener.flat(values)
        return (None, *scalars) if codes is None else (codes, self._lua.table_from(scalars))

    def _flat_fault(self, fault: LuaError) -> tuple[Any, ...]:
        try:
            return self._flat(fault)
        except LuaError:
            return self._flat(LuaError(fault.message, kind=fault.kind, retryable=fault.says_retryable))

    def call(self, method: str, arguments: Sequence[Any], *, wants_value: bool) -> Returned:
        """Call a method of the script.

        Returns:
            How it ended, `done` or `false` (only where no value is wanted), and its value.

        Raises:
            LuaError: the script raised or returned an error, or an argument or its value is no plain data.
            LuaLimit: the call was ended; this state is of no use any more.
        """
        codes, *flat = self._flat(*arguments)
        return self._conclude(
            self._doors[b"call"](wants_value, method.encode(), codes, len(arguments), *flat)
        )

    def _conclude(self, answer: Any) -> Returned:
        ending, codes, value, traceback = (
            *(answer if isinstance(answer, tuple) else (answer,)),
            *[None] * 3,
        )[:4]
        if ending == b"dead" or self.interrupt is not None:
            self.is_usable = False
            self._raise_limit(value, (traceback or b"").decode(errors="replace"))
        [made] = plain(codes, [value] if codes is None else value.values())
        if ending == b"raised":
            raise LuaError.raised(made, (traceback or b"").decode(errors="replace"))
        return ending.decode(), made

    def _raise_limit(self, reason: Any, traceback: str) -> NoReturn:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is None and isinstance(reason, BaseException):
            interrupt = reason
        if interrupt is not None:
            raise interrupt
        limit = reason.decode()
        allowed = self._memory if limit == "memory" else self._instructions
        context = current_context()
        is_late = context is not None and _is_late(context)
        if limit == "cancelled" and context is not None:
            # At a deadline nobody else may have told those whom it has called.
            context.cancel()
        raise LuaLimit(limit, allowed, traceback, is_late=is_late)

    def close(self) -> None:
        """Give its memory back. Nobody may be calling it."""
        self.is_usable = False
        self._doors = {}
        self._lua = None


def _chunk_name(chunk: Chunk) -> bytes:
    return b"@" + chunk.name.encode()


def _most_arguments(target: Callable[..., Any]) -> int | None:
    """How many arguments a function takes: Lua ignores what is too much, and `f(g())` passes on all that `g` gives."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # some that are written in C do not tell
        return None
    is_open = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return None if is_open else len(parameters)


def _must_end() -> bool | None:
    """Whether the call that is running here was cancelled, or its time is up."""
    context = current_context()
    if context is None:
        return None
    return True if _is_late(context) or context.cancelled.is_set() else None


def _is_late(context: CallContext) -> bool:
    return (isinstance(context, HandlerContext) and context.is_overdue) or context.remaining() == 0
