"""From tokens to the tree of an expression: a Pratt parser with the operator precedence of expr-lang.

Knows: syntax, precedence, the names of variables and functions (a typo is found here, with its position). Does not
know what operators do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from .errors import did_you_mean
from .expression_lexer import Kind, Source, Token, tokens
from .expression_tree import (
    Array,
    Binary,
    Call,
    Chain,
    Conditional,
    Item,
    Literal,
    Logical,
    Map,
    Member,
    Name,
    Node,
    Predicate,
    Slice,
    Unary,
    measure,
)

MAX_DEPTH: Final = 40

VARIABLES: Final = ("actor", "action", "resource", "meta")
CONSTANTS: Final = {"true": True, "false": False, "nil": None, "null": None}
WORD_OPERATORS: Final = frozenset({"and", "or", "in", "contains", "startsWith", "endsWith", "matches"})
NEGATABLE: Final = frozenset({"in", "contains", "startsWith", "endsWith", "matches"})
SAME: Final = {"and": "&&", "or": "||", "^": "**"}
UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
BINARY: Final = {
    "||": 10,
    "&&": 15,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", *NEGATABLE), 20),
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "??": 500,
}


def parse(source: Source, functions: Collection[str], predicates: Collection[str]) -> Node:
    """The tree of an expression.

    Args:
        source: The expression.
        functions: The names that may be called.
        predicates: Those whose last argument is evaluated for every element.

    Raises:
        ExpressionError: Bad syntax, an unknown name, or nesting deeper than 40.
    """
    parser = _Parser(source, functions, predicates)
    tree = parser.expression()
    if parser.next.kind is not Kind.END:
        source.refuse(f"expected an operator or the end, found {parser.next}", parser.next.at)
    if measure(tree)[1] > MAX_DEPTH:
        source.refuse(f"nested more than {MAX_DEPTH} deep", tree.at)
    return tree


class _Parser:
    """One pass over the tokens; `next` is the token to read."""

    def __init__(self, source: Source, functions: Collection[str], predicates: Collection[str]) -> None:
        self.source = source
        self.functions = functions
        self.predicates = predicates
        self.tokens = tokens(source)
        self.position = 0
        self.depth = 0
        self.in_predicate = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.next
        self.position += token.kind is not Kind.END
        return token

    def at_sign(self, sign: str) -> bool:
        return self.next.kind is Kind.SIGN and self.next.value == sign

    def skip(self, sign: str) -> bool:
        if not self.at_sign(sign):
            return False
        self.position += 1
        return True

    def expect(self, sign: str, why: str) -> None:
        if not self.skip(sign):
            self.source.refuse(f"expected {sign!r} {why}, found {self.next}", self.next.at)

    def expression(self, least: int = 0) -> Node:
        """An expression whose operators bind at least so tightly; 0 takes everything, also `?:`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.source.refuse(f"nested more than {MAX_DEPTH} deep", self.next.at)
        node = self.operators(self.prefix(), least)
        if least == 0:
            node = self.conditional(node)
        self.depth -= 1
        return node

    def operators(self, left: Node, least: int) -> Node:
        while (found := self.binary_operator()) is not None:
            sign, negated, length = found
            binding = BINARY[sign]
            if binding < least:
                break
            at = self.next.at
            self.position += length
            # ** binds to the right: 2 ** 3 ** 2 is 2 ** 9.
            right = self.expression(binding if sign == "**" else binding + 1)
            left = _joined(sign, left, right, at)
            if negated:
                left = Unary(sign="!", operand=left, at=at)
        return left

    def binary_operator(self) -> tuple[str, bool, int] | None:
        """The operator that is next: its sign, whether `not` stands before it, and its length in tokens."""
        token = self.next
        if token.kind is Kind.SIGN:
            sign = SAME.get(token.value, token.value)
            return (sign, False, 1) if sign in BINARY else None
        if token.kind is not Kind.WORD:
            return None
        if token.value in WORD_OPERATORS:
            return SAME.get(token.value, token.value), False, 1
        following = self.tokens[self.position + 1]
        if token.value == "not" and following.kind is Kind.WORD and following.value in NEGATABLE:
            return following.value, True, 2
        return None

    def conditional(self, test: Node) -> Node:
        at = self.next.at
        if self.skip("?:"):
            return Conditional(test=test, yes=None, no=self.expression(), at=at)
        if not self.skip("?"):
            return test
        yes = self.expression()
        self.expect(":", "between the two answers of ?")
        return Conditional(test=test, yes=yes, no=self.expression(), at=at)

    def prefix(self) -> Node:
        token = self.next
        if token.kind in (Kind.SIGN, Kind.WORD) and token.value in UNARY:
            self.position += 1
            operand = self.expression(UNARY[token.value])
            return Unary(sign="!" if token.value == "not" else token.value, operand=operand, at=token.at)
        return self.members(self.primary())

    def primary(self) -> Node:  # noqa: PLR0911 - one for each form of a value
        token = self.take()
        match token:
            case Token(Kind.NUMBER | Kind.TEXT):
                return Literal(value=token.value, at=token.at)
            case Token(Kind.WORD):
                return self.word(token)
            case Token(Kind.SIGN, "("):
                node = self.expression()
                self.expect(")", "to close (")
                return node
            case Token(Kind.SIGN, "["):
                return Array(items=self.listed("]", self.expression), at=token.at)
            case Token(Kind.SIGN, "{"):
                return self.map(token)
            case Token(Kind.SIGN, "#") if self.in_predicate:
                return Item(at=token.at)
            case Token(Kind.SIGN, ".") if self.in_predicate:
                self.position -= 1
                return Item(at=token.at)
        return self.source.refuse(f"expected a value, found {token}", token.at)

    def word(self, token: Token) -> Node:
        name = token.value
        if name in CONSTANTS:
            return Literal(value=CONSTANTS[name], at=token.at)
        if self.at_sign("("):
            return self.call(token)
        if name in VARIABLES:
            return Name(name=name, at=token.at)
        if name in self.functions:
            self.source.refuse(f"{name} is a function; call it with {name}(…)", token.at)
        hint = did_you_mean(name, VARIABLES)
        return self.source.refuse(
            f"unknown variable {name!r}{hint}; known are {', '.join(VARIABLES)}", token.at
        )

    def call(self, token: Token) -> Node:
        name = token.value
        if name not in self.functions:
            self.source.refuse(f"unknown function {name!r}{did_you_mean(name, self.functions)}", token.at)
        self.position += 1
        if name not in self.predicates:
            return Call(name=name, arguments=self.listed(")", self.expression), at=token.at)
        subject = self.expression()
        arguments: tuple[Node, ...] = (subject,)
        if self.skip(","):
            arguments = (subject, self.predicate())
            self.skip(",")
        self.expect(")", f"to close {name}(")
        return Call(name=name, arguments=arguments, at=token.at)

    def predicate(self) -> Node:
        at = self.next.at
        self.in_predicate += 1
        braces = self.skip("{")
        body = self.expression()
        if braces:
            self.expect("}", "to close the predicate")
        self.in_predicate -= 1
        return Predicate(body=body, at=at)

    def map(self, opening: Token) -> Node:
        pairs = self.listed("}", self.pair)
        return Map(keys=pairs[::2], values=pairs[1::2], at=opening.at)

    def pair(self) -> tuple[Node, ...]:
        key = self.map_key()
        self.expect(":", "after the key")
        return key, self.expression()

    def map_key(self) -> Node:
        token = self.take()
        if token.kind in (Kind.WORD, Kind.TEXT):
            return Literal(value=token.value, at=token.at)
        if token.kind is Kind.NUMBER:
            return Literal(value=str(token.value), at=token.at)
        if token.value != "(":
            self.source.refuse(f"expected a key, found {token}", token.at)
        key = self.expression()
        self.expect(")", "to close (")
        return key

    def listed(self, closing: str, read: Callable[[], Any]) -> tuple[Node, ...]:
        """What stands between commas up to the closing sign; a last comma is allowed."""
        found: list[Node] = []
        while not self.skip(closing):
            item = read()
            found.extend(item if isinstance(item, tuple) else (item,))
            if not self.skip(","):
                self.expect(closing, "or ','")
                break
        return tuple(found)

    def members(self, node: Node) -> Node:
        optional = False
        while True:
            at = self.next.at
            if self.skip("?."):
                optional = True
                node = (
                    self.index(node, at, optional=True)
                    if self.skip("[")
                    else self.named(node, at, optional=True)
                )
            elif self.skip("."):
                node = self.named(node, at, optional=False)
            elif self.skip("["):
                node = self.index(node, at, optional=False)
            else:
                return Chain(target=node, at=node.at) if optional else node

    def named(self, target: Node, at: int, *, optional: bool) -> Node:
        token = self.take()
        if token.kind is not Kind.WORD:
            self.source.refuse(f"expected a field name, found {token}", token.at)
        if self.at_sign("("):
            self.source.refuse("a field cannot be called; functions take their value as an argument", at)
        key = Literal(value=token.value, at=token.at)
        return Member(target=target, key=key, optional=optional, at=token.at)

    def index(self, target: Node, at: int, *, optional: bool) -> Node:
        low = None if self.at_sign(":") else self.expression()
        if self.skip(":"):
            high = None if self.at_sign("]") else self.expression()
            self.expect("]", "to close [")
            return Slice(target=target, low=low, high=high, at=at)
        self.expect("]", "to close [")
        assert low is not None  # noqa: S101 - for the type checker; a missing key was refused as a missing value
        return Member(target=target, key=low, optional=optional, at=at)


def _joined(sign: str, left: Node, right: Node, at: int) -> Node:
    if sign not in ("&&", "||"):
        return Binary(sign=sign, left=left, right=right, at=at)
    before = left.operands if isinstance(left, Logical) and left.sign == sign else (left,)
    return Logical(sign=sign, operands=(*before, right), at=at)
