"""Placeholders: `${env:NAME}`, `${env:NAME|default}` and `$${`, and texts that came out of them.

Knows: their syntax and a mapping of variables. Does not know: entries, files. What a placeholder became
is never part of a message made here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Self

import attrs

from .wording import one_of

_PLACEHOLDER: Final = re.compile(
    r"""
      (?P<escape> \$\$\{ )
    | \$\{env: (?P<name> [A-Za-z_][A-Za-z0-9_]* ) (?: \| (?P<default> [^}]* ) )? \}
    | (?P<broken> \$\{env: )
    | \$\{ (?P<upper> [A-Z_][A-Z0-9_]* ) \| (?P<value> [^}]* ) \}
    """,
    re.VERBOSE,
)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")

#: More digits than this stay text: Python refuses to read thousands of them.
_MOST_DIGITS: Final = 1000


class LooseText(str):
    """A text without quotes or type of its own: the field it is for decides what it becomes.

    `plain` is what it is where nothing decides, in a free-form mapping.
    """

    __slots__ = ("plain",)

    plain: Any

    def __new__(cls, text: str, plain: Any) -> Self:
        """A text, and what it is by itself."""
        self = super().__new__(cls, text)
        self.plain = plain
        return self

    def __getnewargs__(self) -> tuple[str, Any]:  # type: ignore[override]  # copies keep both
        return (str(self), self.plain)


class EnvText(LooseText):
    """A text that holds the content of environment variables.

    It is the text, but its `repr()` is the placeholder: so the repr of a config object shows no secret.
    """

    __slots__ = ("raw",)

    raw: str

    def __new__(cls, text: str, plain: Any = None, raw: str = "") -> Self:
        """A text, what it is by itself, and the text with the placeholder."""
        self = super().__new__(cls, text, text if plain is None else plain)
        self.raw = raw
        return self

    def __getnewargs__(self) -> tuple[str, Any, str]:  # type: ignore[override]  # as above
        return (str(self), None if isinstance(self.plain, str) else self.plain, self.raw)

    def __repr__(self) -> str:
        return f"<{masked(self.raw)}>"


class Unset(ValueError):
    """A placeholder that cannot be resolved, or is not one."""


@attrs.frozen
class _Piece:
    """A stretch of a text: plain, or the value of a variable."""

    text: str
    variable: str | None = None
    default: str | None = None


def coerce(text: str) -> Any:
    """Text without quotes as a value (spec, registry 1.8): true and false, integers, floats, or text."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _INTEGER.fullmatch(text) and len(text) <= _MOST_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text) and any(sign in text for sign in ".eE"):
        return float(text)
    return text


def variables(text: str) -> tuple[str, ...]:
    """The names of the variables in a text, in order, each once."""
    found = (match["name"] for match in _PLACEHOLDER.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name))


def masked(text: str) -> str:
    """`the value of ${env:NAME}`: how a message speaks of a text with placeholders."""
    return f"the value of {one_of(f'${{env:{name}}}' for name in variables(text)).replace(' or ', ' and ')}"


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """The text with its placeholders resolved: an EnvText when there were any.

    A text that is nothing but one placeholder takes the type of its default where the field does not say
    (spec, registry 1.5). Raises Unset for a variable that is not set and has no default, and for what
    looks like a placeholder and is none.
    """
    pieces = _pieces(text)
    found = "".join(_value(piece, environ) for piece in pieces)
    if all(piece.variable is None for piece in pieces):
        return found
    plain = None
    if len(pieces) == 1 and pieces[0].default is not None:
        wanted, coerced = type(coerce(pieces[0].default)), coerce(found)
        plain = coerced if type(coerced) is wanted else None
    return EnvText(found, plain, text)


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        if match["broken"]:
            raise Unset(
                "a broken placeholder: write ${env:NAME} or ${env:NAME|default}, or $${ for a plain ${"
            )
        if match["upper"]:
            raise Unset(
                f"write ${{env:{match['upper']}|…}} for an environment variable, or $${{ for a plain ${{"
            )
        pieces += [_Piece(text[end : match.start()])] if match.start() > end else []
        pieces.append(_Piece("${") if match["escape"] else _Piece("", match["name"], match["default"]))
        end = match.end()
    return [*pieces, _Piece(text[end:])] if end < len(text) or not pieces else pieces


def _value(piece: _Piece, environ: Mapping[str, str]) -> str:
    if piece.variable is None:
        return piece.text
    found = environ.get(piece.variable, piece.default)
    if found is None:
        raise Unset(
            f"the environment variable {piece.variable} is not set; set it, or give it a default: "
            f"${{env:{piece.variable}|default}}"
        )
    return found
