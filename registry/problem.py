"""Problem and Source: what is wrong, and where a person finds it.

Knows: files, lines, columns, the ID of an entry. Does not know: how problems are found.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from .ids import EntryID
from .wording import printable, quote

#: Stands for a file where a value came from an override (`-o`) instead.
OVERRIDE = Path("<override>")

#: A field path inside an entry: ("lifecycle", "requires", 0).
FieldPath = tuple[str | int, ...]


@attrs.frozen(order=True)
class Source:
    """A place in a definition file; line and column count from 1, line 0 is the file as a whole."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        if self.line == 0:
            return shown_path(self.file)
        return f"{shown_path(self.file)}:{self.line}:{self.column}"


def shown_path(file: Path) -> str:
    """The path as a person in the current directory would write it: relative when it is below."""
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)


def shown_field(path: Iterable[str | int]) -> str:
    """`lifecycle.requires[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if step.isprintable() and " " not in step and step else quote(step)
            text += f".{name}" if text else name
    return text


@attrs.frozen
class Problem:
    """One thing that is wrong with the configuration.

    `message` is complete by itself: it names entry and field, what was found and what was expected, and
    the nearest valid name. `str()` puts `file:line:column: ` before it.
    """

    file: Path
    line: int
    column: int
    entry: EntryID | None
    field: str | None
    message: str

    @classmethod
    def at(
        cls,
        source: Source,
        text: str,
        *,
        entry: EntryID | None = None,
        path: Iterable[str | int] = (),
    ) -> Problem:
        """Build a problem whose message is `entry: field: text`."""
        field = shown_field(path) or None
        owner = None if entry is None else str(entry)
        # One problem is one line, whatever somebody named a key or a check of another package says.
        message = printable(": ".join(part for part in (owner, field, text) if part))
        return cls(source.file, source.line, source.column, entry, field, message)

    def __str__(self) -> str:
        return f"{Source(self.file, self.line, self.column)}: {self.message}"


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by file, line and column."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.column, p.message)))
