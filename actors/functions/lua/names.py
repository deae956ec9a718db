"""The names in a Lua text that compiles: which are local, which are global, what is required and returned.

Knows: Lua's tokens, blocks and scopes, as loosely as they can be known without false alarms. Must not know: entries, what
stands ready for a script.
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

from attrs import define, field, frozen

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
_BRACKETS: Final = {"(": ")", "{": "}", "[": "]"}


@frozen
class Token:
    """`kind` is name, keyword, string, number or sign."""

    kind: str
    text: str
    line: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, without blanks and comments."""
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


@frozen
class Names:
    """What a text says about names.

    Attributes:
        read: global names with the line where each is first read.
        assigned: global names that are given a value somewhere.
        required: the literal arguments of `require`, with their lines.
    """

    read: tuple[tuple[int, str], ...]
    assigned: frozenset[str]
    required: tuple[tuple[int, str], ...]
    _words: frozenset[str]
    _export: str
    _is_dynamic: bool

    def undefined(self, known: Collection[str]) -> Iterator[tuple[int, str]]:
        """Global names that nobody defines. Nothing where the text works on its globals as on a table."""
        if not self._is_dynamic:
            for line, name in self.read:
                if name not in known and name not in self.assigned:
                    yield line, name

    def may_export(self, method: str) -> bool:
        """Whether the script can have this method: exact for plain code, generous where it cannot be known."""
        return self._export == "anything" or (self._export == "table" and method in self._words)


@lru_cache(maxsize=256)
def names_in(text: str) -> Names:
    """The names of a text that compiles."""
    return _Reader(list(tokens(text))).names()


@define
class _Scope:
    opened: str
    names: set[str] = field(factory=set)
    waits_for_do: bool = False


