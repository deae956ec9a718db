"""How the registry speaks: values described, words quoted, the nearest word for a typo.

Knows: plain values and strings. Does not know: entries, files, kinds. Every error message of
this package is put together from these few sentences, so that all of them sound alike.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: Longer texts are cut in messages: a line of a report is to be read, not scrolled.
LONGEST_QUOTE: Final = 60

_UNSAID: Final = object()


class Expected(ValueError):
    """A value is not what its field needs.

    Says only *what* was expected. What was found is described from the definition file by whoever
    knows the file, so that the content of a placeholder cannot slip into a message. Outside of a
    file (a config class built in Python) the found value may be given, and is then part of the text.
    """

    def __init__(self, what: str, found: Any = _UNSAID) -> None:
        self.what = what
        self.found = found
        super().__init__(what, found)

    def __str__(self) -> str:
        if self.found is _UNSAID:
            return f"expected {self.what}"
        return f"expected {self.what}, found {describe(self.found)}"


def quote(text: str) -> str:
    """`text` in double quotes on one line, cut when it is long."""
    if len(text) > LONGEST_QUOTE:
        text = text[: LONGEST_QUOTE - 1] + "…"
    return printable(json.dumps(text, ensure_ascii=False))


def printable(text: str) -> str:
    """The text on one line: line breaks, control characters and halves of characters as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def describe(value: Any) -> str:
    """What a person sees in the file: `the text "soon"`, `2000`, `true`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return f"the text {quote(value)}"
    names = ((Mapping, "a mapping"), (list | tuple, "a list"))
    return next((name for types, name in names if isinstance(value, types)), f"a {type(value).__name__}")


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most probably meant, or None. The same answer for the same question."""
    ordered = sorted(candidates)
    lowered = {candidate.lower(): candidate for candidate in reversed(ordered)}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean "tasks"?`, or nothing when no candidate is near."""
    found = nearest(word, candidates)
    return "" if found is None else f"; did you mean {quote(found)}?"


def nearest_id(wanted: str, candidates: Iterable[str]) -> str | None:
    """The entry ID that was probably meant: a near name in the namespace, the name elsewhere, or a near ID.

    Names are compared by themselves: a shared namespace makes any two IDs look alike.
    """
    ids = sorted(candidates)
    namespace, _, name = wanted.rpartition(":")
    here = [each.removeprefix(f"{namespace}:") for each in ids if each.startswith(f"{namespace}:")]
    close = nearest(name, here)
    if close is not None:
        return f"{namespace}:{close}" if namespace else close
    elsewhere = [each for each in ids if each.endswith(f":{name}")]
    if elsewhere:
        return elsewhere[0] if len(elsewhere) == 1 else None
    meant = nearest(namespace, {each.partition(":")[0] for each in ids} - {namespace})
    return (
        None
        if meant is None
        else nearest_id(f"{meant}:{name}", [each for each in ids if each.startswith(meant)])
    )


def did_you_mean_id(wanted: str, candidates: Iterable[str]) -> str:
    """As `did_you_mean`, for entry IDs."""
    found = nearest_id(wanted, candidates)
    return "" if found is None else f"; did you mean {quote(found)}?"


def one_of(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`: alternatives as a sentence names them."""
    *others, last = tuple(words) or ("nothing",)
    return f"{', '.join(others)} or {last}" if others else last
