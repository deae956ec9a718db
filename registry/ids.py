"""Entry IDs: parse and print `namespace:name`.

Knows: the character sets and the relative form. Does not know: entries, files, whether an ID exists.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import attrs

from .errors import InvalidID
from .wording import quote

_NAMESPACE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_./-]+")

NAMESPACE_RULE = "dot-separated words of letters, digits, _ and -"
NAME_RULE = "letters, digits, _, -, . and /"


def _is_namespace(_instance: Any, _attribute: Any, value: str) -> None:
    if not isinstance(value, str) or not _NAMESPACE.fullmatch(value):
        raise InvalidID(f"{quote(str(value))} is no namespace: a namespace is {NAMESPACE_RULE}")


def _is_name(_instance: Any, _attribute: Any, value: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidID(f"{quote(str(value))} is no entry name: a name is {NAME_RULE}")


@functools.total_ordering
@attrs.frozen(order=False, cache_hash=True)
class EntryID:
    """The name of an entry: `namespace:name` (seed: "Registry ID").

    Frozen, hashable, and ordered by its text, as lists of entries are (spec, registry 4).
    Raises InvalidID (a ValueError) when a part has a character outside its set.
    """

    namespace: str = attrs.field(validator=_is_namespace)
    name: str = attrs.field(validator=_is_name)
    _text: str = attrs.field(init=False, repr=False, eq=False)

    @_text.default
    def _join(self) -> str:
        return f"{self.namespace}:{self.name}"

    @classmethod
    def parse(cls, text: str, namespace: str | None = None) -> EntryID:
        """Read `namespace:name`, or a bare `name` that belongs to `namespace`.

        Raises InvalidID when the text is neither, or is bare and no namespace is given.
        """
        before, colon, after = text.partition(":")
        if colon:
            return cls(before, after)
        if namespace is None:
            raise InvalidID(f"{quote(text)} is no full entry ID: write namespace:name")
        return cls(namespace, text)

    def __str__(self) -> str:
        return self._text

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, EntryID):
            return NotImplemented
        return self._text < other._text
