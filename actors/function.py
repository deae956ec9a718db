"""What can be called by ID.

Knows: the contract of a function and of what loads one. Must not know: Python files, Lua, queues.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from ..registry import EntryID

if TYPE_CHECKING:
    from .handle import HandlerContext


class Isolation(Protocol):
    """How a function that runs elsewhere than in the thread that calls it handles messages, and is stopped."""

    def wait_ready(self) -> None:
        """Return when the function is loaded there. To be called once, before anything else.

        Raises:
            FunctionBroken: it cannot be loaded.
        """

    def handle(self, body: Any) -> None:
        """Handle a message in the current context. What the function returns stays where it is."""

    def cancel_task(self, context: "HandlerContext") -> None:
        """Cancel the async handler that runs in this context."""

    def kill(self, context: "HandlerContext") -> None:
        """End what runs in this context, whatever it does."""


def _hold_nothing() -> None:
    """What a function does to close that holds nothing."""


@frozen(kw_only=True)
class Function:
    """A loaded function.

    Attributes:
        id: its registry ID, the resource of the action `funcs.call`.
        call: the function itself; returns a coroutine when `is_async`.
        is_async: it was written with `async def`, and runs in the caller's thread.
        ends_when_cancelled: a cancelled call is ended there and then, where others see that they should end; so a stop
            cancels it only when most of the stop's time is over.
        consume: the same function as a consumer calls it, where more than an exception makes it fail; None: `call`.
        isolation: for a function that does not run in the caller's thread.
        close: releases what it holds, once nobody will call it any more. Where it runs in processes, what still runs
            there is told to end.
        retire: as `close`, but what still runs goes on to its end, and so does who comes late; None: `close` is so.
    """

    id: EntryID
    call: Callable[..., Any]
    is_async: bool = False
    ends_when_cancelled: bool = False
    consume: Callable[[Any], object] | None = None
    isolation: Isolation | None = None
    close: Callable[[], None] = _hold_nothing
    retire: Callable[[], None] | None = None
