"""From the bytes of a definition file to PyYAML's nodes, with YAML 1.2's core schema.

Knows: encodings, PyYAML's parsers and their complaints. Does not know: what the nodes mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from .problem import Problem, Source

DEEPEST: Final = 64

#: The prefix of YAML's own tags: `!!str` is `tag:yaml.org,2002:str`.
TAG: Final = "tag:yaml.org,2002:"

_LINE: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


class Unreadable(Exception):
    """A file that cannot be read, and why."""

    def __init__(self, source: Source, text: str) -> None:
        super().__init__(text)
        self.problem = Problem.at(source, text)


class _CoreSchema(BaseResolver):
    """YAML 1.2's core schema: `no` is a text, `12:30` is a text, `1e3` is a number.

    Numbers with leading zeros stay texts: whoever writes 0042 wants to see 0042.
    """


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _CoreSchema.add_implicit_resolver(f"{TAG}{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


class _Careful(Reader, Scanner, Parser, Composer, _CoreSchema):
    """PyYAML's own parser: slow, and the one whose error messages people read."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)


_parsers: list[Any] = [_Careful]

if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs forget it

    class _Fast(Composer, CParser, _CoreSchema):
        """libyaml's parser, where PyYAML was built with it.

        Its events only: its own composer recurses in C, and a deeply nested file would end the process.
        """

        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            Composer.__init__(self)
            BaseResolver.__init__(self)

    # When the fast one refuses, the careful one has the last word: the same verdict and the same
    # message on machines with and without libyaml.
    _parsers.insert(0, _Fast)


def compose(file: Path, content: bytes) -> list[yaml.Node]:
    """The documents of a file; none when it is empty. Raises Unreadable, at the place that is wrong."""
    text = decode(file, content)
    bad = Reader.NON_PRINTABLE.search(text)
    if bad:
        character = f"U+{ord(bad.group()):04X}"
        raise Unreadable(
            _place(file, text, bad.start()), f"the character {character} cannot stand in a definition file"
        )
    try:
        return _json(text) if file.suffix == ".json" else _yaml(text)
    except json.JSONDecodeError as error:
        raise Unreadable(Source(file, error.lineno, error.colno), f"not valid JSON: {error.msg}") from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(mark(file, error.problem_mark or error.context_mark), _sentence(error)) from None
    except RecursionError:
        raise Unreadable(Source(file, 0, 0), f"nested more than {DEEPEST} levels deep") from None


def decode(file: Path, content: bytes) -> str:
    """The text of a file, without a byte order mark. Raises Unreadable, at the first bad byte."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error counts from behind a byte order mark, as does the text that came before.
        body = error.object
        before = body[: error.start].decode()
        text = f"byte 0x{body[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise Unreadable(_place(file, before, len(before)), text) from None


def mark(file: Path, where: Any) -> Source:
    """PyYAML's mark, which counts from 0, as a source; no mark is the file as a whole."""
    return Source(file, where.line + 1, where.column + 1) if where is not None else Source(file, 0, 0)


def _json(text: str) -> list[yaml.Node]:
    if not text.strip():
        return []
    json.loads(text)
    # A raw tab cannot stand inside a JSON string, so all of them are indentation, which YAML refuses.
    return list(_each(_Careful(text.replace("\t", " "))))


def _yaml(text: str) -> list[yaml.Node]:
    *hasty, careful = _parsers
    for parser in hasty:
        try:
            return list(_each(parser(text)))
        except yaml.YAMLError:
            continue
    return list(_each(careful(text)))


def _each(composer: Any) -> Iterator[yaml.Node]:
    while composer.check_node():
        yield composer.get_node()


def _place(file: Path, text: str, index: int) -> Source:
    breaks = list(_LINE.finditer(text, 0, index))
    return Source(file, len(breaks) + 1, index - (breaks[-1].end() if breaks else 0) + 1)


def _sentence(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "it cannot be parsed"
    if "'\\t'" in problem:
        return "not valid YAML: a tab cannot indent; use spaces"
    doing = error.context if error.problem else None
    if (
        doing
        and error.context_mark
        and error.problem_mark
        and error.context_mark.line < error.problem_mark.line
    ):
        doing = f"{doing} that begins in line {error.context_mark.line + 1}"
    return f"not valid YAML: {problem} ({doing})" if doing else f"not valid YAML: {problem}"
