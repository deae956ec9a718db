"""Wildcard patterns of actions and resources.

Knows: text and stars. A `*` anywhere stands for any run of characters, also for none; every other character
stands for itself, and case matters. Does not know policies. Each pattern becomes the cheapest test that decides it,
and none of them backtracks.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

Matcher = Callable[[str], bool]


def compile_pattern(pattern: str) -> Matcher:
    """Turn a wildcard pattern into a test of a text.

    Repairs what `spec/security.md` 2.1 lists as upstream's gaps: stars work anywhere, and `queue.*` matches neither
    `queue` nor `queuexyz`.

    Args:
        pattern: Text in which `*` matches any run of characters, including none.

    Returns:
        A function that takes linear time in the length of its text.
    """
    first, *others = re.sub(r"\*+", "*", pattern).split("*")
    match others:
        case []:
            return first.__eq__
        case [""]:
            return _starting_with(first)
        case [last] if not first:
            return lambda text: text.endswith(last)
        case [last]:
            return _between(first, last)
        case _:
            return _with_pieces(first, tuple(others[:-1]), others[-1])


def is_bare_star(pattern: str) -> bool:
    """Whether the pattern is nothing but stars, so that it names everything and nothing."""
    return bool(pattern) and not pattern.strip("*")


def _starting_with(prefix: str) -> Matcher:
    return (lambda text: text.startswith(prefix)) if prefix else (lambda _text: True)


def _between(first: str, last: str) -> Matcher:
    shortest = len(first) + len(last)
    return lambda text: len(text) >= shortest and text.startswith(first) and text.endswith(last)


def _with_pieces(first: str, pieces: tuple[str, ...], last: str) -> Matcher:
    """Each piece at its leftmost place: if any placement works, this one does, so nothing is tried twice."""
    shortest = len(first) + sum(map(len, pieces)) + len(last)

    def matches(text: str) -> bool:
        if len(text) < shortest or not (text.startswith(first) and text.endswith(last)):
            return False
        position, end = len(first), len(text) - len(last)
        for piece in pieces:
            found = text.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return matches


def _compile_all(texts: tuple[str, ...]) -> Matcher:
    constants = frozenset(text for text in texts if "*" not in text)
    matchers = tuple(compile_pattern(text) for text in texts if "*" in text)
    if not matchers:
        return constants.__contains__
    if len(matchers) == 1 and not constants:
        return matchers[0]
    return lambda text: text in constants or any(matches(text) for matches in matchers)


@attrs.frozen(eq=False)
class Patterns:
    """Several patterns of which one has to match. Immutable and thread-safe.

    Attributes:
        texts: The patterns as they were written.
        match: Whether one of the patterns matches a whole text.
        name: Whether one that is more than a bare `*` matches a whole text.
    """

    texts: tuple[str, ...]
    match: Matcher = attrs.field(init=False, repr=False)
    name: Matcher = attrs.field(init=False, repr=False)

    @match.default
    def _match_all(self) -> Matcher:
        return _compile_all(self.texts)

    @name.default
    def _match_named(self) -> Matcher:
        return _compile_all(tuple(text for text in self.texts if not is_bare_star(text)))

    def __str__(self) -> str:
        return ", ".join(self.texts)
