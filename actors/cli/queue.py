"""`noria queue ls|info|peek|purge`: what waits where, straight through the drivers.

Knows: figures, and how they are shown. Must not know: any driver. No process has to run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .application import Application, application_options, example
from .backends import access_to, confirmed, counted, named_queue
from .message_text import shown
from .table import print_table

if TYPE_CHECKING:
    from ..access import QueueAccess
    from ..driver import QueueInfo
    from ..queue import Queue


@click.group(
    "queue",
    short_help="List, look into or empty queues; nothing has to run.",
    epilog=example("noria queue ls examples/brokers/app", "noria queue peek examples/brokers/app orders"),
)
def command() -> None:
    """Look at the queues of an application, straight through their drivers."""


@command.command(
    "ls", epilog=example("noria queue ls examples/brokers/app", "noria queue ls examples/brokers/app --json")
)
@application_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls_command(application: Application, *, as_json: bool) -> int:
    """List the queues of APP with their figures.

    A queue on a memory driver has none here: its messages live in the process that runs the application. When a driver
    cannot be reached, the others are shown all the same, and the exit code is 1.
    """
    problems: dict[str, str] = {}
    with access_to(application.registry(), looking=True) as access:
        figures = {id_: _figures(access, queue, problems) for id_, queue in sorted(access.queues.items())}
        if as_json:
            data = [_as_data(access, access.queues[id_], info) for id_, info in figures.items()]
            click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            _print_figures(access, figures)
    for problem in problems.values():
        click.echo(problem, err=True)
    return 1 if problems else 0


def _figures(access: QueueAccess, queue: Queue, problems: dict[str, str]) -> QueueInfo | None:
    """Its figures, or None, and why in `problems`, once for each driver."""
    from ..errors import ActorsError

    if not queue.driver.features.durable or queue.driver.name in problems:
        return None
    try:
        return access.open(str(queue.id)).info()
    except ActorsError as error:
        problems[queue.driver.name] = str(error)
        return None


def _print_figures(access: QueueAccess, figures: dict[str, QueueInfo | None]) -> None:
    if not figures:
        click.echo("No queues found")
        return
    rows = []
    for id_, info in figures.items():
        queue = access.queues[id_]
        numbers = (info.ready, info.in_flight, info.delayed, info.consumer_count) if info else (None,) * 4
        sources = ", ".join(access.dead_letters_from(queue)) or None
        rows.append([id_, *numbers, queue.driver.name, sources])
    print_table(("QUEUE", "READY", "IN FLIGHT", "DELAYED", "CONSUMERS", "DRIVER", "DEAD LETTERS OF"), rows)
    in_memory = sum(not access.queues[id_].driver.features.durable for id_ in figures)
    if in_memory:
        click.echo(
            f"\n{counted(in_memory, 'queue')} in memory: the figures are known to the process that runs it alone"
        )


def _as_data(access: QueueAccess, queue: Queue, info: QueueInfo | None) -> dict[str, Any]:
    driver = access.driver_entry(queue)
    return {
        "id": str(queue.id),
        "driver": str(driver.id),
        "kind": driver.kind,
        "name": queue.name,
        "codec": access.codec_of(queue),
        "figures": info.as_dict() if info else None,
        "exact": queue.driver.features.exact_info,
        "dead_letter_queue": str(queue.dead_letter.queue.id) if queue.dead_letter else None,
        "max_attempts": queue.max_attempts,
        "dead_letters_of": access.dead_letters_from(queue),
    }


@command.command("info", epilog=example("noria queue info examples/brokers/app orders"))
@application_options
@click.argument("queue")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info_command(application: Application, *, queue: str, as_json: bool) -> int:
    """Show the figures of one queue of APP, by its ID or by a name that only one queue has."""
    with access_to(application.registry(), looking=True) as access:
        found = access.open(str(named_queue(access, queue).id))
        data = _as_data(access, found, found.info())
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    for title, value in _described(data):
        click.echo(f"{title:<16}{value}")
    return 0


def _described(data: dict[str, Any]) -> list[tuple[str, str]]:
    figures = data["figures"]
    alias = f", where it is called {data['name']}" if data["name"] != data["id"] else ""
    estimate = "" if data["exact"] else " (estimates: the backend keeps no exact figures)"
    lines = [
        ("Queue", data["id"]),
        ("Driver", f"{data['driver']} ({data['kind']}){alias}"),
        ("Codec", data["codec"]),
        ("Messages", f"{figures['message_count']}{estimate}"),
        *((f"  {name.replace('_', ' ')}", str(figures[name])) for name in ("ready", "in_flight", "delayed")),
        ("Consumers", str(figures["consumer_count"])),
    ]
    if data["dead_letter_queue"]:
        after = f", after {counted(data['max_attempts'], 'attempt')}" if data["max_attempts"] else ""
        lines.append(("Dead letters to", f"{data['dead_letter_queue']}{after}"))
    if data["dead_letters_of"]:
        lines.append(("Dead letters of", ", ".join(data["dead_letters_of"])))
    return lines


@command.command("peek", epilog=example("noria queue peek examples/brokers/app orders --limit 3 --full"))
@application_options
@click.argument("queue")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many messages.")
@click.option("--full", is_flag=True, help="Show bodies as a whole.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a message.")
def peek_command(application: Application, *, queue: str, limit: int, full: bool, as_json: bool) -> int:
    """Show the first messages of a queue of APP; none is taken, no attempt counts.

    Backends that can only be read by taking (SQS, RabbitMQ) have them taken and given back.
    """
    with access_to(application.registry(), looking=True) as access:
        found = access.open(str(named_queue(access, queue).id))
        messages = [shown(stored, found.decode) for stored in found.driver.peek(found.name, limit)]
    if not messages and not as_json:
        click.echo(f"{found.id} has no messages")
    for message in messages:
        if as_json:
            click.echo(json.dumps(message.as_data(), ensure_ascii=False))
            continue
        click.echo(message.title())
        headers = "  ".join(message.header_lines("timestamp"))
        if headers:
            click.echo(f"  headers  {headers}")
        for number, line in enumerate(message.body_lines(full=full)):
            click.echo(f"  {'' if number else 'body':<7}  {line}")
    return 0


@command.command("purge", epilog=example("noria queue purge examples/brokers/app orders --yes"))
@application_options
@click.argument("queue")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge_command(application: Application, *, queue: str, yes: bool) -> int:
    """Remove what is ready or delayed in a queue of APP, for good; what is in flight stays."""
    with access_to(application.registry()) as access:
        found = access.open(str(named_queue(access, queue).id))
        info = found.info()
        waiting = counted(info.ready + info.delayed)
        if not confirmed(f"Remove {waiting} from {found.id} for good?", yes=yes):
            click.echo("nothing was removed")
            return 1
        removed = found.driver.purge(found.name)
    click.echo(f"{found.id}: {counted(removed)} removed")
    return 0
