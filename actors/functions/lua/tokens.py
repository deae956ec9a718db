"""The tokens of a Lua text.

Knows: how Lua is written. Must not know: what it means.
"""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

_TOKEN: Final = re.compile(
    r"""
      (?P<blank> \s+ | --\[(?P<c>=*)\[ .*? \](?P=c)\] | --[^\n]* )
    | (?P<long> \[(?P<s>=*)\[ (?P<body> .*? ) \](?P=s)\] )
    | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
    | (?P<number> 0[xX](?:[0-9a-fA-F.]|[pP][+-]?)+\w* | \.?[0-9](?:[eE][+-]?|[0-9A-Za-z.])* )
    | (?P<name> [^\W\d]\w* )
    | (?P<sign> \.\.\.? | :: | == | ~= | <= | >= | // | << | >> | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS: Final = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)


@frozen
class Token:
    """`kind` is name, keyword, string, number or sign."""

    kind: str
    text: str
    line: int


def _tokens(text: str) -> Iterator[Token]:
    """Without blanks and comments."""
    line = 1
    if text.startswith("#"):
        text = "--" + text
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        found = match.group()
        if match["name"]:
            yield Token("keyword" if found in _KEYWORDS else "name", found, line)
        elif match["long"]:
            yield Token("string", match["body"].removeprefix("\n"), line)
        elif match["string"]:
            yield Token("string", found[1:-1], line)
        elif not match["blank"]:
            yield Token("number" if match["number"] else kind, found, line)
        line += found.count("\n")


class Tokens(tuple[Token, ...]):
    """The tokens of a text, to look around in: no index is out of them."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> "Tokens":
        """Those of a text that compiles."""
        return cls(_tokens(text))

    def text(self, at: int) -> str:
        """The token at an index; a string is never mistaken for a sign or a word."""
        if not 0 <= at < len(self) or self[at].kind == "string":
            return ""
        return self[at].text

    def is_name(self, at: int) -> bool:
        """Whether a name stands there."""
        return 0 <= at < len(self) and self[at].kind == "name"

    def string(self, at: int) -> Token | None:
        """The string that stands there."""
        return self[at] if 0 <= at < len(self) and self[at].kind == "string" else None

    def member(self, at: int) -> Token | None:
        """`encode`, where `.encode` or `:encode` begins there."""
        return self[at + 1] if self.text(at) in {".", ":"} and self.is_name(at + 1) else None

    def is_assigned(self, at: int) -> bool:
        """Whether `=` follows there, after more names of a list perhaps."""
        while self.text(at) == "," and self.is_name(at + 1):
            at += 2
            while self.text(at) == ".":
                at += 2
        return self.text(at) == "="

    def required(self, at: int) -> tuple[Token, int] | None:
        """The literal argument of the `require` at an index, and the index behind its call."""
        is_called = self.text(at + 1) == "("
        wanted = self.string(at + 2 if is_called else at + 1)
        if wanted is None or "\\" in wanted.text or (is_called and self.text(at + 3) != ")"):
            return None
        return wanted, at + (4 if is_called else 2)
