"""`noria call`: one function of an application, from the shell.

Knows: arguments as JSON, results as JSON. Must not know: how a function runs.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import click

from .application import Application, application_options, example, find_consumer, find_function, from_here

if TYPE_CHECKING:
    from ..settings import LoggerSettings

LONGEST_SHOWN: Final = 60


@click.command(
    "call",
    short_help="Call a function and show its result.",
    context_settings={"ignore_unknown_options": True},  # -1 is a number
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
    is nobody's, and is not asked about. What the function logs goes to stderr.
    """
    from ...registry import NoriaError
    from ..errors import HandlerFailed, Reject, Retry
    from ..outcome import describe
    from ..runtime import Runtime

    values = [_json(number, text) for number, text in enumerate(arguments, 1)]
    registry, settings = application.registry(), application.settings()
    called = find_function(registry, function).id
    caller = None if consumer is None else find_consumer(registry, consumer).id
    application.make_importable()
    try:
        with (
            _logging_as(settings.logger),
            Runtime(registry, settings, consuming=False) as runtime,
            runtime.acting_as(caller) if caller else contextlib.nullcontext(),
        ):
            result = runtime.call(called, *values)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stray sys.exit() is a failure of the function, too
        is_ours = isinstance(error, NoriaError) and not isinstance(error, HandlerFailed | Reject | Retry)
        told = str(error) if is_ours else f"{called} failed: {describe(error)}"
        raise click.ClickException(from_here(told)) from error
    click.echo(_shown(result))
    return 0


def _logging_as(settings: LoggerSettings) -> contextlib.AbstractContextManager[object]:
    """What is logged goes to stderr, for somebody who reads it: as text unless the settings want JSON."""
    from .logs import handler_for, logging_to

    return logging_to(handler_for("json" if settings.format == "json" else "text", None), settings.level)


def _shown(result: Any) -> str:
    try:
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = _as_python(result)
    # Half of a surrogate pair is written as JSON and Python write it.
    return text.encode(errors="backslashreplace").decode()


def _as_python(result: Any) -> str:
    try:
        return repr(result)
    except Exception:  # its class is the function's business
        return object.__repr__(result)


def _json(number: int, text: str) -> Any:
    from .feeding import parsed
    from .lines import Line

    try:
        return parsed(Line(number + 1, text.encode(errors="surrogateescape")))
    except ValueError as error:
        if text.startswith("--"):
            raise click.NoSuchOption(text.partition("=")[0]) from error
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        hint = f"; a text needs quotes inside quotes: '\"{shown}\"'" if text[:1].isalpha() else ""
        raise click.UsageError(f"argument {number}, {shown!r}: {error}{hint}") from error
