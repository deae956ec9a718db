"""`noria graph`: the topology as a picture.

Knows: formats, and the program that makes SVG. Must not know: what is drawn (picture.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .application import Application, Warned, application_options, example, nearest

if TYPE_CHECKING:
    from ...registry import Registry

FORMATS = ("mermaid", "dot", "svg")


@click.command(
    "graph",
    short_help="Draw the topology.",
    epilog=example("noria graph hello", "noria graph hello --format svg > hello.svg"),
)
@application_options
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="mermaid",
    show_default=True,
    help="svg needs the program dot of Graphviz.",
)
def command(application: Application, form: str) -> int:
    """Draw the drivers, queues, consumers, functions, policies and dead letters of APP, from left to right.

    Where a function publishes to is drawn when its entry says so: meta: {publishes: QUEUE}, or a list of queues.
    """
    from .picture import dot, draw, mermaid

    registry = application.registry()
    picture = draw(registry)
    for warning in _misnamed(registry):
        warning.tell()
    if form == "svg":
        click.echo(_svg(dot(picture)), nl=False)
    else:
        click.echo(mermaid(picture) if form == "mermaid" else dot(picture), nl=False)
    return 0


def _misnamed(registry: Registry) -> list[Warned]:
    """What `meta.publishes` names and is no queue: it is not drawn."""
    from .picture import published

    queues = [str(entry.id) for entry in registry if entry.kind == "queue.queue"]
    return [
        Warned(
            "NotDrawn",
            str(entry.source),
            f"{entry.id}: meta.publishes names {queue}, which is no queue{nearest(str(queue), queues)}",
        )
        for entry in registry
        for queue in published(entry)
        if str(queue) not in queues
    ]


def _svg(source: str) -> bytes:
    import shutil
    import subprocess

    program = shutil.which("dot")
    if program is None:
        raise click.UsageError(
            "--format svg needs the program dot, which is not installed: install Graphviz"
            " (apt install graphviz, brew install graphviz), or use --format mermaid"
        )
    done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise click.ClickException(f"dot failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
