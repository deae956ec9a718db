"""What can be called by ID.

Knows: the contract of a function and of what loads one. Must not know: Python files, Lua, queues.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..registry import EntryID


@frozen(kw_only=True)
class Function:
    """A loaded function.

    Attributes:
        id: its registry ID, the resource of the action `funcs.call`.
        call: the function itself; returns a coroutine when `is_async`.
        is_async: it was written with `async def`.
    """

    id: EntryID
    call: Callable[..., Any]
    is_async: bool = False
