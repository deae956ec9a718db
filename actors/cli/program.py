"""The program behind `noria`: its commands and its end.

Knows: which commands there are, and how a program ends: exit codes, broken pipes, Ctrl-C. Must not know: what any
command does. A command's file is imported when the command is used, so that `noria` starts at once.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from . import INTERRUPTED
from .application import example, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = ("call", "check", "dead", "graph", "init", "policy", "publish", "queue", "registry", "run")


class LazyCommands(click.Group):
    """Imports the file of a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `noria NAME`, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command names the nearest."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no such command: {args[0]}{nearest(args[0], list(COMMANDS))}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"noria {version('noria')}")
        ctx.exit()


@click.group(
    epilog=example(
        "noria init hello", "noria run hello --publish app:greetings=hello/input.jsonl --until-idle"
    ),
    cls=LazyCommands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Queues, consumers and workers as supervised, authorised actors."""


@cli.result_callback()
@click.pass_context
def _exit_with(ctx: click.Context, code: int) -> None:
    ctx.exit(code)


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process; never with a traceback for a broken pipe or Ctrl-C.

    Args:
        arguments: what stands behind `noria`; None: `sys.argv`.
    """
    _open_what_is_closed()
    _end(_exit_code(arguments))


def _open_what_is_closed() -> None:
    """Whoever started us with a closed output (`>&-`) wants to hear nothing: it goes nowhere."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                # Else the next file that anybody opens would get this number, and what is printed.
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_pipes()
        return 1
    except OSError as error:  # the disk that the output goes to is full, for example
        _complain(error)
        _forget_pipes()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        result: Any = cli.main(args=arguments, prog_name="noria", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except SystemExit as error:  # click's answer to a broken pipe
        _forget_pipes()
        return error.code if isinstance(error.code, int) else 1
    return result if isinstance(result, int) else 0


def _complain(error: OSError) -> None:
    with contextlib.suppress(OSError):
        click.echo(f"noria: {error.strerror or error}", err=True)


def _forget_pipes() -> None:
    """Whoever read our output is gone: what is still buffered must not raise at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())


def _end(code: int) -> NoReturn:
    """Exit, also while a handler that ignores its end still holds a thread."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        end_at_once(code)
    sys.exit(code)


def end_at_once(code: int, last_words: str = "") -> NoReturn:
    """Leave the process now, whatever its threads do; what was printed is not lost.

    Args:
        code: the exit code.
        last_words: written to standard error after everything else.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            OSError, ValueError, RuntimeError
        ):  # the last: it is being written to right now
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(2, last_words.encode())
    os._exit(code)
