"""A table of text: headings, a line of dashes, rows; numbers stand at the right.

Knows: widths. Must not know: what the columns mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

Cell = str | int | None


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print it. None is a dash."""
    texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    is_number = [any(isinstance(cell, int) for cell in column) for column in zip(*rows, strict=True)] or [
        False
    ] * len(headings)
    for line in (headings, ["-" * width for width in widths], *texts):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        )
        click.echo("  ".join(cells).rstrip())
