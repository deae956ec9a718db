"""The door of the expression language: compile a text once, evaluate it for every request.

Knows: the order of the steps and what an expression as a whole promises. Does not know policies; what an error means
for an allow or a deny is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

from .errors import ExpressionError
from .expression_compiler import compile_tree, static_type
from .expression_functions import FUNCTIONS, PREDICATES
from .expression_lexer import Source
from .expression_parser import parse
from .expression_tree import Name, Node, measure
from .expression_values import Frame, type_name
from .principals import Request

MAX_NODES: Final = 1000


class Expression:
    """A compiled expression of a `security.policy.expr`. Immutable and thread-safe.

    The language is the subset of expr-lang that `docs/security.md` describes.

    Args:
        text: The expression.
        strict: Whether reading a field that is missing is an error instead of nil.

    Attributes:
        text: The expression as it was written.
        uses_meta: Whether it mentions the metadata of the request.

    Raises:
        ExpressionError: Bad syntax, an unknown variable or function, a type that cannot be right, an answer that
            cannot be a bool; or longer than 4096 characters, deeper than 40, larger than 1000 nodes.
    """

    __slots__ = ("_closure", "text", "uses_meta")

    def __init__(self, text: str, *, strict: bool = False) -> None:
        source = Source(text)
        tree = parse(source, (*FUNCTIONS, *PREDICATES), PREDICATES)
        if measure(tree)[0] > MAX_NODES:
            source.refuse(f"larger than {MAX_NODES} operands and operators", 0)
        known = static_type(tree)
        if known not in (None, "a bool"):
            source.refuse(f"a policy's expression must yield a bool, this one yields {known}", tree.at)
        self.text = text
        self.uses_meta = _mentions(tree, "meta")
        self._closure = compile_tree(source, tree, strict=strict)

    def holds(self, request: Request) -> bool:
        """Whether the expression is true for the request.

        The work is bounded: by the size of the expression, and by 100 000 steps for what loops over data.

        Raises:
            ExpressionError: An operand has the wrong type, the answer is no bool, or there is too much work.
        """
        try:
            answer = self._closure(Frame(request))
        except ExpressionError:
            raise
        except Exception as error:
            raise ExpressionError(f"{type(error).__name__}: {error}", 1, 1) from error
        if answer is True or answer is False:
            return answer
        raise ExpressionError(
            f"a policy's expression must yield a bool, this one yielded {type_name(answer)}", 1, 1
        )


def _mentions(root: Node, variable: str) -> bool:
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Name) and node.name == variable:
            return True
        pending.extend(node.children())
    return False
