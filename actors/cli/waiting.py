"""What a person sees while a command works: a bar or a line at the foot of the terminal, gone when it is done.

Knows: rich, and whether standard error is a terminal; elsewhere nothing is shown. Must not know: what takes so long.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import attrs
import click


@attrs.frozen
class Bar:
    """How far something is. `tell` prints a line above it, on standard error."""

    advance: Callable[[int], None]
    tell: Callable[[str], None]


def tell(text: str) -> None:
    """Print a line on standard error, where nothing is drawn."""
    click.echo(text, err=True)


@contextlib.contextmanager
def bar(title: str, size: int | None) -> Iterator[Bar]:
    """A bar of so many bytes; None where nobody knows how many there will be, and no bar."""
    if size is None or not sys.stderr.isatty():
        yield Bar(lambda _count: None, tell)
        return
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=size)
        yield Bar(
            lambda count: progress.advance(task, count),
            lambda text: progress.console.print(Text(text), soft_wrap=True),
        )


@contextlib.contextmanager
def line(text: Callable[[], str]) -> Iterator[None]:
    """A line that is asked for anew a few times a second, from another thread."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(get_renderable=lambda: Text(text()), console=Console(stderr=True), transient=True):
        yield
