"""The members that a Lua text reads of tables: `encode` of `json`, whatever it calls the module.

Knows: which name stands for which table as long as nobody gives it another value. Must not know: blocks, which tables and
members there are.
"""

from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field, frozen

from .tokens import Token, Tokens

# What can only follow a value that is there.
_USES: Final = frozenset(["(", "{", "[", ".", ":"])


@define(eq=False)
class Table:
    """What a name stands for: a module that was required, or the global of this name.

    Attributes:
        is_sure: nobody gives the name another value.
        read: the members that are read of it, each with its line.
    """

    name: str
    is_sure: bool = True
    read: list[tuple[int, str]] = field(factory=list)


@frozen
class Members:
    """What a text does with tables that it has not made.

    Attributes:
        read: line, table and member.
        given: members that it sets, or looks for because they may be missing.
        shared: tables that it hands on, or indexes: anything may happen to them there.
    """

    read: tuple[tuple[int, str, str], ...]
    given: frozenset[tuple[str, str]]
    shared: frozenset[str]


@define
class MemberReader:
    """Collects them, for the one who walks over the tokens."""

    _tokens: Tokens
    _tables: list[Table] = field(factory=list)
    _globals: dict[str, Table] = field(factory=dict)
    _given: set[tuple[str, str]] = field(factory=set)
    _shared: set[str] = field(factory=set)
    _named: set[int] = field(factory=set)

    def members(self) -> Members:
        """What was found."""
        sure = [table for table in self._tables if table.is_sure and self.named_globally("require").is_sure]
        read = {(line, table.name, member) for table in sure for line, member in table.read}
        return Members(
            read=tuple(sorted(read)),
            given=frozenset(self._given),
            shared=frozenset(self._shared),
        )

    def required(self, module: str) -> Table:
        """What a `require` gives."""
        self._tables.append(Table(module))
        return self._tables[-1]

    def named_globally(self, name: str) -> Table:
        """The global of this name."""
        if name not in self._globals:
            self._globals[name] = self.required(name)
        return self._globals[name]

    def named(self, at: int, table_of: Callable[[str], Table | None]) -> Iterator[Table]:
        """The tables that stand in a list of values, as far as there is nothing else: each gets one more name."""
        while True:
            found = self._standing(at, table_of)
            if found is None:
                return
            self._named.add(at)
            table, at = found
            yield table
            if self._tokens.text(at) != ",":
                return
            at += 1

    def _standing(self, at: int, table_of: Callable[[str], Table | None]) -> tuple[Table, int] | None:
        if not self._tokens.is_name(at):
            return None
        name = self._tokens.text(at)
        table, end = table_of(name), at + 1
        if name == "require" and table is self.named_globally(name):
            required = self._tokens.required(at)
            if required is None:
                return None
            table, end = self.required(required[0].text), required[1]
        return (table, end) if table is not None and self._ends(end) else None

    def _ends(self, at: int) -> bool:
        """Whether a value is over there."""
        if at >= len(self._tokens) or self._tokens.text(at) in {",", ";"} or self._tokens.is_name(at):
            return True
        return self._tokens[at].kind == "keyword" and self._tokens.text(at) not in {"and", "or"}

    def use(self, table: Table, start: int, end: int, *, may_assign: bool) -> None:
        """The table stands from one index to another."""
        member = self._tokens.member(end)
        if member is not None:
            is_given = (may_assign and self._tokens.is_assigned(end + 2)) or self._is_looked_for(
                start, end + 2
            )
            self._note(table, member, is_given=is_given)
        elif start not in self._named:
            self._shared.add(table.name)

    def define(self, table: Table, at: int) -> None:
        """The table stands before an index, in the name of a function."""
        member = self._tokens.member(at)
        if member is not None:
            self._note(table, member, is_given=self._tokens.text(at + 2) == "(")

    def _note(self, table: Table, member: Token, *, is_given: bool) -> None:
        if is_given:
            self._given.add((table.name, member.text))
        else:
            table.read.append((member.line, member.text))

    def _is_looked_for(self, start: int, end: int) -> bool:
        """Whether the text asks there if the member is missing: `table.unpack or unpack`."""
        text = self._tokens.text
        if text(end) in _USES or self._tokens.string(end) is not None:
            return False
        if text(end) in {"and", "or", "then"} or text(start - 1) == "not":
            return True
        if text(end) in {"==", "~="}:
            return text(end + 1) == "nil"
        if text(start - 1) in {"==", "~="}:
            return text(start - 2) == "nil"
        return (text(start - 2), text(start - 1), text(end)) == ("type", "(", ")")
