"""What every command on an application has in common: its argument, its options, how it is loaded.

Knows: click, and how errors of the configuration are shown. Must not know: any single command. Nothing heavy is
imported before an application is really loaded.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

if TYPE_CHECKING:
    from ...registry import Entry, Registry
    from ..settings import Settings


@attrs.frozen
class Application:
    """An application directory, and how it is to be read."""

    path: str
    overrides: tuple[str, ...] = ()
    ignore_unknown_kinds: bool = False

    def registry(self) -> Registry:
        """Load the entries, and tell which were skipped.

        Raises:
            Invalid: the configuration has errors.
        """
        from ...registry import ConfigurationError, load
        from ..runtime import known_kinds

        try:
            registry = load(
                self.path,
                known_kinds(),
                overrides=self.overrides,
                ignore_unknown_kinds=self.ignore_unknown_kinds,
            )
        except ConfigurationError as error:
            raise Invalid(error) from error
        for warning in skipped(registry):
            warning.tell()
        return registry

    def make_importable(self) -> None:
        """Let handlers import what stands in the directory.

        It comes last: a queue.py of the application must not be what the standard library imports as queue.
        """
        sys.path.append(str(Path(self.path).absolute()))

    def settings(self) -> Settings:
        """Read `.noria.yaml`.

        Raises:
            Invalid: the file has errors.
        """
        from ...registry import ConfigurationError, load_settings
        from ..settings import Settings

        try:
            return load_settings(self.path, Settings)
        except ConfigurationError as error:
            raise Invalid(error) from error


class Invalid(click.ClickException):
    """The configuration has errors: each is shown on a line of its own on stderr; exit code 2."""

    exit_code = 2

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.lines = [str(problem) for problem in error.problems]

    def show(self, file: Any = None) -> None:
        """Print every problem as `file:line:column: message`."""
        for line in self.lines:
            click.echo(line, file=file, err=True)


def application_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the argument APP and the options of loading; it receives them as its first argument."""

    @functools.wraps(command)
    def with_application(
        app: str, overrides: tuple[str, ...], *, ignore_unknown_kinds: bool, **others: Any
    ) -> int:
        return command(Application(app, overrides, ignore_unknown_kinds), **others)

    decorated: Callable[..., int] = with_application
    for decorate in (
        click.option(
            "--ignore-unknown-kinds",
            is_flag=True,
            help="Skip entries of kinds that noria does not have, with a warning each.",
        ),
        click.option(
            "-o",
            "--override",
            "overrides",
            multiple=True,
            metavar="NS:ENTRY:FIELD=VALUE",
            help="Replace a field before anything is checked. May be repeated; the last one wins.",
        ),
        click.argument("app", type=click.Path()),
    ):
        decorated = decorate(decorated)
    return decorated


def example(*lines: str) -> str:
    """The epilog of a command's help: command lines that can be copied."""
    # click reads the backspace as: do not rewrap this paragraph.
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


@attrs.frozen
class Warned:
    """Something that is allowed and probably not meant. `event` names it in logs."""

    event: str
    place: str
    text: str

    def tell(self) -> None:
        """Print it on stderr as `file:line:column: warning: text`."""
        click.echo(f"{self.place}: warning: {self.text}", err=True)


def skipped(registry: Registry) -> tuple[Warned, ...]:
    """A warning for each entry that was left out because of its kind."""
    return tuple(
        Warned("EntrySkipped", str(each.source), f"{each.id} is skipped: unknown kind {each.kind}")
        for each in registry.skipped
    )


def from_here(text: str) -> str:
    """Its paths as a person in the current directory would write them; as they are, if that was deleted."""
    try:
        return text.replace(f"{Path.cwd()}{os.sep}", "")
    except FileNotFoundError:
        return text


def nothing_below(path: str) -> str:
    """Why an application has no entries at all."""
    return f"no definition file below {path} (a .yaml, .yml or .json with namespace and entries)"


