"""What a type is called in a sentence: `an integer`, `a list`, `text`.

Knows: annotations. Does not know: values.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, Union

import attrs

from .fields import BETWEEN, REFERENCE
from .ids import EntryID
from .values import DURATION_RULE, DurationFormat, FileText
from .wording import one_of, quote

ID_RULE = "an entry ID, namespace:name"

_SIMPLE: dict[Any, str] = {
    str: "text",
    FileText: "text or a file:// value",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    EntryID: ID_RULE,
    Any: "a value",
    types.NoneType: "nothing",
}


def is_duration(annotation: Any) -> bool:
    """Whether this is Duration."""
    return any(isinstance(mark, DurationFormat) for mark in getattr(annotation, "__metadata__", ()))


def is_union(annotation: Any) -> bool:
    """Whether this is `A | B` in either of its two forms."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union other than None; of any other type, the type itself."""
    if not is_union(annotation):
        return (annotation,)
    return tuple(member for member in typing.get_args(annotation) if member is not types.NoneType)


def is_optional(annotation: Any) -> bool:
    """Whether None is a value of this type."""
    return annotation in (Any, None, types.NoneType) or (
        is_union(annotation) and any(is_optional(member) for member in typing.get_args(annotation))
    )


def is_sequence(annotation: Any) -> bool:
    """Whether this is a list, tuple, set or sequence of something. A text is none here."""
    origin = typing.get_origin(annotation) or annotation
    is_plain = isinstance(origin, type) and not issubclass(origin, str | bytes | Mapping)
    return is_plain and (issubclass(origin, Sequence | AbstractSet) or origin is Iterable)


def is_mapping(annotation: Any) -> bool:
    """Whether this is a dict or Mapping."""
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


def literal_values(annotation: Any) -> tuple[Any, ...]:
    """The values of a Literal or of an Enum; of any other type, none."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return tuple(member.value for member in annotation)
    return ()


def phrase(annotation: Any) -> str:
    """The type as a sentence names it."""
    if is_union(annotation):
        return one_of(dict.fromkeys(phrase(member) for member in members(annotation)))
    if values := literal_values(annotation):
        return one_of(quote(value) if isinstance(value, str) else str(value).lower() for value in values)
    if typing.get_origin(annotation) is Annotated and not is_duration(annotation):
        return phrase(annotation.__origin__)
    return _simple_phrase(annotation)


def _simple_phrase(annotation: Any) -> str:
    if is_duration(annotation):
        return DURATION_RULE
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if is_mapping(annotation) or (isinstance(annotation, type) and attrs.has(annotation)):
        return "a mapping"
    if length(annotation) is not None:
        return f"a list of {length(annotation)}"
    return "a list" if is_sequence(annotation) else "a value"


def length(annotation: Any) -> int | None:
    """How many items a tuple of fixed length has; None of anything else."""
    arguments = typing.get_args(annotation)
    is_fixed = typing.get_origin(annotation) is tuple and Ellipsis not in arguments
    return len(arguments) if is_fixed else None


def field_phrase(field: attrs.Attribute[Any]) -> str:
    """What a field holds, with its bounds and the kinds it may refer to."""
    if BETWEEN in field.metadata:
        return str(field.metadata[BETWEEN].phrase(field.type))
    if REFERENCE in field.metadata and EntryID in members(field.type):
        return f"the ID of {field.metadata[REFERENCE].wanted}"
    return phrase(field.type)
