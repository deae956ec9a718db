"""From refusals to problems: the sentence and the place of each.

Knows: nodes as written, so a message speaks of `${env:NAME}` and never of its content. Does not know: why
something was refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .decode import found, is_secret, secrets
from .ids import EntryID
from .node import Node
from .placeholders import masked, variables
from .problem import FieldPath, Problem, Source
from .refusal import Refusal
from .wording import describe, did_you_mean, quote

#: A content of so few characters is part of ordinary words.
SHORT: Final = 3


def problem(refusal: Refusal, node: Node, decoded: Any, entry: EntryID | None = None) -> Problem:
    """The problem that a refusal of the value at `node` is; `decoded` is what the node became."""
    exact = node.find(refusal.path)
    source = place(node, refusal.path, at_key=refusal.at_key)
    return Problem.at(source, _sentence(refusal, exact, decoded), entry=entry, path=refusal.path)


def place(node: Node, path: FieldPath, *, at_key: bool = False) -> Source:
    """Where a field stands; of a field that is not written, where the mapping stands that lacks it."""
    exact = node.find(path)
    if exact is not None:
        return exact.key if at_key and exact.key is not None else exact.source
    closest = node.closest(path)
    return closest.key or closest.source


def _sentence(refusal: Refusal, exact: Node | None, decoded: Any) -> str:
    if refusal.is_secret and exact is not None and not is_secret(exact):
        return _told_without(exact, refusal)
    if refusal.expected is not None and exact is not None:
        return f"expected {refusal.expected}, found {found(exact)}{_hint(refusal, exact)}"
    if refusal.expected is not None:
        return f"expected {refusal.expected}"
    if refusal.foreign and exact is not None and is_secret(exact):
        return f"{refusal.instead}: {masked(exact.text or '')}"
    if refusal.foreign:
        return scrubbed(refusal.text, decoded)
    return refusal.text


def _told_without(node: Node, refusal: Refusal) -> str:
    """The sentence about a secret that stands in the file itself."""
    held = str(node.value) if node.text is None else node.text
    if refusal.expected is None:
        return refusal.instead if held and held in refusal.text else refusal.text
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    what = "a text" if isinstance(node.value, str) else "a number" if is_number else describe(node.value)
    hint = "; put it in quotes" if is_number and refusal.expected == "text" else ""
    return f"expected {refusal.expected}, found {what}, which is not shown{hint}"


def _hint(refusal: Refusal, node: Node) -> str:
    if is_secret(node):
        return ""
    text = node.text or ""
    if refusal.expected == "text" and not isinstance(node.value, str | dict | list) and text:
        return f"; put it in quotes: {quote(text)}"
    if refusal.expected == "a list" and isinstance(node.value, str):
        return f"; write it as a list: [{text}]"
    return did_you_mean(text, refusal.candidates) if isinstance(node.value, str) else ""


def scrubbed(text: str, decoded: Any) -> str:
    """A sentence of somebody else, with what placeholders became turned back into the placeholders."""
    for secret in secrets(decoded):
        names = " ".join(f"${{env:{name}}}" for name in variables(secret.raw))
        for shown in filter(None, (str.__repr__(secret)[1:-1], str(secret))):
            # A short one is replaced where it stands alone: a sentence with a hole for every `a` tells it too.
            pattern = re.escape(shown) if len(shown) > SHORT else rf"(?<!\w){re.escape(shown)}(?!\w)"
            text = re.sub(pattern, names, text)
    return text
