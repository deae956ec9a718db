"""`noria registry list|show`: what is declared, as it is written.

Knows: filters and output formats (spec, registry 7). Must not know: what an entry means. Shows entries as they stand in
their files: never what `${env:…}` became, nor the content of a `file://` value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from .application import Application, application_options, example, find_entry, nearest
from .table import print_table

if TYPE_CHECKING:
    from ...registry import Entry, Registry

WIDEST: Final = {"ID": 50, "KIND": 30}

OPERATORS: Final = "~*^$="

Command = TypeVar("Command", bound=Callable[..., Any])


def format_options(command: Command) -> Command:
    """`--json` and `--yaml`, as the argument `form`."""
    for flag, text in (("yaml", "Print YAML."), ("json", "Print JSON.")):
        command = click.option(f"--{flag}", "form", flag_value=flag, default=None, help=text)(command)
    return command


@click.group(
    "registry",
    short_help="List or show the entries of an application.",
    epilog=example(
        'noria registry list hello --kind "queue.*"',
        "noria registry show hello app:greetings",
    ),
)
def command() -> None:
    """Look at the entries of an application, as they stand in its files."""


@command.command(
    "list",
    epilog=example(
        "noria registry list hello --kind queue.queue",
        "noria registry list hello --meta comment~greet --json",
    ),
)
@application_options
@click.option("-k", "--kind", metavar="GLOB", help="Only kinds that match, such as queue.*")
@click.option("-n", "--namespace", metavar="GLOB", help="Only namespaces that match.")
@click.option("--name", metavar="GLOB", help="Only names that match.")
@click.option(
    "--meta",
    "criteria",
    multiple=True,
    metavar="EXPR",
    help="Only entries whose meta fits: field=value, field~regex, field*part, field^start, field$end. Repeatable.",
)
@format_options
def list_command(  # noqa: PLR0913 - one parameter for each option
    application: Application,
    *,
    kind: str | None,
    namespace: str | None,
    name: str | None,
    criteria: tuple[str, ...],
    form: str | None,
) -> int:
    """List the entries of APP, sorted by ID."""
    registry = application.registry()
    roots = {".kind": kind, ".ns": namespace, ".name": name}
    entries = _found(registry, {key: glob for key, glob in roots.items() if glob is not None}, criteria)
    if form is not None:
        _print_data(
            [{"id": str(each.id), "kind": each.kind, "meta": dict(each.meta)} for each in entries], form
        )
    else:
        _print_table(entries)
    return 0


def _found(registry: Registry, roots: Mapping[str, str], criteria: Iterable[str]) -> tuple[Entry, ...]:
    found = registry.find(roots)
    for criterion in criteria:
        fitting = {entry.id for one in _alternatives(criterion) for entry in _matching(registry, one)}
        found = tuple(entry for entry in found if entry.id in fitting)
    return found


def _matching(registry: Registry, criterion: Mapping[str, Any]) -> tuple[Entry, ...]:
    from ...registry.errors import InvalidCriterion

    try:
        return registry.find(criterion)
    except InvalidCriterion as error:
        raise click.UsageError(str(error)) from error


def _alternatives(expression: str) -> list[dict[str, Any]]:
    """One `--meta` as criteria of which one must fit: the operator that stands first wins."""
    places = [(expression.find(operator, 1), operator) for operator in OPERATORS]
    found = [(place, operator) for place, operator in places if place > 0]
    if not found:
        raise click.UsageError(
            f"--meta {expression!r}: expected field=value, or ~ * ^ or $ in the place of ="
        )
    place, operator = min(found)
    field, value = f"meta.{expression[:place]}", expression[place + 1 :]
    if operator != "=":
        return [{f"{operator}{field}": value}]
    # `enabled=true` means the text and the boolean alike: nobody who types it knows how it was written.
    meant = _scalar(value)
    return [{field: value}] if isinstance(meant, str) else [{field: value}, {field: meant}]


def _scalar(text: str) -> Any:
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _print_table(entries: Iterable[Entry]) -> None:
    rows = [(str(entry.id), entry.kind) for entry in entries]
    if not rows:
        click.echo("No entries found")
        return
    cut = [tuple(_cut(cell, limit) for cell, limit in zip(row, WIDEST.values(), strict=True)) for row in rows]
    print_table(tuple(WIDEST), cut)
    click.echo(f"\nTotal: {len(rows)} {'entry' if len(rows) == 1 else 'entries'}")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


@command.command(
    "show",
    short_help="Show one entry, as it stands in its file.",
    epilog=example(
        "noria registry show hello app:greetings",
        "noria registry show hello greetings --field options --json",
    ),
)
@application_options
@click.argument("entry")
@click.option("-f", "--field", metavar="NAME", help="Only this field of the entry's data.")
@format_options
@click.option("--raw", "form", flag_value="raw", help="Print the value alone, without an end of line.")
def show_command(
    application: Application,
    *,
    entry: str,
    field: str | None,
    form: str | None,
) -> int:
    """Show one entry of APP, by its full ID or by a name that only one entry has."""
    registry = application.registry()
    found = find_entry(registry, entry)
    if field is not None:
        _print_value(_field(found, field), form)
    elif form == "raw":
        _print_value(found.data, form)
    elif form is not None:
        whole = {"id": str(found.id), "kind": found.kind, "meta": dict(found.meta), "data": found.data}
        _print_data(whole, form)
    else:
        _print_entry(found)
    return 0


def _field(entry: Entry, name: str) -> Any:
    if name not in entry.data:
        known = nearest(name, list(entry.data))
        raise click.UsageError(f'field "{name}" not found in entry data{known}')
    return entry.data[name]


def _print_entry(entry: Entry) -> None:
    click.echo(f"ID: {entry.id}")
    click.echo(f"Kind: {entry.kind}")
    click.echo(f"Source: {entry.source}")
    for title, part in (("Metadata", dict(sorted(entry.meta.items()))), ("Data", dict(entry.data))):
        if part:
            click.echo(f"{title}:")
            click.echo("".join(f"  {line}\n" for line in _yaml(part).splitlines()), nl=False)


def _print_value(value: Any, form: str | None) -> None:
    if form == "json":
        _print_data(value, form)
    elif isinstance(value, str) and form != "yaml":
        click.echo(value, nl=form != "raw")
    else:
        text = _yaml(value)
        click.echo(text.removesuffix("\n") if form == "raw" else text, nl=False)


def _print_data(value: Any, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    else:
        click.echo(_yaml(value), nl=False)


def _yaml(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100)
    # PyYAML ends a document that is a single scalar with a mark that nobody wants to see.
    return text.removesuffix("...\n")
