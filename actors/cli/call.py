"""`noria call`: one function of an application, from the shell.

Knows: arguments as JSON, results as JSON. Must not know: how a function runs.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from .application import Application, application_options, example

if TYPE_CHECKING:
    from ...registry import Registry


@click.command(
    "call",
    short_help="Call a function and show its result.",
    epilog=example(
        """noria call examples/brokers/app shop:pack '{"id": 1, "product": "tea", "count": 2}'""",
        """noria call examples/brokers/app shop:pack '{"id": 1, "product": "tea", "count": 2}' --as shop:packer""",
    ),
)
@application_options
@click.argument("function")
@click.argument("arguments", nargs=-1, metavar="[JSON]...")
@click.option(
    "--as", "consumer", metavar="CONSUMER", help="Act as this consumer: its principal, under its policies."
)
def command(
    application: Application, *, function: str, arguments: tuple[str, ...], consumer: str | None
) -> int:
    """Call FUNCTION of APP with the arguments, each a JSON value, and print what it returns as JSON.

    The application's queues are opened, so that the function can publish; no consumer is started. Without --as the call
    is nobody's, and is not asked about.
    """
    from ...registry import NoriaError
    from ..outcome import describe
    from ..runtime import Runtime

    values = [_json(number, text) for number, text in enumerate(arguments, 1)]
    registry = application.registry()
    try:
        with Runtime(registry, application.settings(), consuming=False) as runtime:
            acting = contextlib.ExitStack()
            if consumer is not None:
                acting.enter_context(runtime.acting_as(_in_full(registry, consumer, "queue.consumer")))
            with acting:
                result = runtime.call(_in_full(registry, function, "function."), *values)
    except NoriaError as error:
        raise click.ClickException(str(error)) from error
    except Exception as error:
        raise click.ClickException(f"{function} failed: {describe(error)}") from error
    click.echo(_shown(result))
    return 0


def _in_full(registry: Registry, name: str, kinds: str) -> str:
    """The ID of a bare name that only one entry of these kinds has; anything else as it is."""
    named = [str(entry.id) for entry in registry if entry.id.name == name and entry.kind.startswith(kinds)]
    return named[0] if len(named) == 1 else name


def _shown(result: Any) -> str:
    try:
        return json.dumps(result, indent=2, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(result)


def _json(number: int, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(
            f"argument {number}, {text!r}, is not JSON: {error}; a text needs quotes inside quotes: '\"{text}\"'"
        ) from error
