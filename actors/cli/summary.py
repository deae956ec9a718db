"""What is said at the end of a run.

Knows: sentences and figures. Must not know: where they are printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from .feeding import Feed
    from .session import Ending, Session
    from .tally import Tally


@attrs.frozen
class Summary:
    """A run that has ended, for people (`lines`) and for programs (`fields`)."""

    session: Session
    ending: Ending
    tally: Tally

    def fields(self) -> dict[str, Any]:
        """Everything as plain data."""
        report = self.ending.report
        return {
            "seconds": round(self.ending.seconds, 3),
            **attrs.asdict(self.tally.counts()),
            "fed": [
                {"source": feed.source, "queue": feed.queue, "published": feed.published, "bad": feed.bad}
                for feed in self.session.feeds
            ],
            "left": dict(self.ending.lying),
            "drain": {**attrs.asdict(report), "seconds": round(report.seconds, 3)}
            if report is not None
            else None,
            "problems": list(self.ending.problems),
        }

    def lines(self) -> Iterator[str]:
        """Everything as lines of text."""
        counts = self.tally.counts()
        yield (
            f"stopped after {self.ending.seconds:.1f} s: {counts.handled} handled, {counts.failed} failed and"
            f" delivered again, {counts.dead_lettered} dead-lettered, {counts.denied} denied"
        )
        for feed in self.session.feeds:
            yield f"  fed      {_fed(feed)}"
        for queue in self.ending.lying:
            yield from self._left(queue)
        report = self.ending.report
        if report is not None and (
            report.finished or report.returned or report.abandoned or report.unfinished
        ):
            abandoned = f" ({', '.join(report.abandoned)})" if report.abandoned else ""
            yield (
                f"  drain    {report.finished} finished, {report.settled} settled, {report.returned} returned,"
                f" {len(report.abandoned)} abandoned{abandoned} in {report.seconds:.2f} s"
            )
        for problem in self.ending.problems:
            yield f"  problem  {problem}"

    def _left(self, queue: str) -> Iterator[str]:
        count = self.ending.lying[queue]
        consumers = self._consumers(queue)
        whose = f"for {', '.join(consumers)}" if consumers else "which nobody consumes"
        yield f"  left     {queue}: {count} {'message' if count == 1 else 'messages'}, {whose}"
        reasons = self.tally.reasons.get(queue)
        if reasons:
            listed = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
            last = self.tally.last[queue]
            yield f"           dead letters: {listed}; each is in the log as `message dead lettered`"
            yield f"           the last: {last.message}, {_attempts(last.attempts)}: {last.error}"
        if not self._is_durable(queue):
            hint = "" if consumers else "; to handle them, declare a queue.consumer for this queue"
            yield f"           gone with this process: its driver keeps them in memory{hint}"

    def _consumers(self, queue: str) -> list[str]:
        return [
            str(entry.id)
            for entry in self.session.runtime.registry
            if entry.kind == "queue.consumer" and str(entry.config.queue) == queue
        ]

    def _is_durable(self, queue: str) -> bool:
        registry = self.session.runtime.registry
        durable: bool = registry[registry[queue].config.driver].config.driver.features.durable
        return durable


def _fed(feed: Feed) -> str:
    bad = f", {feed.bad} bad" if feed.bad else ""
    short = "" if feed.complete else f"; not read to its end (line {feed.read})"
    return f"{feed.source} -> {feed.queue}: {feed.published} published{bad}{short}"


def _attempts(number: int) -> str:
    return f"{number} {'attempt' if number == 1 else 'attempts'}"
