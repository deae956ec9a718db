"""The table that a benchmark prints: ratios with their range, and which missed its bar."""

import statistics


class Table:
    """Rows of: what, median ratio (range), bar, and the figures behind it."""

    def __init__(self) -> None:
        self.failed = False
        print("| what | measured | range | bar | |\n| --- | --- | --- | --- | --- |")

    def row(
        self,
        what: str,
        values: list[float],
        bar: float | None = None,
        *,
        at_least: bool = False,
        note: str = "",
    ) -> None:
        """Print a row as soon as it is known."""
        median = statistics.median(values)
        good = bar is None or (median >= bar if at_least else median <= bar)
        self.failed |= not good
        limit = "" if bar is None else f"{'>=' if at_least else '<='} {bar:g}{'' if good else ' MISSED'}"
        print(
            f"| {what} | {median:.2f} | {min(values):.2f} to {max(values):.2f} | {limit} | {note} |",
            flush=True,
        )

    def left_out(self, what: str, why: str) -> None:
        """A row that cannot be measured here."""
        print(f"| {what} | left out | | | {why} |", flush=True)
