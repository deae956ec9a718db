"""Generated expressions, answered by ours, by Google's CEL, and by Python: all three agree.

Each generated piece carries its text in our language, its text in CEL, and the value that Python computes for it.
Parentheses are written only where precedence asks for them, so precedence is compared as well.
"""

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.security import Principal
from noria.security.expression import Expression
from noria.security.principals import Request

try:
    from cel_expr_python import cel
except ImportError:  # no wheel for this platform; Python is the other oracle
    cel = None

META = {
    "n": 3,
    "m": -2,
    "word": "abc",
    "other": "b",
    "yes": True,
    "no": False,
    "list": [1, 2, 3],
    "words": ["a", "b"],
    "empty": [],
    "map": {"a": 1, "k": 2},
}
ENVIRONMENT = cel and cel.NewEnv(variables={"meta": cel.Type.DYN})

TERNARY, OR, AND, RELATION, SUM, PRODUCT, UNARY, ATOM = range(8)


class Piece(NamedTuple):
    binding: int
    ours: str
    cel: str
    value: Any


def atom(text, value):
    return Piece(ATOM, text, text, value)


def field(name):
    return atom(f"meta.{name}", META[name])


def wrapped(piece, least):
    if piece.binding >= least:
        return piece.ours, piece.cel
    return f"({piece.ours})", f"({piece.cel})"


def binary(binding, sign, evaluate, in_cel=None):
    def build(left, right):
        (our_left, cel_left), (our_right, cel_right) = wrapped(left, binding), wrapped(right, binding + 1)
        both = in_cel(cel_left, cel_right) if in_cel else f"{cel_left} {sign} {cel_right}"
        return Piece(binding, f"{our_left} {sign} {our_right}", both, evaluate(left.value, right.value))

    return build


def method(name, evaluate):
    """An operator of ours that is a method in CEL: `a startsWith b`, `a.startsWith(b)`."""

    def build(left, right):
        (ours, _), (our_right, _) = wrapped(left, RELATION), wrapped(right, RELATION + 1)
        in_cel = f"({left.cel}).{name}({right.cel})"
        return Piece(RELATION, f"{ours} {name} {our_right}", in_cel, evaluate(left.value, right.value))

    return build


def unary(sign, evaluate):
    def build(operand):
        # Our `!` binds looser than `*`, as in expr-lang; between bools that makes no difference.
        ours, in_cel = wrapped(operand, UNARY)
        return Piece(UNARY, f"{sign} {ours}", f"{sign} {in_cel}", evaluate(operand.value))

    return build


def choice(test, yes, no):
    parts = [wrapped(part, OR) for part in (test, yes)]
    ours = f"{parts[0][0]} ? {parts[1][0]} : {no.ours}"
    return Piece(
        TERNARY, ours, f"{parts[0][1]} ? {parts[1][1]} : {no.cel}", yes.value if test.value else no.value
    )


def remainder(left, right):
    return abs(left) % abs(right) * (-1 if left < 0 else 1)


def extend_numbers(numbers):
    pairs = st.tuples(numbers, numbers)
    return st.one_of(
        pairs.map(lambda two: binary(SUM, "+", lambda a, b: a + b)(*two)),
        pairs.map(lambda two: binary(SUM, "-", lambda a, b: a - b)(*two)),
        pairs.map(lambda two: binary(PRODUCT, "*", lambda a, b: a * b)(*two)),
        st.tuples(numbers, st.sampled_from([atom("2", 2), atom("3", 3)])).map(
            lambda two: binary(PRODUCT, "%", remainder)(*two)
        ),
        numbers.map(unary("-", lambda a: -a)),
    )


def length_of(piece):
    return Piece(ATOM, f"len({piece.ours})", f"size({piece.cel})", len(piece.value))


LISTS = st.sampled_from([field("list"), field("empty"), atom("[1, 2]", [1, 2]), atom("[3]", [3])])
WORD_LISTS = st.sampled_from(
    [field("words"), atom('["abc", "x"]', ["abc", "x"]), atom("meta.map", META["map"])]
)
NUMBERS = st.recursive(
    st.one_of(
        st.integers(0, 5).map(lambda n: atom(str(n), n)),
        st.sampled_from([field("n"), field("m")]),
        st.one_of(LISTS, WORD_LISTS).map(length_of),
    ),
    extend_numbers,
    max_leaves=5,
)
TEXTS = st.recursive(
    st.sampled_from([field("word"), field("other"), atom('"a"', "a"), atom('""', ""), atom('"bc"', "bc")]),
    lambda texts: st.tuples(texts, texts).map(lambda two: binary(SUM, "+", lambda a, b: a + b)(*two)),
    max_leaves=3,
)