@define
class _Reader:
    """Walks over the tokens once, with a stack of blocks and brackets."""

    _tokens: list[Token]
    _at: int = 0
    _scopes: list[_Scope] = field(factory=lambda: [_Scope("chunk")])
    _read: dict[str, int] = field(factory=dict)
    _assigned: set[str] = field(factory=set)
    _required: list[tuple[int, str]] = field(factory=list)
    _last_return: int = -1

    def names(self) -> Names:
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.kind == "keyword":
                self._keyword(token.text)
            elif token.kind == "name":
                self._name(token)
            elif token.kind == "sign":
                self._sign(token.text)
        words = {token.text for token in self._tokens if token.kind in {"name", "string"}}
        return Names(
            read=tuple((line, name) for name, line in self._read.items()),
            assigned=frozenset(self._assigned),
            required=tuple(self._required),
            words=frozenset(words),
            export=self._export(),
            is_dynamic=bool(words & {"_ENV", "_G", "setfenv"}),
        )

    # ---- looking around --------------------------------------------------------------------------------

    def _text(self, at: int) -> str:
        """The token at an index; a string is never mistaken for a sign or a word."""
        if not 0 <= at < len(self._tokens) or self._tokens[at].kind == "string":
            return ""
        return self._tokens[at].text

    def _take_names(self) -> list[str]:
        """A list of names, with the attributes of Lua 5.4."""
        found = []
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "name":
            found.append(self._tokens[self._at].text)
            self._at += 1
            if self._text(self._at) == "<" and self._text(self._at + 2) == ">":
                self._at += 3
            if self._text(self._at) != ",":
                break
            self._at += 1
        return found

    def _declare(self, names: Collection[str]) -> None:
        block = next(scope for scope in reversed(self._scopes) if scope.opened not in _BRACKETS)
        block.names.update(names)

    def _is_local(self, name: str) -> bool:
        return any(name in scope.names for scope in self._scopes)

    # ---- blocks ----------------------------------------------------------------------------------------

    def _keyword(self, word: str) -> None:
        match word:
            case "local" if self._text(self._at) != "function":
                self._declare(self._take_names())
            case "function":
                self._function()
            case "for":
                self._scopes.append(_Scope("for", set(self._take_names()), waits_for_do=True))
            case "do" if self._scopes[-1].waits_for_do:
                self._scopes[-1].waits_for_do = False
            case "do" | "then" | "repeat":
                self._scopes.append(_Scope(word))
            case "else":
                self._close()
                self._scopes.append(_Scope(word))
            case "elseif" | "end":
                self._close()
            case "until":
                # Its condition still sees the names of the block; where it ends does not matter for false alarms.
                names = self._scopes[-1].names
                self._close()
                self._declare(names)
            case _:
                self._jump(word)

    def _jump(self, word: str) -> None:
        if word == "return" and len(self._scopes) == 1:
            self._last_return = self._at - 1
        elif word == "goto":
            self._at += 1

    def _close(self) -> None:
        if len(self._scopes) > 1:
            self._scopes.pop()

    def _function(self) -> None:
        is_local = self._text(self._at - 2) == "local"
        parameters = set()
        if self._text(self._at) != "(":
            name = self._tokens[self._at]
            is_whole = self._text(self._at + 1) == "("
            if is_local:
                self._declare([name.text])
            elif is_whole and not self._is_local(name.text):
                self._assigned.add(name.text)
            elif not is_whole:
                self._note_read(name)
            while self._text(self._at) != "(":
                if self._text(self._at) == ":":
                    parameters.add("self")
                self._at += 1
        self._at += 1
        parameters.update(self._take_names())
        while self._text(self._at) != ")":
            self._at += 1
        self._at += 1
        self._scopes.append(_Scope("function", parameters))

    def _sign(self, sign: str) -> None:
        if sign in _BRACKETS:
            self._scopes.append(_Scope(sign))
        elif sign in _BRACKETS.values():
            self._close()
        elif sign == "::":  # a label
            self._at += 2

    # ---- names -----------------------------------------------------------------------------------------

    def _name(self, token: Token) -> None:
        before, after = self._text(self._at - 2), self._text(self._at)
        if before in {".", ":"}:
            return
        if after == "=" and self._scopes[-1].opened == "{" and before in {"{", ",", ";"}:
            return
        if token.text == "require" and not self._is_local("require"):
            self._note_require()
        if self._is_local(token.text):
            return
        if self._is_assigned():
            self._assigned.add(token.text)
        else:
            self._note_read(token)

    def _note_read(self, token: Token) -> None:
        if not self._is_local(token.text):
            self._read.setdefault(token.text, token.line)

    def _is_assigned(self) -> bool:
        """Whether `=` follows, after more names of a list perhaps."""
        at = self._at
        while self._text(at) == "," and at + 1 < len(self._tokens) and self._tokens[at + 1].kind == "name":
            at += 2
            while self._text(at) == ".":
                at += 2
        return self._text(at) == "=" and self._scopes[-1].opened not in _BRACKETS

    def _note_require(self) -> None:
        is_called = self._text(self._at) == "("
        at = self._at + 1 if is_called else self._at
        if at >= len(self._tokens) or self._tokens[at].kind != "string":
            return
        wanted = self._tokens[at]
        if (not is_called or self._text(at + 1) == ")") and "\\" not in wanted.text:
            self._required.append((wanted.line, wanted.text))

    def _export(self) -> str:
        """What the text returns at its end: `nothing`, a `table` that can be read, or `anything`."""
        last = self._last_return
        if last < 0:
            return "nothing"
        first = self._text(last + 1)
        is_end = self._text(last + 2) in {"", ";"} and last + 3 >= len(self._tokens)
        texts = [token.text for token in self._tokens]
        if first == "{" or (
            is_end and any(texts[at : at + 4] == ["local", first, "=", "{"] for at in range(len(texts)))
        ):
            dynamic = {"setmetatable", "rawset"} & set(texts) or any(
                texts[at : at + 2] == [first, "["] for at in range(len(texts))
            )
            return "anything" if dynamic else "table"
        return "anything"
