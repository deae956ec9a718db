"""Which files of an application directory are definition files (spec, registry 1.1).

Knows: directories and names. Does not know: what the files say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .composer import Unreadable
from .document import Document
from .node import Node
from .problem import Problem, Source, shown_path
from .raw import MARKS, FileReader, RawEntry

SETTINGS: Final = ".noria.yaml"

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def application_directory(path: str | os.PathLike[str]) -> Path | Problem:
    """The directory, absolute and without `..`; or what is wrong with it."""
    # Not resolve(): people know their directories by the names they gave them, links included.
    try:
        directory = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() keeps `..`
    except FileNotFoundError:
        return Problem.at(
            Source(Path(path), 0, 0), "the current directory was deleted, so there is nothing below it"
        )
    if directory.is_dir():
        return directory
    whole = Source(directory, 0, 0)
    if directory.exists():
        return Problem.at(whole, "not a directory; noria loads an application directory")
    parent = directory.parent
    missing = "" if parent.is_dir() else f"; {shown_path(parent)} does not exist either"
    return Problem.at(whole, f"there is no such application directory{missing}")


def read_directory(root: Path) -> tuple[list[RawEntry], list[Problem]]:
    """The entries of all definition files below `root`, and what is wrong with the files.

    In the order of the paths, so the same directory always gives the same answer.
    """
    entries: list[RawEntry] = []
    problems: list[Problem] = []
    for file in _files(root, problems):
        try:
            tree, complaints = _tree(file)
        except Unreadable as unreadable:
            problems.append(unreadable.problem)
            continue
        problems.extend(complaints)
        if tree is not None:
            reader = FileReader()
            entries.extend(reader.entries(tree))
            problems.extend(reader.problems)
    return entries, problems


def read_settings(file: Path) -> tuple[Node, tuple[Problem, ...]]:
    """The tree of a settings file, and what is wrong with it. Raises Unreadable."""
    return Document.parse(file, _content(file)).tree()


def _files(root: Path, problems: list[Problem]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        place = Source(Path(error.filename or root), 0, 0)
        problems.append(Problem.at(place, f"cannot be read: {error.strerror or error}"))

    for directory, below, files in os.walk(root, onerror=unreadable):
        below[:] = sorted(name for name in below if _is_entered(Path(directory, name)))
        for name in sorted(files):
            file = Path(directory, name)
            if file.suffix in _SUFFIXES and name != SETTINGS and file.is_file():
                yield file


def _is_entered(directory: Path) -> bool:
    hidden = directory.name.startswith(".") or directory.name in _SKIPPED
    # A virtual environment, whatever it is called, holds other people's files.
    return not hidden and not (directory / "pyvenv.cfg").exists()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unreadable(Source(file, 0, 0), f"cannot be read: {error.strerror or error}") from None


def _tree(file: Path) -> tuple[Node | None, tuple[Problem, ...]]:
    """The tree of a definition file, or None for a YAML or JSON file that is something else.

    A file which does not even hold the word `namespace` or `entries` cannot become a definition file by
    being repaired: templates, settings of editors and the like are nobody's error.
    """
    content = _content(file)
    if not any(word.encode() in content for word in MARKS) and not content.startswith(_UTF_16):
        return None, ()
    document = Document.parse(file, content)
    if not MARKS & document.keys:
        return None, ()
    return document.tree()
