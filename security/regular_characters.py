r"""Which characters a piece of a regular expression accepts: classes, ranges, escapes, Unicode categories.

Knows: one character at a time, and RE2's rules for them (`\d`, `\w`, `\s` and `[[:alpha:]]` are ASCII). Does not
know patterns, sequences or repetition.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

Accepts = Callable[[str], bool]

DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
WORD = frozenset(DIGITS + LOWER + UPPER + "_")

PERL = {"d": frozenset(DIGITS), "w": WORD, "s": frozenset("\t\n\f\r ")}
POSIX = {
    "alnum": frozenset(DIGITS + LOWER + UPPER),
    "alpha": frozenset(LOWER + UPPER),
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset("\t "),
    "cntrl": frozenset(map(chr, [*range(32), 127])),
    "digit": frozenset(DIGITS),
    "graph": frozenset(map(chr, range(33, 127))),
    "lower": frozenset(LOWER),
    "print": frozenset(map(chr, range(32, 127))),
    "punct": frozenset(PUNCTUATION),
    "space": frozenset("\t\n\v\f\r "),
    "upper": frozenset(UPPER),
    "word": WORD,
    "xdigit": frozenset(DIGITS + "abcdefABCDEF"),
}
CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# The categories and their groups, as in the Unicode standard: `Lu` is one, `L` is all that begin with it.
CATEGORIES = frozenset(
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Mc",
        "Me",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Z",
        "Zs",
        "Zl",
        "Zp",
        "C",
        "Cc",
        "Cf",
        "Cs",
        "Co",
    ],
)


def anything(_character: str) -> bool:
    """`.` when it also accepts a line end."""
    return True


def anything_but_a_line_end(character: str) -> bool:
    """`.` as it usually is."""
    return character != "\n"


def one_of(characters: frozenset[str]) -> Accepts:
    """Accepts the members of a set."""
    return characters.__contains__


def from_to(first: str, last: str) -> Accepts:
    """Accepts a range of code points, both ends included."""
    return lambda character: first <= character <= last


def in_category(prefix: str) -> Accepts:
    """Accepts the characters of a Unicode general category, such as `L` or `Lu`."""
    return lambda character: unicodedata.category(character).startswith(prefix)


def negated(accepts: Accepts) -> Accepts:
    """Accepts what the other refuses."""
    return lambda character: not accepts(character)


def any_of(members: Iterable[Accepts]) -> Accepts:
    """Accepts what one of the members accepts."""
    known = tuple(members)
    return lambda character: any(accepts(character) for accepts in known)


def without_case(accepts: Accepts) -> Accepts:
    """Accepts a character if it, its lower case or its upper case is accepted."""
    return lambda character: (
        accepts(character)
        or any(accepts(other) for other in (character.lower(), character.upper()) if len(other) == 1)
    )
