"""`noria dead ls|show|replay|drop`: the dead letters of an application, straight through the drivers.

Knows: what a person asks of dead letters, and how the answers are shown. Must not know: how messages are taken out of a
queue, or any driver.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from ...registry.wording import printable
from .application import Application, application_options, example, find_queue, nearest
from .backends import access_to, confirmed, counted, named_queue, refuse_memory
from .message_text import Shown, shown
from .table import print_table
from .waiting import line

if TYPE_CHECKING:
    from ..access import QueueAccess
    from ..dead_letters import DeadLetters, Outcome, Selection
    from ..driver import StoredMessage

LONGEST_ERROR: Final = 160


@attrs.frozen
class Chosen:
    """The dead letters that a command is about."""

    access: QueueAccess
    letters: DeadLetters
    selection: Selection

    @property
    def queue(self) -> str:
        """The ID of the dead-letter queue."""
        return str(self.letters.queue.id)


def dead_letter_options(command: Callable[..., int], *, looking: bool = False) -> Callable[..., int]:
    """APP, QUEUE, `--reason` and `--id`; the command receives what they choose as its first argument."""

    @functools.wraps(command)
    def with_letters(
        application: Application, *, queue: str, reason: str | None, ids: tuple[str, ...], **others: Any
    ) -> int:
        with _chosen(application, queue, reason, ids, looking=looking) as chosen:
            return command(chosen, **others)

    decorated: Callable[..., int] = with_letters
    for decorate in (
        click.option("--id", "ids", multiple=True, metavar="ID", help="Only this message. Repeatable."),
        click.option(
            "--reason", metavar="REASON", help="Only those given up for this reason, such as rejected."
        ),
        click.argument("queue"),
        application_options,
    ):
        decorated = decorate(decorated)
    return decorated


looking_at_dead_letters = functools.partial(dead_letter_options, looking=True)


@contextlib.contextmanager
def _chosen(
    application: Application,
    wanted: str,
    reason: str | None,
    ids: tuple[str, ...],
    *,
    looking: bool = False,
) -> Iterator[Chosen]:
    from ..dead_letters import DeadLetters, Selection, dead_letter_queue

    with access_to(application.registry(), looking=looking) as access:
        queue = access.queues[str(find_queue(access.registry, wanted).id)]
        meant = dead_letter_queue(access, queue)
        if meant is None:
            known = sorted(id_ for id_, each in access.queues.items() if access.dead_letters_from(each))
            hint = f"dead-letter queues are {', '.join(known)}" if known else "the application has none"
            raise click.UsageError(f"{queue.id} is no dead-letter queue and has none; {hint}")
        refuse_memory(access, meant[0])
        selection = Selection(origin=meant[1], reason=reason, ids=frozenset(ids))
        yield Chosen(access, DeadLetters(access, str(meant[0].id)), selection)


@click.group(
    "dead",
    short_help="List, show, replay or drop dead letters; nothing has to run.",
    epilog=example(
        "noria dead ls examples/brokers/app orders",
        "noria dead replay examples/brokers/app orders --reason max_attempts",
    ),
)
def command() -> None:
    """Look after the dead letters of an application, straight through its drivers.

    QUEUE is a dead-letter queue, or a queue that has one: then its own dead letters are meant, not those of others.
    """


@command.command("ls", epilog=example("noria dead ls examples/brokers/app orders"))
@looking_at_dead_letters
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls_command(chosen: Chosen, *, as_json: bool) -> int:
    """List the dead letters of QUEUE of APP by reason, origin and error; none is taken. Looks at the first 10,000."""
    from ..dead_letters import groups
    from ..sweep import HOLD

    found = list(chosen.letters.look(chosen.selection))
    counts = groups(found)
    if as_json:
        data = [
            {"queue": origin, "reason": reason, "error": error, "count": count}
            for (origin, reason, error), count in counts.most_common()
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    if not counts:
        return _nothing(chosen)
    rows = [
        [count, *map(_cell, (reason, origin, error))]
        for (origin, reason, error), count in counts.most_common()
    ]
    print_table(("COUNT", "REASON", "FROM", "ERROR"), rows)
    click.echo(f"\n{chosen.queue}: {counted(counts.total(), 'dead letter')}")
    behind = _behind(chosen)
    if behind:
        click.echo(f"{counted(behind)} behind the first {HOLD} not looked at")
    return _tell_missing(chosen, _missing(chosen, found))


def _behind(chosen: Chosen) -> int:
    """How many messages are too far back for a look."""
    from ..sweep import HOLD

    return max(0, chosen.letters.queue.info().message_count - HOLD)


def _cell(value: str | None) -> str | None:
    if value is None:
        return None
    text = printable(value)
    return text if len(text) <= LONGEST_ERROR else f"{text[: LONGEST_ERROR - 1]}…"


@command.command("show", epilog=example("noria dead show examples/brokers/app orders --limit 3"))
@looking_at_dead_letters
@click.option(
    "--limit", type=click.IntRange(min=1), help="How many messages; otherwise 1, or those of every --id."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a message.")
def show_command(chosen: Chosen, *, limit: int | None, as_json: bool) -> int:
    """Show dead letters of QUEUE of APP in full: why they were given up, their headers and body. None is taken."""
    found = list(chosen.letters.look(chosen.selection))
    if not found:
        return _nothing(chosen)
    limit = limit or (len(found) if chosen.selection.ids else 1)
    for number, stored in enumerate(found[:limit]):
        letter = shown(stored, chosen.letters.queue.decode)
        if as_json:
            click.echo(json.dumps(letter.as_data(), ensure_ascii=False))
        else:
            click.echo("\n" * bool(number), nl=False)
            _print_letter(letter)
    if len(found) > limit and not as_json:
        click.echo(f"\n{len(found) - limit} more; --limit shows them")
    return _tell_missing(chosen, _missing(chosen, found))


def _print_letter(letter: Shown) -> None:
    from ..dead_letters import ERROR, GIVEN, ORIGIN, REASON, TIME

    headers = letter.stored.message.headers
    lines = [
        ("id", letter.stored.message.id),
        ("from", headers.get(ORIGIN)),
        ("reason", headers.get(REASON)),
        ("attempts", headers.get("attempts")),
        ("when", _moment(headers.get(TIME))),
        ("error", headers.get(ERROR)),
    ]
    for title, value in lines:
        if value is not None:
            click.echo(f"{title:<9} {printable(str(value))}")
    for title, texts in (("headers", letter.header_lines(*GIVEN)), ("body", letter.body_lines(full=True))):
        for number, text in enumerate(texts):
            click.echo(f"{'' if number else title:<9} {text}")


def _moment(since_1970: Any) -> str | None:
    """A time as ISO 8601; what is none, for others than we may have written it, as it is."""
    try:
        return dt.datetime.fromtimestamp(since_1970, dt.UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        return None if since_1970 is None else str(since_1970)


def _missing(chosen: Chosen, found: Iterable[StoredMessage]) -> set[str]:
    return set(chosen.selection.ids).difference(each.message.id for each in found)


def _tell_missing(chosen: Chosen, ids: set[str]) -> int:
    """Name the IDs that were asked for and are not there; the exit code that this means."""
    if ids:
        click.echo(f"{chosen.queue} has no dead letter {printable(', '.join(sorted(ids)))}", err=True)
    return 1 if ids else 0


def _nothing(chosen: Chosen) -> int:
    """Say that nothing fits; an ID or reason that was asked for and is not there is a failure."""
    from ..dead_letters import groups

    selection = chosen.selection
    if not (selection.ids or selection.reason):
        such = "such " if selection.origin else ""
        click.echo(f"{chosen.queue} has no {such}dead letters{_out_of_sight(chosen)}")
        return 0
    wanted = " ".join([*sorted(selection.ids), *([selection.reason] if selection.reason else [])])
    everything = attrs.evolve(selection, reason=None, ids=frozenset())
    reasons = sorted({str(reason) for _, reason, _ in groups(chosen.letters.look(everything))})
    hint = ""
    if selection.reason and selection.reason not in reasons:
        hint = nearest(selection.reason, reasons) or f"; there are {', '.join(reasons) or 'none'}"
    click.echo(
        f"{chosen.queue} has no dead letter {printable(wanted)}{hint}{_out_of_sight(chosen)}", err=True
    )
    return 1


def _out_of_sight(chosen: Chosen) -> str:
    """What may be there and cannot be seen: somebody holds it, or has held it and ended without a word."""
    info = chosen.letters.queue.info()
    hidden = info.in_flight + info.delayed
    return f" ({counted(hidden)} in flight or delayed, which nobody can look at now)" if hidden else ""


@command.command(
    "replay",
    epilog=example("noria dead replay examples/brokers/app orders --reason max_attempts"),
)
@dead_letter_options
@click.option("--to", metavar="QUEUE", help="Put them there instead of where they came from.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for room on a queue of another driver.",
)
def replay_command(chosen: Chosen, *, to: str | None, timeout: float) -> int:
    """Put dead letters of QUEUE of APP back on the queues they came from, with a fresh count.

    A message is in its new place before it leaves the old one: interrupted at any point, none is lost. Those that stay
    keep their order.
    """
    from ..dead_letters import Outcome

    target = _target(chosen, to)
    outcome = Outcome()
    try:
        with line(lambda: f"{counted(outcome.count)} replayed"):
            chosen.letters.replay(chosen.selection, outcome, to=target, timeout=timeout)
    finally:
        for queue, count in outcome.done.items():
            click.echo(f"{chosen.queue} -> {queue}: {counted(count)} replayed")
    return _end(chosen, outcome)


def _target(chosen: Chosen, to: str | None) -> str | None:
    """The queue that `--to` names. Nothing is moved before it is sure that everything can be."""
    if to is None:
        unknown = chosen.letters.unknown_origins(chosen.selection)
        if unknown:
            first, problem = next(iter(unknown.items()))
            more = f" (and {counted(len(unknown) - 1)} more)" if len(unknown) > 1 else ""
            raise click.ClickException(
                f"{printable(first)} cannot go back: {printable(problem)}{more};"
                " nothing was moved. Say where with --to QUEUE, or choose others"
            )
        return None
    target = str(named_queue(chosen.access, to).id)
    problem_with_it = chosen.letters.problem_with(target)
    if problem_with_it is not None:
        raise click.UsageError(f"--to {to}: {problem_with_it}")
    return target


@command.command(
    "drop", epilog=example("noria dead drop examples/brokers/app orders --reason rejected --yes")
)
@dead_letter_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop_command(chosen: Chosen, *, yes: bool) -> int:
    """Remove dead letters of QUEUE of APP for good."""
    from ..dead_letters import Outcome

    found = [stored.message.id for stored in chosen.letters.look(chosen.selection)]
    if not found:
        return _nothing(chosen)
    if not confirmed(f"Remove {counted(len(found), 'dead letter')} from {chosen.queue} for good?", yes=yes):
        click.echo("nothing was removed")
        return 1
    behind = 0 if chosen.selection.ids else _behind(chosen)
    # Only those that were counted: what comes while somebody thinks about the answer stays.
    selection = chosen.selection
    if not selection.ids:
        selection = attrs.evolve(selection, ids=frozenset(found))
    outcome = Outcome()
    try:
        with line(lambda: f"{counted(outcome.count)} removed"):
            chosen.letters.drop(selection, outcome)
        outcome.unseen = max(outcome.unseen, behind)
    finally:
        click.echo(f"{chosen.queue}: {counted(outcome.count, 'dead letter')} removed")
    return _end(chosen, outcome)


def _end(chosen: Chosen, outcome: Outcome) -> int:
    if not outcome.done and not outcome.kept and outcome.problem is None:
        return _nothing(chosen)
    for id_, problem in outcome.kept.items():
        click.echo(f"{printable(id_)} stays: {printable(problem)}", err=True)
    if outcome.problem is not None:
        click.echo(f"stopped: {outcome.problem}; the others stay", err=True)
    if outcome.unseen:
        click.echo(f"{counted(outcome.unseen)} further back not looked at; run it again", err=True)
    is_complete = not (outcome.problem or outcome.unseen)
    code = _tell_missing(chosen, outcome.missing & chosen.selection.ids) if is_complete else 1
    return 1 if outcome.kept else code
