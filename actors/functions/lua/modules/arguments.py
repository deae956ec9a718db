"""What scripts give to functions of several modules, and how it must look.

Knows: texts, IDs and metadata. Must not know: what they are for.
"""

from collections.abc import Mapping
from typing import Any

from .....registry import EntryID, NoriaError
from ..faults import invalid


def required(given: Any, what: str) -> str:
    """A text that is not empty."""
    if not isinstance(given, str) or not given:
        raise invalid(f"{what} required")
    return given


def required_id(given: Any, what: str) -> EntryID:
    """The ID of a thing of this sort."""
    try:
        return EntryID.parse(required(given, f"{what} ID"))
    except NoriaError as error:
        raise invalid(str(error)) from error


def metadata(given: Any) -> Mapping[str, Any]:
    """A table of named fields; an empty one cannot say that it has none."""
    if given is None or given == []:
        return {}
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise invalid("expected meta to be a table of named fields")
    return given