def macro(name, evaluate):
    in_cel = {"any": "exists", "all": "all", "one": "exists_one"}[name]

    def build(pair):
        items, limit = pair
        ours = f"{name}({items.ours}, # > {limit})"
        return Piece(
            ATOM, ours, f"({items.cel}).{in_cel}(x, x > {limit})", evaluate([n > limit for n in items.value])
        )

    return build


COMPARISONS = [
    ("==", lambda a, b: a == b),
    ("!=", lambda a, b: a != b),
    ("<", lambda a, b: a < b),
    ("<=", lambda a, b: a <= b),
    (">", lambda a, b: a > b),
    (">=", lambda a, b: a >= b),
]
COMPARED = st.sampled_from([binary(RELATION, sign, evaluate) for sign, evaluate in COMPARISONS])
INSIDE = binary(RELATION, "in", lambda a, b: a in b)
METHODS = st.sampled_from(
    [
        method("contains", lambda a, b: b in a),
        method("startsWith", lambda a, b: a.startswith(b)),
        method("endsWith", lambda a, b: a.endswith(b)),
        method("matches", lambda a, b: b in a),
    ]
)
MACROS = st.sampled_from(
    [macro("any", any), macro("all", all), macro("one", lambda answers: sum(answers) == 1)]
)


def extend_bools(bools):
    pairs = st.tuples(bools, bools)
    return st.one_of(
        pairs.map(lambda two: binary(AND, "&&", lambda a, b: a and b)(*two)),
        pairs.map(lambda two: binary(OR, "||", lambda a, b: a or b)(*two)),
        pairs.map(lambda two: binary(RELATION, "==", lambda a, b: a == b)(*two)),
        bools.map(unary("!", lambda a: not a)),
        st.tuples(bools, bools, bools).map(lambda three: choice(*three)),
    )


BOOLS = st.recursive(
    st.one_of(
        st.sampled_from([atom("true", value=True), atom("false", value=False), field("yes"), field("no")]),
        st.tuples(COMPARED, NUMBERS, NUMBERS).map(lambda drawn: drawn[0](*drawn[1:])),
        st.tuples(COMPARED, TEXTS, TEXTS).map(lambda drawn: drawn[0](*drawn[1:])),
        st.tuples(METHODS, TEXTS, TEXTS).map(lambda drawn: drawn[0](*drawn[1:])),
        st.tuples(NUMBERS, LISTS).map(lambda two: INSIDE(*two)),
        st.tuples(TEXTS, WORD_LISTS).map(lambda two: INSIDE(*two)),
        st.tuples(MACROS, st.tuples(LISTS, st.integers(-1, 4))).map(lambda drawn: drawn[0](drawn[1])),
    ),
    extend_bools,
    max_leaves=6,
)


def ours(text):
    return Expression(text).holds(Request(Principal("alice"), "write", "doc:1", META))


def google(text):
    result = ENVIRONMENT.compile(text).eval(data={"meta": META})
    assert result.type() == cel.Type.BOOL, f"{text}: {result.value()}"
    return result.value()


@settings(max_examples=300)
@given(BOOLS)
def test_ours_and_python_agree(piece):
    assert ours(piece.ours) is piece.value


@pytest.mark.skipif(cel is None, reason="cel-expr-python is not installed")
@settings(max_examples=300)
@given(BOOLS)
def test_ours_and_googles_cel_agree(piece):
    assert ours(piece.ours) is google(piece.cel)


SPELLED = {"&&": "and", "||": "or", "!": "not"}


@given(BOOLS)
def test_words_mean_the_same_as_signs(piece):
    text = " ".join(
        SPELLED.get(word, word) for word in piece.ours.replace("(", " ( ").replace(")", " ) ").split(" ")
    )

    assert ours(text) is piece.value
