"""`file://` values: which file a text names, and what stands in it.

Knows: paths below an application directory. Does not know: definition files, entries.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from .problem import shown_path
from .values import FileText
from .wording import quote

PREFIX: Final = "file://"


class NoSuchText(ValueError):
    """A `file://` value that names nothing that can be read."""


def read(text: str, *, base: Path, root: Path) -> FileText:
    """The content of the file that `file://…` names.

    `file://x` is relative to `base`, the directory of the definition file; `file:///x` to `root`, the
    application directory. Raises NoSuchText when the file is outside of `root`, also by way of a
    symbolic link, is missing, is no file or is not UTF-8.
    """
    path = _locate(text.removeprefix(PREFIX), base, root)
    try:
        return FileText(path.read_bytes().decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise NoSuchText(f"{quote(text)} is not UTF-8 text") from None
    except FileNotFoundError:
        raise NoSuchText(f"{quote(text)}: there is no such file; looked for {shown_path(path)}") from None
    except OSError as error:
        raise NoSuchText(f"{quote(text)} cannot be read: {error.strerror or error}") from None


def _locate(written: str, base: Path, root: Path) -> Path:
    start = root if written.startswith("/") else base
    path = Path(os.path.normpath(start / written.lstrip("/")))
    if "\0" in written or path == start:
        raise NoSuchText(f"{quote(PREFIX + written)} names no file")
    inside = path.is_relative_to(root) and path.resolve().is_relative_to(root.resolve())
    if not inside:
        raise NoSuchText(f"{quote(PREFIX + written)} leaves the application directory")
    return path
