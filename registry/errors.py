"""What can go wrong with what is declared.

NoriaError                 the root of every error noria raises; `.retryable`
  InvalidID                a text is no entry ID; also a ValueError
  EntryNotFound            `.id`: no such entry in this registry; also a LookupError
  VersionNotFound          `.number`: no such version of the registry, or not any more; also a LookupError
  InvalidCriterion         a `find` criterion that means nothing; also a ValueError
  PluginFailed             an installed package's `noria.kinds` entry point cannot be used
  ConfigurationError       `.problems`: everything that is wrong with a directory, at once

Knows nothing else of ours at run time: everything may import this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from .wording import did_you_mean_id, quote

if TYPE_CHECKING:
    from .problem import Problem


class NoriaError(Exception):
    """Root of all errors of noria: catch this to catch whatever noria raises on purpose.

    `retryable` says whether the same call may succeed later without anybody changing anything.
    """

    retryable: bool = False


class InvalidID(NoriaError, ValueError):
    """A text that is no `namespace:name`."""


class InvalidCriterion(NoriaError, ValueError):
    """A `find` criterion that the registry does not understand."""


class PluginFailed(NoriaError):
    """An entry point of the group `noria.kinds` could not be loaded or is no kind."""


class EntryNotFound(NoriaError, LookupError):
    """There is no entry of this ID; the message names the nearest one."""

    def __init__(self, wanted: str, known: Iterable[str] = ()) -> None:
        self.id = wanted
        self._message = f"there is no entry {quote(wanted)}{did_you_mean_id(wanted, known)}"
        super().__init__(self._message)

    def __str__(self) -> str:
        return self._message


class VersionNotFound(NoriaError, LookupError):
    """There is no version of this number in a history, or not any more."""

    def __init__(self, number: int, oldest: int, newest: int) -> None:
        self.number = number
        super().__init__(f"version not found: {number}; there are {oldest} to {newest}")


class ConfigurationError(NoriaError):
    """The configuration is not valid; nothing was started.

    `problems` holds every problem found, in the order of files and lines; the text has one line each.
    """

    SHOWN: ClassVar[int] = 1000

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[: self.SHOWN]]
        more = len(self.problems) - len(shown)
        return "\n".join([*shown, *([f"… and {more} more problems"] if more else [])])
