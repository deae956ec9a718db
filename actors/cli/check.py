"""`noria check`: is the configuration valid?

Knows: counting what was found. Must not know: what makes an entry invalid. Starts nothing, runs no handler file.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from .application import (
    Application,
    Invalid,
    application_options,
    example,
    not_started,
    nothing_below,
    undefined,
)

if TYPE_CHECKING:
    from ...registry import Registry


@click.command(
    "check",
    short_help="Check an application; every error with its place.",
    epilog=example("noria check hello"),
)
@application_options
def command(application: Application) -> int:
    """Check the application directory APP without starting anything.

    Prints one line that says what was found and exits 0, or prints every error as file:line:column: message on stderr
    and exits 2. Warns on stderr of consumers that will not start by themselves, and of names in Lua sources that are
    neither defined nor built in. Handler files are parsed, not run.
    """
    lines: list[str] = []
    registry: Registry | None = None
    try:
        registry = application.registry()
    except Invalid as invalid:
        lines += invalid.lines
    try:
        application.settings()
    except Invalid as invalid:
        # The missing directory itself is told by both.
        lines += [line for line in invalid.lines if line not in lines]
    for line in lines:
        click.echo(line, err=True)
    if lines or registry is None:
        return 2
    for warning in (*not_started(registry), *undefined(registry)):
        warning.tell()
    click.echo(_found(registry, application.path))
    return 0


def _found(registry: Registry, path: str) -> str:
    if not len(registry):
        return f"0 entries: {nothing_below(path)}"
    kinds = Counter(entry.kind for entry in registry)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(registry)} {'entry' if len(registry) == 1 else 'entries'}: {listed}"
