"""What all commands share: help, errors, pipes."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from noria.actors.cli.program import COMMANDS, cli

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_version_is_that_of_the_distribution(noria):
    from importlib.metadata import version

    assert noria("--version").output == f"noria {version('noria')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        *((name,) for name in COMMANDS),
        ("registry", "list"),
        ("registry", "show"),
        ("policy", "explain"),
        *(("queue", name) for name in ("ls", "info", "peek", "purge")),
        *(("dead", name) for name in ("ls", "show", "replay", "drop")),
    ],
)
def test_every_help_has_an_example(noria, arguments):
    result = noria(*arguments, "--help")

    assert result.exit_code == 0
    assert "Example:\n  noria" in result.output.replace("    noria", "  noria")


def examples() -> list[str]:
    """The command lines in the help of every command."""
    found: list[str] = []
    waiting: list[click.Command] = [cli]
    while waiting:
        command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            waiting += [command.get_command(context, name) for name in command.list_commands(context)]
        found += [line.strip() for line in (command.epilog or "").splitlines()[2:]]
    return found


@pytest.mark.timeout(300)  # one program after another
def test_the_examples_of_the_help_work(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endless = ("noria run hello", "tail -f requests.jsonl | noria run hello --publish app:greetings=-")
    needs_graphviz = "noria graph hello --format svg > hello.svg"
    lines = sorted(set(examples()) - {*endless, needs_graphviz, "noria init hello"})
    run("init", "hello")
    # A copy: some examples keep their messages in a file of their folder. First something has to be there to be dead.
    shutil.copytree(EXAMPLES, tmp_path / "examples", symlinks=True)
    run("publish", "examples/brokers/app", "orders", "examples/brokers/input.jsonl")
    run("run", "examples/brokers/app", "--until-idle")

    assert len(lines) >= 9
    assert {line: run(*shlex.split(line)[1:])[0] for line in lines} == dict.fromkeys(lines, 0)


def test_help_lists_every_command(noria):
    output = noria("--help").output

    assert all(f"\n  {name} " in output for name in COMMANDS)


def test_an_unknown_command_names_the_nearest(noria):
    result = noria("chek")

    assert result.exit_code == 2
    assert "no such command: chek; did you mean check?" in result.stderr


def test_a_command_imports_only_what_it_needs():
    code = (
        "import sys; from noria.actors.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted(n for n in sys.modules if n.startswith('noria.actors.cli.') or n.startswith('rich')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "['noria.actors.cli.application', 'noria.actors.cli.program']"


def test_a_broken_pipe_is_no_traceback(run, application):
    app = application()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, _, stderr = run("registry", "list", app, stdout=writing)
    finally:
        os.close(writing)

    assert code == 1
    assert stderr == ""


def test_the_module_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "noria.actors.cli", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("noria ")


@pytest.mark.parametrize("number", [1, 2])
def test_a_closed_output_is_no_traceback(run, application, number):
    app = application()
    code, stdout, stderr = run("check", app, preexec_fn=lambda: os.close(number))

    assert code == 0
    assert stdout == (
        ""
        if number == 1
        else "5 entries: 1 function.python, 1 queue.consumer, 1 queue.driver.memory, 2 queue.queue\n"
    )
    assert stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_without_a_traceback(run, application):
    app = application()
    with Path("/dev/full").open("w") as full:
        code, _, stderr = run("registry", "list", app, stdout=full)

    assert code == 1
    assert stderr == "noria: No space left on device\n"


INTERRUPTS = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


@pytest.mark.parametrize("module", ["click", "attrs", "cattrs", "pykka", "asyncio"])
def test_ctrl_c_while_the_program_is_still_being_imported_is_quiet(run, application, tmp_path, module):
    """What is imported in place of the module presses Ctrl-C."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / f"{module}.py").write_text(INTERRUPTS)
    code, stdout, stderr = run("check", application(), env={"PYTHONPATH": str(tmp_path / "early")})

    assert code == 130
    assert stdout + stderr.strip() == ""


def test_ctrl_c_in_a_callback_of_the_import_system_ends_the_program_all_the_same(run, tmp_path):
    """Python prints what is raised there, and goes on."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "click.py").write_text(
        "import weakref\n"
        "class Lock: pass\n"
        "lock = Lock()\n"
        "def removed(_): import os, signal; os.kill(os.getpid(), signal.SIGINT); [each for each in range(9)]\n"
        "reference = weakref.ref(lock, removed)\n"
        "del lock\n"
    )
    code, stdout, stderr = run("--version", env={"PYTHONPATH": str(tmp_path / "early")})

    assert (code, stdout, stderr) == (130, "", "")


def test_what_was_ignored_stays_ignored(run):
    """`nohup noria ... &` sets SIGINT aside for good."""
    code, stdout, _ = run("--version", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))

    assert code == 0
    assert stdout.startswith("noria ")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["check"], ["queue", "ls"]])
def test_a_command_waits_for_no_library_that_it_does_not_use(application, arguments):
    path = [] if arguments[0].startswith("-") else [str(application())]
    code = (
        "import sys; from noria.actors.cli import main\n"
        f"try: main({[*arguments, *path]!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'pika', 'redis', 'botocore', 'boto3', 'lupa', 'jsonschema', 'rich'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