def not_started(registry: Registry) -> tuple[Warned, ...]:
    """A warning for each consumer that nothing starts."""
    return tuple(
        Warned(
            "ConsumerNotStarted",
            str(entry.source),
            f"{entry.id} will not start by itself: lifecycle.auto_start is not true",
        )
        for entry in resting(registry)
    )


def undefined(registry: Registry) -> tuple[Warned, ...]:
    """A warning for each name in a Lua source that is neither defined nor built in."""
    from ..functions.lua.check import undefined_names

    return tuple(
        Warned("UndefinedName", str(entry.place("source")), f"{entry.id}: {text}")
        for entry, text in undefined_names(registry)
    )


def resting(registry: Registry) -> tuple[Entry, ...]:
    """The consumers that do not start with the runtime, nor because a service that does needs them."""
    from ..topology import starts_by_itself

    started = starts_by_itself(registry)
    return tuple(entry for entry in registry if entry.kind == "queue.consumer" and entry.id not in started)


def find_entry(registry: Registry, wanted: str) -> Entry:
    """The entry of a full ID, or of a bare name when only one entry has it.

    Raises:
        click.UsageError: there is none, or there are several; says which is nearest.
    """
    from ...registry import EntryNotFound

    try:
        return registry[wanted]
    except EntryNotFound as error:
        named = [entry for entry in registry if entry.id.name == wanted]
        if len(named) == 1:
            return named[0]
        if named:
            listed = ", ".join(str(entry.id) for entry in named)
            raise click.UsageError(
                f'ambiguous entry name "{wanted}", use full ID (namespace:name): {listed}'
            ) from error
        names = [entry.id.name for entry in registry]
        raise click.UsageError(
            f"entry not found: {wanted}{nearest(wanted, [*map(str, (e.id for e in registry)), *names])}"
        ) from error


def find_queue(registry: Registry, wanted: str) -> Entry:
    """The queue of a full ID, or of a bare name when only one queue has it.

    Raises:
        click.UsageError: there is none, or there are several; says which is nearest.
    """
    return find(registry, wanted, "queue", "queue.queue", {"queue.consumer": "it takes from {0.queue}"})


def find_function(registry: Registry, wanted: str) -> Entry:
    """The function of a full ID, or of a bare name that only one function has. Raises as `find_queue`."""
    return find(registry, wanted, "function", "function.*", {"queue.consumer": "it calls {0.func}"})


def find_consumer(registry: Registry, wanted: str) -> Entry:
    """The consumer of a full ID, or of a bare name that only one consumer has. Raises as `find_queue`."""
    return find(registry, wanted, "consumer", "queue.consumer", {})


def find(registry: Registry, wanted: str, noun: str, kind: str, hints: Mapping[str, str]) -> Entry:
    """The entry of a kind (a glob) that somebody means; `hints` say about other kinds what may have been meant.

    Raises:
        click.UsageError: there is none, or there are several; says which is nearest.
    """
    known = [entry for entry in registry if fnmatchcase(entry.kind, kind)]
    named = [entry for entry in known if wanted in (str(entry.id), entry.id.name)]
    if len(named) == 1:
        return named[0]
    if named:
        listed = ", ".join(str(entry.id) for entry in named)
        raise click.UsageError(f"ambiguous {noun}, use its full ID: {listed}")
    for other in registry:
        if wanted in (str(other.id), other.id.name):
            hint = f"; {hints[other.kind].format(other.config)}" if other.kind in hints else ""
            raise click.UsageError(f"{other.id} is a {other.kind}, not a {noun}{hint}")
    if not known:
        raise click.UsageError(f"{noun} not found: the application has none")
    ids = [str(entry.id) for entry in known]
    names = [entry.id.name for entry in known]
    near = nearest(wanted, ids) or nearest(wanted, names) or f"; there are {', '.join(ids)}"
    raise click.UsageError(f"{noun} not found{near}")


def nearest(wanted: str, known: list[str]) -> str:
    """`; did you mean app:tasks?`, or nothing when no known name is near."""
    from ...registry.wording import nearest as nearest_of

    found = nearest_of(wanted, known)
    return f"; did you mean {found}?" if found else ""
