"""From the text of an expression to tokens with positions.

Knows: characters, numbers, quotes, comments of the expr-lang subset. Does not know which words are operators: that
depends on where they stand (`meta.in` is a field), so the parser decides.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, NoReturn

import attrs

from .errors import ExpressionError

MAX_LENGTH: Final = 4096


class Kind(Enum):
    """What a token is."""

    NUMBER = "a number"
    TEXT = "a text"
    WORD = "a word"
    SIGN = "a sign"
    END = "the end of the expression"


@attrs.frozen
class Token:
    """One token; `at` is its place in the source, in characters from 0."""

    kind: Kind
    value: Any
    at: int

    def __str__(self) -> str:
        return self.kind.value if self.kind is Kind.END else repr(self.value)


@attrs.frozen
class Source:
    """The text of an expression, able to say where something stands in it."""

    text: str

    def error(self, message: str, at: int) -> ExpressionError:
        """An error that names line and column of a place."""
        line = self.text.count("\n", 0, at) + 1
        return ExpressionError(message, line, at - self.text.rfind("\n", 0, at))

    def refuse(self, message: str, at: int) -> NoReturn:
        """Raise the error for a place."""
        raise self.error(message, at)


TOKEN: Final = re.compile(
    r"""
      (?P<space>    [ \t\r\n]+ | //[^\n]* | /\*(?:[^*]|\*(?!/))*\*/ )
    | (?P<based>    0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+ )
    | (?P<number>   (?: [0-9][0-9_]*(?:\.[0-9]+)? | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? )
    | (?P<word>     [^\W\d]\w* )
    | (?P<raw>      `[^`]*` )
    | (?P<quoted>   "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | (?P<sign>     \?\.(?![0-9]) | \?\? | \?: | && | \|\| | == | != | <= | >= | \*\* | \.\.
                    | [-+*/%^<>!?:.,()\[\]{}\#] )
    """,
    re.VERBOSE,
)
ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
ESCAPES: Final = {
    **dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)),
    "\\": "\\",
    '"': '"',
    "'": "'",
    "`": "`",
}
HINTS: Final = {
    "=": "expected an expression, found '='; equality is ==",
    "&": "expected an expression, found '&'; both is && or and",
    "|": "pipes are not supported; either is || or or",
    '"': "this text is not closed",
    "'": "this text is not closed",
    "`": "this text is not closed",
}


def tokens(source: Source) -> list[Token]:
    """All tokens of an expression, the last one of kind END.

    Raises:
        ExpressionError: A character that means nothing, a text that is not closed, or more than 4096 characters.
    """
    if len(source.text) > MAX_LENGTH:
        source.refuse(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    found: list[Token] = []
    at = 0
    while at < len(source.text):
        match = TOKEN.match(source.text, at)
        if match is None:
            character = source.text[at]
            source.refuse(HINTS.get(character, f"unexpected character {character!r}"), at)
        if match.lastgroup != "space":
            found.append(_token(source, str(match.lastgroup), match[0], at))
        at = match.end()
    return [*found, Token(Kind.END, None, at)]


def _token(source: Source, group: str, text: str, at: int) -> Token:
    match group:
        case "based" | "number":
            return Token(Kind.NUMBER, _number(source, group, text, at), at)
        case "raw":
            return Token(Kind.TEXT, text[1:-1], at)
        case "quoted":
            return Token(Kind.TEXT, _unescaped(source, text[1:-1], at + 1), at)
        case "word":
            return Token(Kind.WORD, text, at)
    return Token(Kind.SIGN, text, at)


def _number(source: Source, group: str, text: str, at: int) -> int | float:
    try:
        value: int | float = int(text, 0) if group == "based" else _decimal(text)
    except ValueError:
        source.refuse(f"{text!r} is not a number", at)
    if (isinstance(value, int) and value >= 2**63) or value == float("inf"):
        source.refuse("this number is too large", at)
    return value


def _decimal(text: str) -> int | float:
    return int(text.replace("_", "")) if set(text) <= set("0123456789_") else float(text)


def _unescaped(source: Source, text: str, at: int) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code is None:
            known = ESCAPES.get(match[4])
            return (
                known
                if known is not None
                else source.refuse(f"unknown escape {match[0]}", at + match.start())
            )
        if int(code, 16) > 0x10FFFF:
            source.refuse(f"unknown escape {match[0]}", at + match.start())
        return chr(int(code, 16))

    return ESCAPE.sub(replace, text)
