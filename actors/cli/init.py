"""`noria init`: a small, complete application to begin with.

Knows: where it is written, and that nothing is overwritten. Must not know: what is in it (template.py).
"""

from __future__ import annotations

from pathlib import Path

import click

from .application import example


@click.command(
    "init",
    short_help="Write a small, complete application to begin with.",
    epilog=example("noria init hello"),
)
@click.argument("directory", metavar="DIR", type=click.Path())
def command(directory: str) -> int:
    """Write a small, complete, commented application to DIR, which must be empty or not exist."""
    import shlex

    from .template import FILES

    target = Path(directory)
    _check_empty(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            (target / name).write_text(text.replace("DIRECTORY", shlex.quote(directory)), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {directory}: {error.strerror or error}") from error
    shown = shlex.quote(directory)
    listed = "".join(f"  {name}\n" for name in FILES)
    click.echo(
        f"Wrote an application to {shown}:\n{listed}\n"
        f"Next:\n"
        f"  noria check {shown}\n"
        f"  noria run {shown} --publish app:greetings={shlex.quote(str(target / 'input.jsonl'))} --until-idle\n"
        f"  noria graph {shown}"
    )
    return 0


def _check_empty(target: Path) -> None:
    try:
        if target.exists() and not target.is_dir():
            raise click.UsageError(f"{target} is a file; give a directory that is empty or does not exist")
        found = sorted(path.name for path in target.iterdir()) if target.exists() else []
    except OSError as error:
        raise click.UsageError(f"cannot read {target}: {error.strerror or error}") from error
    if found:
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise click.UsageError(f"{target} is not empty ({shown}); nothing was written")
