"""The names in a Lua text that compiles: which are local, which are global, what is required and returned.

Knows: Lua's blocks and scopes, as loosely as they can be known without false alarms. Must not know: entries, what stands
ready for a script.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from attrs import define, field, frozen

from .members import MemberReader, Members, Table
from .tokens import Token, Tokens

_BRACKETS: Final = {"(": ")", "{": "}", "[": "]"}


@frozen
class Names:
    """What a text says about names.

    Attributes:
        read: global names with the line where each is first read.
        assigned: global names that are given a value somewhere.
        required: the literal arguments of `require`, with their lines.
        members: what it reads of tables.
        is_dynamic: it works on its globals as on a table, so nobody can tell what they are.
    """

    read: tuple[tuple[int, str], ...]
    assigned: frozenset[str]
    required: tuple[tuple[int, str], ...]
    members: Members
    is_dynamic: bool
    _words: frozenset[str]
    _export: str

    def undefined(self, known: Collection[str]) -> Iterator[tuple[int, str]]:
        """Global names that nobody defines. Nothing where the text works on its globals as on a table."""
        if not self.is_dynamic:
            for line, name in self.read:
                if name not in known and name not in self.assigned:
                    yield line, name

    def may_export(self, method: str) -> bool:
        """Whether the script can have this method: exact for plain code, generous where it cannot be known."""
        return self._export == "anything" or (self._export == "table" and method in self._words)

    @property
    def returns_nothing(self) -> bool:
        """Whether the script ends without a `return`."""
        return self._export == "nothing"


@lru_cache(maxsize=256)
def names_in(text: str) -> Names:
    """The names of a text that compiles."""
    found = Tokens.of(text)
    return _Reader(found, MemberReader(found)).names()


@define
class _Scope:
    opened: str
    names: dict[str, Table | None] = field(factory=dict)
    waits_for_do: bool = False


@define
class _Reader:
    """Walks over the tokens once, with a stack of blocks and brackets."""

    _tokens: Tokens
    _members: MemberReader
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
            members=self._members.members(),
            is_dynamic=bool(words & {"_ENV", "_G", "setfenv"}),
            words=frozenset(words),
            export=self._export(),
        )

    # ---- looking around --------------------------------------------------------------------------------

    def _take_names(self) -> list[str]:
        """A list of names, with the attributes of Lua 5.4."""
        found = []
        while self._tokens.is_name(self._at):
            found.append(self._tokens[self._at].text)
            self._at += 1
            if self._tokens.text(self._at) == "<" and self._tokens.text(self._at + 2) == ">":
                self._at += 3
            if self._tokens.text(self._at) != ",":
                break
            self._at += 1
        return found

    def _declare(self, names: Mapping[str, Table | None]) -> None:
        block = next(scope for scope in reversed(self._scopes) if scope.opened not in _BRACKETS)
        block.names.update(names)

    def _is_local(self, name: str) -> bool:
        return any(name in scope.names for scope in self._scopes)

    def _table(self, name: str) -> Table | None:
        """What a name stands for here, if it is a table that the text has not made."""
        for scope in reversed(self._scopes):
            if name in scope.names:
                return scope.names[name]
        return self._members.named_globally(name)

    # ---- blocks ----------------------------------------------------------------------------------------

    def _keyword(self, word: str) -> None:
        match word:
            case "local" if self._tokens.text(self._at) != "function":
                self._local()
            case "function":
                self._function()
            case "for":
                self._scopes.append(_Scope("for", dict.fromkeys(self._take_names()), waits_for_do=True))
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

    def _local(self) -> None:
        names = self._take_names()
        tables: Iterable[Table] = ()
        if self._tokens.text(self._at) == "=":
            tables = self._members.named(self._at + 1, self._table)
        self._declare(dict.fromkeys(names) | dict(zip(names, tuple(tables), strict=False)))

    def _function(self) -> None:
        is_local = self._tokens.text(self._at - 2) == "local"
        parameters = []
        if self._tokens.text(self._at) != "(":
            name = self._tokens[self._at]
            is_whole = self._tokens.text(self._at + 1) == "("
            if is_local:
                self._declare({name.text: None})
            elif is_whole:
                self._assign(name.text)
            else:
                self._note_read(name)
                table = self._table(name.text)
                if table is not None:
                    self._members.define(table, self._at + 1)
            while self._tokens.text(self._at) != "(":
                if self._tokens.text(self._at) == ":":
                    parameters.append("self")
                self._at += 1
        self._at += 1
        parameters += self._take_names()
        while self._tokens.text(self._at) != ")":
            self._at += 1
        self._at += 1
        self._scopes.append(_Scope("function", dict.fromkeys(parameters)))

    def _sign(self, sign: str) -> None:
        if sign in _BRACKETS:
            self._scopes.append(_Scope(sign))
        elif sign in _BRACKETS.values():
            self._close()
        elif sign == "::":  # a label
            self._at += 2

    # ---- names -----------------------------------------------------------------------------------------

    def _name(self, token: Token) -> None:
        before, after = self._tokens.text(self._at - 2), self._tokens.text(self._at)
        if before in {".", ":"}:
            return
        if after == "=" and self._scopes[-1].opened == "{" and before in {"{", ",", ";"}:
            return
        end = self._at
        table = self._table(token.text)
        if token.text == "require" and not self._is_local("require"):
            table, end = self._note_require() or (table, end)
        may_assign = self._scopes[-1].opened not in _BRACKETS
        if may_assign and self._tokens.is_assigned(end):
            self._assign(token.text)
            return
        self._note_read(token)
        if table is not None:
            self._members.use(table, self._at - 1, end, may_assign=may_assign)

    def _assign(self, name: str) -> None:
        table = self._table(name)
        if table is not None:
            table.is_sure = False
        if not self._is_local(name):
            self._assigned.add(name)

    def _note_read(self, token: Token) -> None:
        if not self._is_local(token.text):
            self._read.setdefault(token.text, token.line)

    def _note_require(self) -> tuple[Table, int] | None:
        """What it gives, and where its call ends."""
        found = self._tokens.required(self._at - 1)
        if found is None:
            return None
        wanted, end = found
        self._required.append((wanted.line, wanted.text))
        return self._members.required(wanted.text), end

    def _export(self) -> str:
        """What the text returns at its end: `nothing`, a `table` that can be read, or `anything`."""
        last = self._last_return
        if last < 0:
            return "nothing"
        first = self._tokens.text(last + 1)
        is_end = self._tokens.text(last + 2) in {"", ";"} and last + 3 >= len(self._tokens)
        texts = [token.text for token in self._tokens]
        if first == "{" or (
            is_end and any(texts[at : at + 4] == ["local", first, "=", "{"] for at in range(len(texts)))
        ):
            dynamic = {"setmetatable", "rawset"} & set(texts) or any(
                texts[at : at + 2] == [first, "["] for at in range(len(texts))
            )
            return "anything" if dynamic else "table"
        return "anything"
