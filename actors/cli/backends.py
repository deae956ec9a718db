"""Reaching the queues of an application from a command, without running it.

Knows: which failures a person can mend, and how. Must not know: any single command or driver.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .application import find_queue

if TYPE_CHECKING:
    from ...registry import Registry
    from ..access import QueueAccess
    from ..queue import Queue


@contextlib.contextmanager
def access_to(registry: Registry, *, looking: bool = False) -> Iterator[QueueAccess]:
    """Drivers and queues, opened when they are needed and closed at the end.

    Args:
        registry: what is declared.
        looking: whether nothing will be published or taken.

    Raises:
        click.ClickException: a backend does not do what is asked of it; exit code 1.
    """
    from ..access import QueueAccess
    from ..errors import ActorsError

    try:
        with QueueAccess(registry, looking=looking) as access:
            yield access
    except ActorsError as error:
        raise click.ClickException(str(error)) from error


def named_queue(access: QueueAccess, wanted: str) -> Queue:
    """The queue of an ID or a bare name, not open yet.

    Raises:
        click.UsageError: there is none, or its messages cannot be reached from here.
    """
    queue = access.queues[str(find_queue(access.registry, wanted).id)]
    refuse_memory(access, queue)
    return queue


def refuse_memory(access: QueueAccess, queue: Queue) -> None:
    """Raise a usage error for a queue whose messages live in the process that runs the application."""
    if not queue.driver.features.durable:
        driver = access.driver_entry(queue)
        raise click.UsageError(
            f"{queue.id} is on {driver.id}, a {driver.kind}: its messages live in the process that runs the"
            " application, and no other process can reach them."
            " `noria run APP --publish QUEUE=FILE` feeds it as it runs"
        )


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees, or has agreed beforehand.

    Raises:
        click.UsageError: nobody is there to answer.
    """
    if yes:
        return True
    if sys.stdin is None:
        raise click.UsageError("nobody can answer: say --yes")
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        click.echo(err=True)  # the end of the line with the question
        raise click.UsageError("nobody answered: say --yes") from error


def counted(count: int, noun: str = "message") -> str:
    """`1 message`, `2 messages`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
