"""`load`: what an application directory declares, and its settings.

Knows: which files are read, and that overrides come before everything is checked. Does not know: how.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

import attrs

from . import overrides as override_step
from .composer import Unreadable
from .decode import Decoder
from .discovery import SETTINGS, application_directory, read_directory, read_settings
from .errors import ConfigurationError
from .kinds import Kind, Kinds
from .loading import Loading, structured
from .node import Node
from .problem import Problem, Source, in_order
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
    """Read every definition file below `path`, an application directory.

    Args:
        path: the application directory.
        kinds: the kinds that its entries may be of.
        overrides: texts `namespace:entry:field=value`, applied in order before anything is checked.
        ignore_unknown_kinds: leave entries of other kinds out (`Registry.skipped` lists them).
        environ: where `${env:NAME}` looks.

    Raises:
        ConfigurationError: with every problem of the directory. Not among them is what `Kind.check` would
            find in an entry that is broken itself, or refers to a broken one: it needs what is good.
    """
    root = application_directory(path)
    if isinstance(root, Problem):
        raise ConfigurationError([root])
    table = kinds if isinstance(kinds, Kinds) else Kinds(kinds)
    raw, problems = read_directory(root)
    loading = Loading(table, Decoder(root, environ), ignore_unknown_kinds, problems)
    loading.take(raw)
    problems += override_step.apply(overrides, [draft.raw for draft in loading.drafts.values()], root)
    return loading.finish()


def load_settings(
    path: str | os.PathLike[str], cls: type[Settings], environ: Mapping[str, str] = os.environ
) -> Settings:
    """Read `<path>/.noria.yaml` into the attrs class `cls`; without the file, `cls()` with its defaults.

    Raises ConfigurationError with every problem of the file, as `load` does.
    """
    root = application_directory(path)
    if isinstance(root, Problem):
        raise ConfigurationError([root])
    file = root / SETTINGS
    tree, problems = Node({}, Source(file, 0, 0), base=root), list[Problem]()
    try:
        if file.exists():
            tree, found = read_settings(file)
            problems += found
        elif file.with_suffix(".yml").exists():
            problems.append(Problem.at(Source(file.with_suffix(".yml"), 0, 0), f"call this file {SETTINGS}"))
    except Unreadable as unreadable:
        problems.append(unreadable.problem)
    tree = attrs.evolve(tree, value={}) if tree.value is None else tree
    settings, _ = structured(tree, cls, Decoder(root, environ), problems)
    if problems or settings is None:
        raise ConfigurationError(in_order(problems))
    return settings
