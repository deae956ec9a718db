"""Calling a function in this thread, whatever it was written as, and the context it is called in.

Knows: sync and async, and what a call inherits. Must not know: whether somebody may call.
"""

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..security import CallContext, Principal, Scope
from .function import Function
from .handle import HandlerContext

if TYPE_CHECKING:
    from .runtime import Runtime


def context_for_call(runtime: "Runtime", caller: CallContext | None) -> HandlerContext:
    """The context of a call through a runtime: that of the handler which calls, or a fresh one."""
    if not isinstance(caller, HandlerContext):
        return new_context(runtime, None, None)
    context = caller.derive()
    context.since, context.is_overdue = time.monotonic(), False
    context.runtime = runtime
    return context


def new_context(runtime: "Runtime", principal: Principal | None, scope: Scope | None) -> HandlerContext:
    """A context in which nothing is handled."""
    context = HandlerContext(principal, scope, runtime.guard)
    context.delivery = context.binding = None
    context.since, context.is_overdue = time.monotonic(), False
    context.runtime = runtime
    return context


def call(function: Function, arguments: tuple[Any, ...]) -> Any:
    """Call it and return its result. What it raises comes out as it is."""
    if not function.is_async:
        return function.call(*arguments)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function.call(*arguments))
    return _beside_running_loop(function, arguments)


def _beside_running_loop(function: Function, arguments: tuple[Any, ...]) -> Any:
    """An async function called from an async handler, which cannot await here: it gets a loop of its own."""
    inherited = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(inherited.run, asyncio.run, function.call(*arguments)).result()
