"""JSON schemas, for `json.validate`.

Knows: jsonschema, and what of it a script must not be given: it would fetch what a `$ref` names from files and networks,
and its regular expressions may take for ever. Must not know: Lua.
"""

import importlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from .....security.regular import RegularExpression
from ..engines import INSTALL
from ..faults import UNAVAILABLE, LuaError

MOST = 100
LONGEST_PROBLEM = 500
# References can double the work at each step; nothing else makes it more than the schema times the value.
MOST_REFERENCES = 200_000
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class _Followed(threading.local):
    """How many references the validation of this thread has followed."""

    count = 0


_followed = _Followed()


class Schemas:
    """Validators by the text of their schema: those that were used last. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._validators: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._validators)

    def problem(self, schema: str, value: Any) -> str | None:
        """What is wrong with a value, or with the schema itself; None where it fits."""
        _followed.count = 0
        try:
            misfit = next(self._validator(schema).iter_errors(value), None)
        except LuaError:
            raise
        except Exception as error:  # whatever a schema makes the library raise is the schema's fault
            return f"the schema cannot be used: {error}"
        return None if misfit is None else f"{misfit.json_path}: {misfit.message[:LONGEST_PROBLEM]}"

    def _validator(self, schema: str) -> Any:
        with self._lock:
            found = self._validators.get(schema)
            if found is not None:
                self._validators.move_to_end(schema)
                return found
        made = _validator_of(json.loads(schema))
        with self._lock:
            self._validators[schema] = made
            while len(self._validators) > self._most:
                self._validators.popitem(last=False)
        return made


def _validator_of(schema: Any) -> Any:
    validators = _library("jsonschema.validators")
    dialect = validators.validator_for(schema, default=validators.Draft202012Validator)
    dialect.check_schema(schema)
    if _has(schema, "unevaluatedProperties") and _has(schema, "patternProperties"):
        raise ValueError("unevaluatedProperties and patternProperties in one schema are not supported")
    safe = validators.extend(
        dialect,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            **{key: _counted(check) for key, check in dialect.VALIDATORS.items() if key in REFERENCES},
        },
    )
    # This registry fetches nothing.
    return safe(_without_dialects(schema), registry=_library("jsonschema_specifications").REGISTRY)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        needs = f"json.validate needs jsonschema: {INSTALL}"
        raise LuaError(needs, kind=UNAVAILABLE, retryable=False) from error


def _has(schema: Any, keyword: str) -> bool:
    if isinstance(schema, list):
        return any(_has(item, keyword) for item in schema)
    return isinstance(schema, dict) and (
        keyword in schema or any(_has(item, keyword) for item in schema.values())
    )


def _without_dialects(schema: Any) -> Any:
    """A part that names a dialect would be checked by the library's own validator of that one."""
    if isinstance(schema, list):
        return [_without_dialects(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_dialects(item)
        for key, item in schema.items()
        if key != "$schema" or not isinstance(item, str)
    }


def _counted(follow: Any) -> Any:
    def check(*arguments: Any) -> Iterator[Any]:
        _followed.count += 1
        if _followed.count > MOST_REFERENCES:
            raise ValueError(f"more than {MOST_REFERENCES} references were followed")
        yield from follow(*arguments) or ()

    return check


# ---- keywords with regular expressions, in linear time ------------------------------------------------------


@lru_cache(maxsize=MOST)
def _expression(text: str) -> RegularExpression:
    return RegularExpression(text)


def _misfit(text: str) -> Any:
    return _library("jsonschema").ValidationError(text)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(value, str) and not _expression(pattern).search(value):
        yield _misfit(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[Any]:
    if isinstance(value, dict):
        for pattern, schema in patterns.items():
            for name, item in value.items():
                if _expression(pattern).search(str(name)):
                    yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(value, dict):
        return
    patterns = tuple(schema.get("patternProperties", ()))
    for name, item in value.items():
        if name in schema.get("properties", ()) or any(
            _expression(each).search(str(name)) for each in patterns
        ):
            continue
        if allowed is False:
            yield _misfit(f"the property {name!r} is not allowed")
        else:
            yield from validator.descend(item, allowed, path=name)
