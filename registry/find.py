"""Criteria of `Registry.find`: which entries a question means (spec, registry 6).

Knows: entries and patterns. Does not know: how a registry stores or orders entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .entry import Entry
from .errors import InvalidCriterion
from .wording import describe, did_you_mean, one_of, quote

Predicate = Callable[[Entry], bool]

_ROOTS: Final[Mapping[str, Callable[[Entry], str]]] = {
    ".id": lambda entry: str(entry.id),
    ".ns": lambda entry: entry.id.namespace,
    ".name": lambda entry: entry.id.name,
    ".kind": lambda entry: entry.kind,
}
_MISSING: Final = object()


def compile_criteria(criteria: Mapping[str, Any]) -> Predicate:
    """One predicate for all criteria together. Raises InvalidCriterion for one that means nothing."""
    predicates = [_compile(key, wanted) for key, wanted in criteria.items()]
    return lambda entry: all(predicate(entry) for predicate in predicates)


def _compile(key: str, wanted: Any) -> Predicate:
    if key in _ROOTS:
        return _root(key, wanted)
    operator, field = ("", key) if key.startswith("meta.") else (key[:1], key[1:])
    if not field.startswith("meta.") or field == "meta." or operator not in _META:
        known = [*_ROOTS, "meta.…"]
        hint = did_you_mean(key, [*_ROOTS, f".{key}"] if f".{key}" in _ROOTS else _ROOTS)
        raise InvalidCriterion(
            f"unknown criterion {quote(key)}: known are {one_of(known)}, the latter also "
            f"with ~ * ^ or $ before it{hint}"
        )
    test = _META[operator](key, wanted)
    name = field.removeprefix("meta.")
    return lambda entry: (value := _meta(entry, name)) is not _MISSING and test(value)


def _root(key: str, wanted: Any) -> Predicate:
    read, pattern = _ROOTS[key], _text(key, wanted)
    # Only * is special here; [ and ? are plain characters (spec, registry 6).
    matches = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch
    return lambda entry: matches(read(entry)) is not None


def _meta(entry: Entry, name: str) -> Any:
    if name in entry.meta:
        return entry.meta[name]
    value: Any = entry.meta
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return _MISSING
        value = value[step]
    return value


def _equals(_key: str, wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, list | tuple):
        return lambda value: isinstance(value, list) and all(_has(value, each) for each in wanted)
    return lambda value: _same(value, wanted)


def _has(values: list[Any], wanted: Any) -> bool:
    return any(_same(value, wanted) for value in values)


def _same(left: Any, right: Any) -> bool:
    # True == 1 in Python, but nobody who asks for 1 means true.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _regex(key: str, wanted: Any) -> Callable[[Any], bool]:
    try:
        search = re.compile(_text(key, wanted)).search
    except re.error as error:
        raise InvalidCriterion(f"{quote(key)}: {quote(wanted)} is no regular expression: {error}") from None
    return lambda value: isinstance(value, str) and search(value) is not None


def _contains(key: str, wanted: Any) -> Callable[[Any], bool]:
    part = _text(key, wanted)

    def test(value: Any) -> bool:
        texts = value if isinstance(value, list) else [value]
        return any(isinstance(text, str) and part in text for text in texts)

    return test


def _prefix(key: str, wanted: Any) -> Callable[[Any], bool]:
    part = _text(key, wanted)
    return lambda value: isinstance(value, str) and value.startswith(part)


def _suffix(key: str, wanted: Any) -> Callable[[Any], bool]:
    part = _text(key, wanted)
    return lambda value: isinstance(value, str) and value.endswith(part)


_META: Final[Mapping[str, Callable[[str, Any], Callable[[Any], bool]]]] = {
    "": _equals,
    "~": _regex,
    "*": _contains,
    "^": _prefix,
    "$": _suffix,
}


def _text(key: str, wanted: Any) -> str:
    if not isinstance(wanted, str):
        raise InvalidCriterion(f"{quote(key)}: expected text, found {describe(wanted)}")
    return wanted
