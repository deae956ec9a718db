"""Where messages lie for a StoreDriver: a folder, an embedded database, a file.

Knows: what such a store has to be able to do. Must not know: consumers, credit, threads.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from attrs import frozen

from ..delivery import Message
from ..driver import MessageState

Key = TypeVar("Key")
STATES: tuple[MessageState, ...] = ("ready", "delayed", "in_flight")


@frozen(kw_only=True)
class Kept:
    """A message as a store has it: with the attempts it had, and the seconds since it was put there."""

    message: Message
    attempts: int
    age: float


class Store(ABC, Generic[Key]):
    """Somebody with a store of their own writes one of these. A message has a state; a key finds it in that state.

    Keys are hashable.

    One call comes at a time. An OSError from any of them means that the store is lost: it is closed, and made anew.
    """

    @abstractmethod
    def open(self) -> None:
        """Make it ready for this process, and for no other. What was in flight is ready again, at its old place."""

    @abstractmethod
    def close(self) -> None:
        """Let others have it. Safe to call twice, and unopened."""

    @abstractmethod
    def declare(self, queue: str) -> None:
        """Make a queue, unless it is there."""

    @abstractmethod
    def put(self, queue: str, message: Message) -> None:
        """Add a message behind what is ready. When this returns, it is safe."""

    @abstractmethod
    def keys(self, queue: str, state: MessageState) -> Sequence[Key]:
        """The keys of all messages in this state, in their order."""

    @abstractmethod
    def read(self, key: Key) -> Kept:
        """A message."""

    @abstractmethod
    def shift(self, key: Key, state: MessageState, *, attempts: int, delay: float | None = None) -> Key:
        """Bring a message into another state, in one step, with so many attempts; return its new key.

        It keeps its place in the order. With a delay, be it 0, it goes behind everything that is ready by then.
        """

    @abstractmethod
    def remove(self, key: Key) -> None:
        """Take a message out for good."""

    @abstractmethod
    def end_delays(self, queue: str) -> float | None:
        """Make ready what was delayed until now; return the seconds until the next one is due, None without one."""
