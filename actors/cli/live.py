"""The live view: the tree, what flows through it, and how far the feeding is.

Knows: plain-data snapshots, columns, rich. Must not know: actors; it holds no reference to one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .feeding import Feed
    from .tally import Counts

STATE_STYLES: Final = {
    "running": "green",
    "starting": "cyan",
    "stopping": "cyan",
    "failed": "bold red",
    "unknown": "dim",
    "stopped": "dim",
    "exited": "dim",
}

COLUMNS: Final = ("ready", "flight", "delayed", "busy", "done", "per s", "failed")

WINDOW: Final = 2.0
"""Seconds over which a rate is taken."""

Node = Mapping[str, Any]


@attrs.define
class Rates:
    """How fast figures grow, over the last two seconds. One thread uses it.

    Args:
        clock: monotonic seconds.
    """

    _clock: Callable[[], float] = time.monotonic
    _history: dict[str, list[tuple[float, int]]] = attrs.field(factory=dict)

    def rate(self, name: str, value: int) -> float:
        """Per second, since WINDOW ago or since the first look."""
        now = self._clock()
        history = self._history.setdefault(name, [])
        if history and value < history[-1][1]:
            history.clear()  # it was restarted, and counts from zero
        history.append((now, value))
        while len(history) > 2 and now - history[1][0] >= WINDOW:
            history.pop(0)
        (then, before) = history[0]
        return (value - before) / (now - then) if now > then else 0.0


def view(  # noqa: PLR0913 - one for each part of the picture
    tree: Node,
    feeds: Iterable[Feed],
    counts: Counts,
    rates: Rates,
    seconds: float,
    *,
    is_stopping: bool = False,
    height: int | None = None,
) -> RenderableType:
    """The whole view, for one moment; in so many lines at most, where that is given: what is calm gives way."""
    feeds = tuple(feeds)
    room = None if height is None else max(1, height - len(feeds) - 3)
    parts: list[RenderableType] = [_table(tree, rates, room)]
    if feeds:
        parts.append(_feeding(feeds))
    parts.append(_totals(counts, seconds, is_stopping=is_stopping))
    return Group(*parts)


def _table(tree: Node, rates: Rates, room: int | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", expand=False)
    # In a narrow terminal it is the names that give way, not the figures.
    table.add_column("service", overflow="ellipsis", no_wrap=True)
    table.add_column("state", min_width=8)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    nodes = tuple(_shown(tree))
    kept = _kept(nodes, room)
    for depth, node in kept:
        table.add_row(*_row(node, depth, rates))
    if len(kept) < len(nodes):
        table.add_row(Text(f"… {len(nodes) - len(kept)} more", style="dim"))
    return table


def _kept(nodes: Sequence[tuple[int, Node]], room: int | None) -> Sequence[tuple[int, Node]]:
    """As many as there is room for, in their order: rather those that do not run well, then those that are busy."""
    if room is None or len(nodes) <= room:
        return nodes
    ranked = sorted(range(len(nodes)), key=lambda index: _calm(nodes[index][1]))
    chosen = set(ranked[: room - 1])  # one line says how many more there are
    return [each for index, each in enumerate(nodes) if index in chosen]


def _calm(node: Node) -> int:
    if node["state"] != "running":
        return 0
    figures = node["figures"]
    return 1 if any(figures.get(name) for name in ("ready", "in_flight", "delayed", "busy", "acked")) else 2


def _shown(tree: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """The services; of a consumer's workers, of which there may be a thousand, only those that do not run well."""
    for node in tree.get("children", ()):
        if node["kind"] != "worker" or node["state"] == "failed" or node["stuck"]:
            yield depth, node
        yield from _shown(node, depth + 1)


def _row(node: Node, depth: int, rates: Rates) -> list[RenderableType]:
    figures = node["figures"]
    state = Text(node["state"], style=STATE_STYLES.get(node["state"], ""))
    if node["restarts"]:
        state.append(f", again {node['restarts']}", style="yellow")
    if node["details"] and node["state"] == "failed":
        state.append(f": {node['details']}", style="red")
    workers = [child for child in node["children"] if child["kind"] == "worker"]
    busy = f"{figures['busy']}/{len(workers)}" if "busy" in figures else ""
    done, failed, rate = "", Text(""), ""
    if "acked" in figures:
        done, rate = str(figures["acked"]), f"{rates.rate(node['id'], figures['acked']):.0f}"
        failures = sum(figures.get(name, 0) for name in ("failed", "rejected", "denied"))
        failed = Text(str(failures), style="yellow" if failures else "dim")
    stuck = figures.get("stuck", 0)
    return [
        Text(f"{'  ' * depth}{node['id']}"),
        state,
        *(str(figures.get(name, "")) for name in ("ready", "in_flight", "delayed")),
        Text(f"{busy} ({stuck} stuck)", style="red") if stuck else busy,
        done,
        rate,
        failed,
    ]


def _feeding(feeds: Iterable[Feed]) -> Table:
    from rich.progress_bar import ProgressBar

    table = Table.grid(padding=(0, 1))
    for feed in feeds:
        ended = feed.done.is_set()
        bar: RenderableType = (
            ProgressBar(total=feed.size or 1, completed=feed.taken if feed.size else 1, width=20)
            if feed.size is not None
            else Text("at its end" if ended else "reading", style="dim")
        )
        notes = [f"{feed.published} published"]
        notes += [f"{feed.bad} bad"] if feed.bad else []
        notes += ["waits for room"] if feed.blocked and not ended else []
        table.add_row(Text(f"{feed.source} -> {feed.queue}"), bar, Text(", ".join(notes)))
    return table


def _totals(counts: Counts, seconds: float, *, is_stopping: bool) -> Text:
    figures = (
        f"{seconds:.0f} s  {counts.handled} handled, {counts.failed} failed, {counts.dead_lettered} dead-lettered,"
        f" {counts.denied} denied"
    )
    if is_stopping:
        return Text.assemble((figures, "dim"), ("  (Ctrl-C ends at once)", "yellow"))
    return Text(f"{figures}  (Ctrl-C stops)", style="dim")
