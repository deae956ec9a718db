"""Free-form mappings read into a class: the options that one entry holds for another one's driver.

Knows: structuring, sentences. Does not know: which entry holds them, nor where they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .kinds import Complaint
from .placeholders import EnvText
from .refusal import Refusal
from .structure import structure
from .wording import describe, did_you_mean

Options = TypeVar("Options")


def read_options(given: Mapping[str, Any], cls: type[Options]) -> tuple[Options | None, list[Complaint]]:
    """An instance of the attrs class `cls`, or None and what is wrong, each with its path inside `given`.

    The rules are those of an entry's own fields: unknown names are refused with the nearest one, durations may
    be texts, numbers have their bounds.
    """
    options, refusals, _ = structure(given, cls)
    return options, [(refusal.path, _sentence(refusal, given)) for refusal in refusals]


def _sentence(refusal: Refusal, given: Mapping[str, Any]) -> str:
    if refusal.expected is None:
        return refusal.text
    value: Any = given
    for step in refusal.path:
        value = value[step]
    if refusal.is_secret or isinstance(value, EnvText):
        return f"expected {refusal.expected}"
    hint = did_you_mean(value, refusal.candidates) if isinstance(value, str) else ""
    return f"expected {refusal.expected}, found {describe(value)}{hint}"
