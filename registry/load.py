"""`load`: from a directory to a registry, or to everything that is wrong with it.

Knows: the order of the steps. Does not know: how any of them works.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .kinds import Kind, Kinds
from .registry import Registry

Settings = TypeVar("Settings")


def load(
    path: str | os.PathLike[str],
    kinds: Kinds | Iterable[Kind],
    *,
    overrides: Iterable[str] = (),
    ignore_unknown_kinds: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Registry:
    """Read every definition file below `path`. Raises ConfigurationError with all problems."""
    raise NotImplementedError


def load_settings(
    path: str | os.PathLike[str], cls: type[Settings], environ: Mapping[str, str] = os.environ
) -> Settings:
    """Read `<path>/.noria.yaml` into the attrs class `cls`. Raises ConfigurationError."""
    raise NotImplementedError
