"""`function.lua`: functions whose states are made when a thread first needs them.

Knows: which thread has which idle states. Must not know: what is in a state.
"""

import threading
from typing import Any
from weakref import WeakSet

from ....registry import Entry, Registry
from ...function import Function
from .background import Background
from .engines import ENGINES
from .entries import LuaFunctionConfig
from .faults import LuaError
from .modules.module import Surroundings
from .script import Script
from .state import LuaState


class LuaFunctions:
    """The Lua functions of one runtime."""

    def __init__(self) -> None:
        self._background = Background()

    def load(self, entry: Entry, registry: Registry) -> Function:
        """The function of an entry. Its source was compiled when the application was checked."""
        function = LuaFunction(entry, registry, self._background)
        return Function(
            id=entry.id,
            call=function.call,
            ends_when_cancelled=True,
            consume=function.consume,
            close=function.close,
        )

    def close(self) -> None:
        """End the calls that nobody waits for. The functions are closed one by one."""
        self._background.close()
        self._background = Background()


class _Idle(threading.local):
    """The states of one thread that are not in use: one, or more after re-entrant calls."""

    def __init__(self) -> None:
        self.states: list[LuaState] = []


class LuaFunction:
    """One function. Thread-safe: each thread has states of its own, and a re-entrant call gets another one."""

    def __init__(self, entry: Entry, registry: Registry, background: Background) -> None:
        self._config: LuaFunctionConfig = entry.config
        self._engine = ENGINES[self._config.engine]
        self._script = Script.of(entry, registry)
        self._surroundings = Surroundings(entry=entry.id, background=background)
        self._idle = _Idle()
        self._lock = threading.Lock()
        self._resting: WeakSet[LuaState] = WeakSet()
        self._is_closed = False

    def call(self, *arguments: Any) -> Any:
        """Call it and return its value.

        Raises:
            LuaError: it raised or returned an error, or a limit ended it.
        """
        return self._run(arguments, wants_value=True)[1]

    def consume(self, body: Any) -> None:
        """Call it for its ending only: what it returns need not be plain data.

        Raises:
            LuaError: as for `call`, or it returned false.
        """
        ending, _ = self._run((body,), wants_value=False)
        if ending == "false":
            raise LuaError("the handler returned false")

    def _run(self, arguments: tuple[Any, ...], *, wants_value: bool) -> tuple[str, Any]:
        state = self._take()
        try:
            return state.call(self._config.method, arguments, wants_value=wants_value)
        finally:
            self._give_back(state)

    def _take(self) -> LuaState:
        idle = self._idle.states
        while idle:
            state = idle.pop()
            with self._lock:
                self._resting.discard(state)
                is_usable = state.is_usable
            if is_usable:
                return state
        limits = self._config.limits
        return LuaState(self._script, self._engine, self._surroundings, limits.instructions, limits.memory)

    def _give_back(self, state: LuaState) -> None:
        if not state.is_usable:
            state.close()
            return
        with self._lock:
            if not self._is_closed:
                self._resting.add(state)
                self._idle.states.append(state)
                return
        state.close()

    def close(self) -> None:
        """Close the states that rest; what is in use ends first."""
        with self._lock:
            self._is_closed = True
            for state in tuple(self._resting):
                state.close()
            self._resting.clear()
