"""From the tree of an expression to closures: each node becomes a function of the frame.

Knows: evaluation order, short circuits, and the few types that can be told before anything runs, so that
`action && 1` is an error when the policy is loaded. Does not know syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from . import expression_tree as tree
from .errors import ExpressionError, PolicyError
from .expression_functions import FUNCTIONS, PREDICATES
from .expression_lexer import Source
from .expression_operators import OPERATORS, RESULTS
from .expression_values import Frame, Misuse, elements, integer, number, text, type_name
from .regular import RegularExpression

Closure = Callable[[Frame], Any]

# What `?.` on nil answers, so that the rest of its chain is skipped.
_ABSENT: Final = object()
VARIABLE_TYPES: Final = {"actor": "a map", "meta": "a map", "action": "a text", "resource": "a text"}


def compile_tree(source: Source, root: tree.Node, *, strict: bool = False) -> Closure:
    """Turn the tree of an expression into a function that evaluates it.

    Args:
        source: The expression, for positions.
        root: Its tree.
        strict: Whether reading what is missing is an error instead of nil.

    Returns:
        A function of a Frame. It raises ExpressionError and, for what nobody foresaw, anything.

    Raises:
        ExpressionError: An operand whose type is known cannot be right.
    """
    return _Compiler(source, strict=strict).compile(root)


class _Compiler:
    """One method for each kind of node."""

    def __init__(self, source: Source, *, strict: bool = False) -> None:
        self.source = source
        self.strict = strict

    def compile(self, node: tree.Node) -> Closure:
        method: Callable[[tree.Node], Closure] = getattr(self, f"compile_{type(node).__name__.lower()}")
        return method(node)

    def typed(self, node: tree.Node, wanted: str, why: str) -> Closure:
        """The closure of a node of which the type is wanted; refuses what is known to be another."""
        known = static_type(node)
        if known not in (None, wanted):
            self.source.refuse(f"{why} must be {wanted}, found {known}", node.at)
        return self.compile(node)

    def trouble(self, error: Exception, at: int) -> NoReturn:
        """Turn what went wrong in an operator or function into an error with a position."""
        if isinstance(error, ExpressionError):
            raise error
        expected = isinstance(error, Misuse | PolicyError)
        raise self.source.error(str(error) if expected else f"{type(error).__name__}: {error}", at) from error

    def compile_literal(self, node: tree.Literal) -> Closure:
        value = node.value
        return lambda _frame: value

    def compile_name(self, node: tree.Name) -> Closure:
        return _VARIABLES[node.name]

    def compile_item(self, _node: tree.Item) -> Closure:
        return lambda frame: frame.item

    def compile_unary(self, node: tree.Unary) -> Closure:
        at = node.at
        if node.sign == "!":
            test = self.test(node.operand, "the operand of !")
            return lambda frame: not test(frame)
        operand = self.typed(node.operand, "a number", f"the operand of {node.sign}")
        sign = -1 if node.sign == "-" else 1

        def evaluate(frame: Frame) -> Any:
            try:
                return sign * number(operand(frame))
            except Misuse as error:
                self.trouble(error, at)

        return evaluate

    def test(self, node: tree.Node, why: str) -> Callable[[Frame], bool]:
        """A closure whose answer is a bool or an error."""
        closure = self.typed(node, "a bool", why)
        if static_type(node) == "a bool" and not isinstance(node, tree.Call | tree.Conditional):
            return closure
        at = node.at

        def evaluate(frame: Frame) -> bool:
            answer = closure(frame)
            if answer is True or answer is False:
                return answer
            return self.source.refuse(f"{why} must be a bool, found {type_name(answer)}", at)

        return evaluate

    def compile_logical(self, node: tree.Logical) -> Closure:
        tests = tuple(self.test(operand, f"an operand of {node.sign}") for operand in node.operands)
        # What ends the evaluation early: the first true of ||, the first false of &&.
        ends = node.sign == "||"
        if len(tests) == 2:
            first, second = tests
            if ends:
                return lambda frame: first(frame) or second(frame)
            return lambda frame: first(frame) and second(frame)

        def evaluate(frame: Frame) -> bool:
            for test in tests:
                if test(frame) is ends:
                    return ends
            return not ends

        return evaluate

    def compile_binary(self, node: tree.Binary) -> Closure:
        if node.sign == "??":
            return self.coalesce(node)
        if node.sign == "matches" and isinstance(node.right, tree.Literal):
            return self.matches(node, node.right)
        self.check_operands(node)
        left, right, at = self.compile(node.left), self.compile(node.right), node.at
        operator = OPERATORS[node.sign]

        def evaluate(frame: Frame) -> Any:
            try:
                return operator(frame, left(frame), right(frame))
            except ExpressionError:
                raise
            except Exception as error:
                self.trouble(error, at)

        if (
            node.sign in ("==", "!=")
            and isinstance(node.right, tree.Literal)
            and isinstance(node.right.value, str)
        ):
            return _compare_with_text(left, node.right.value, equal=node.sign == "==")
        return evaluate

    def check_operands(self, node: tree.Binary) -> None:
        """Refuse operands whose types are known and cannot work, such as `1 < "a"`."""
        left, right = static_type(node.left), static_type(node.right)
        wanted = _OPERANDS.get(node.sign, ())
        for operand, known in ((node.left, left), (node.right, right)):
            if wanted and known not in (None, *wanted):
                self.source.refuse(f"{node.sign} needs {' or '.join(wanted)}, found {known}", operand.at)
        if node.sign in _ALIKE and left and right and left != right:
            self.source.refuse(f"{node.sign} needs two values of one type, found {left} and {right}", node.at)
        if node.sign == "in" and right not in (None, "a list", "a map", "nil"):
            self.source.refuse(f"in needs a list or a map on its right, found {right}", node.right.at)

    def coalesce(self, node: tree.Binary) -> Closure:
        # Asking for a default is asking about absence: never an error, also for a strict policy.
        left, right = _Compiler(self.source).compile(node.left), self.compile(node.right)

        def evaluate(frame: Frame) -> Any:
            value = left(frame)
            return right(frame) if value is None else value

        return evaluate

    def matches(self, node: tree.Binary, pattern: tree.Literal) -> Closure:
        """A literal pattern is compiled once, and refused when the policy is loaded."""
        left, at = self.typed(node.left, "a text", "the left side of matches"), node.at
        if not isinstance(pattern.value, str):
            self.source.refuse(f"matches needs a text, found {type_name(pattern.value)}", pattern.at)
        try:
            expression = RegularExpression(pattern.value)
        except PolicyError as error:
            self.trouble(error, pattern.at)

        def evaluate(frame: Frame) -> bool:
            value = left(frame)
            try:
                if value is None:
                    return False
                frame.spend(1 + len(text(value)))
                return expression.search(value)
            except (Misuse, PolicyError) as error:
                self.trouble(error, at)

        return evaluate

    def compile_conditional(self, node: tree.Conditional) -> Closure:
        test, no = self.test(node.test, "the condition of ?"), self.compile(node.no)
        if node.yes is None:
            return lambda frame: test(frame) or no(frame)
        yes = self.compile(node.yes)
        return lambda frame: yes(frame) if test(frame) else no(frame)

    def compile_array(self, node: tree.Array) -> Closure:
        items = tuple(map(self.compile, node.items))
        if all(isinstance(item, tree.Literal) for item in node.items):
            values = tuple(item.value for item in node.items if isinstance(item, tree.Literal))
            return lambda _frame: values
        return lambda frame: [item(frame) for item in items]

    def compile_map(self, node: tree.Map) -> Closure:
        keys = tuple(self.typed(key, "a text", "a key") for key in node.keys)
        values, at = tuple(map(self.compile, node.values)), node.at

        def evaluate(frame: Frame) -> Any:
            try:
                return {text(key(frame)): value(frame) for key, value in zip(keys, values, strict=True)}
            except Misuse as error:
                self.trouble(error, at)

        return evaluate

    def compile_member(self, node: tree.Member) -> Closure:
        key = node.key.value if isinstance(node.key, tree.Literal) else None
        if isinstance(node.target, tree.Name) and node.target.name == "actor" and isinstance(key, str):
            return self.actor_field(node, key)
        target, find = self.compile(node.target), self.compile(node.key)
        optional, at = node.optional, node.at

        def evaluate(frame: Frame) -> Any:
            value = target(frame)
            if value is _ABSENT or (value is None and optional):
                return _ABSENT
            try:
                return _member(value, find(frame), strict=self.strict and not optional)
            except Misuse as error:
                self.trouble(error, at)

        return evaluate

    def actor_field(self, node: tree.Member, key: str) -> Closure:
        if key not in ("id", "meta"):
            self.source.refuse(f"an actor has id and meta, not {key!r}", node.at)
        if key == "id":
            return lambda frame: frame.request.principal.id
        return lambda frame: frame.request.principal.meta

    def compile_chain(self, node: tree.Chain) -> Closure:
        target = self.compile(node.target)

        def evaluate(frame: Frame) -> Any:
            value = target(frame)
            return None if value is _ABSENT else value

        return evaluate

    def compile_slice(self, node: tree.Slice) -> Closure:
        target, at = self.compile(node.target), node.at
        bounds = tuple(None if bound is None else self.compile(bound) for bound in (node.low, node.high))

        def evaluate(frame: Frame) -> Any:
            try:
                value = target(frame)
                if value is _ABSENT:
                    return _ABSENT
                low, high = (None if bound is None else integer(bound(frame)) for bound in bounds)
                frame.spend(1 + len(value if isinstance(value, str) else elements(value)) // 64)
                return value[low:high]
            except Misuse as error:
                self.trouble(error, at)

        return evaluate

    def compile_call(self, node: tree.Call) -> Closure:
        if node.name in PREDICATES:
            return self.predicate_call(node)
        function, at = FUNCTIONS[node.name], node.at
        if not function.least <= len(node.arguments) <= function.most:
            self.source.refuse(f"{node.name} takes {_arity(function.least, function.most)}", at)
        arguments = tuple(map(self.compile, node.arguments))
        call = function.call

        def evaluate(frame: Frame) -> Any:
            values = [argument(frame) for argument in arguments]
            try:
                return call(frame, *values)
            except Exception as error:
                self.trouble(error, at)

        return evaluate

    def predicate_call(self, node: tree.Call) -> Closure:
        name, at = node.name, node.at
        if len(node.arguments) != 2:
            self.source.refuse(f"{name} takes a list and a predicate, such as {name}(list, # == 1)", at)
        subject, predicate = node.arguments
        assert isinstance(predicate, tree.Predicate)  # noqa: S101 - the parser makes nothing else here
        items, body, call = (
            self.typed(subject, "a list", f"the first argument of {name}"),
            None,
            PREDICATES[name].call,
        )
        body = self.compile(predicate.body) if name == "map" else self.test(predicate.body, "a predicate")
        weight = tree.measure(predicate)[0]

        def evaluate(frame: Frame) -> Any:
            try:
                return call(frame, items(frame), body, weight)
            except ExpressionError:
                raise
            except Exception as error:
                self.trouble(error, at)

        return evaluate


def _member(value: Any, key: Any, *, strict: bool) -> Any:
    if isinstance(value, Mapping):
        found = value.get(key) if isinstance(key, str) else None
        if found is None and strict:
            raise Misuse(f"{key!r} is missing, and the policy is strict")
        return found
    if isinstance(value, list | tuple):
        place = integer(key)
        if not -len(value) <= place < len(value):
            raise Misuse(f"the list has {len(value)} elements, so there is none at {place}")
        return value[place]
    hint = "; ?. allows that" if value is None else ""
    raise Misuse(f"cannot read {key!r} of {type_name(value)}{hint}")


def _compare_with_text(left: Closure, wanted: str, *, equal: bool) -> Closure:
    """`== "text"` is what most policies are made of; nothing in it can fail."""
    if equal:
        return lambda frame: left(frame) == wanted
    return lambda frame: left(frame) != wanted


def _arity(least: int, most: int) -> str:
    plural = "" if most == 1 else "s"
    return f"{least} argument{plural}" if least == most else f"{least} to {most} arguments"


_VARIABLES: Final[Mapping[str, Closure]] = {
    "action": lambda frame: frame.request.action,
    "resource": lambda frame: frame.request.resource,
    "meta": lambda frame: frame.request.meta,
    "actor": lambda frame: {"id": frame.request.principal.id, "meta": frame.request.principal.meta},
}
_NUMBERS: Final = ("a number",)
_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("-", "*", "/", "%", "**", ".."), _NUMBERS),
    **dict.fromkeys(("+", "<", "<=", ">", ">="), ("a number", "a text")),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), ("a text", "nil")),
}
_ALIKE: Final = frozenset({"+", "<", "<=", ">", ">="})


def static_type(node: tree.Node) -> str | None:
    """The type of a node's answer, when it can be told without running anything."""
    known: str | None = _NODE_TYPES.get(type(node))
    match node:
        case tree.Literal():
            known = type_name(node.value)
        case tree.Name():
            known = VARIABLE_TYPES[node.name]
        case tree.Unary():
            known = "a bool" if node.sign == "!" else "a number"
        case tree.Binary():
            known = static_type(node.left) if node.sign == "+" else RESULTS.get(node.sign)
        case tree.Call():
            known = (PREDICATES.get(node.name) or FUNCTIONS[node.name]).result
    return known


_NODE_TYPES: Final[Mapping[type, str]] = {tree.Logical: "a bool", tree.Array: "a list", tree.Map: "a map"}
