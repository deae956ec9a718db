"""docs/commands.md shows what really happens: every command is run again and compared, timings masked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

MASKS = (
    (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
    (r'"time": "[^"]+"', '"time": "TIME"'),
    (r"[0-9a-f]{20}-[0-9a-f]{8}", "MESSAGE-ID"),
    (r"after \d+\.\d s", "after N s"),
    (r"in \d+\.\d\d s", "in N s"),
    (r"(delay|seconds)=\S+", r"\1=N"),
    (r'"seconds": [0-9.e-]+', '"seconds": N'),
    (r"\(\S*/hello/", "(DIRECTORY/hello/"),
    (r"published \d+ s ago", "published N s ago"),
    (r"timestamp=\d+", "timestamp=N"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    # Below a heading whose column is as wide as the name of a directory.
    (r"-{20,}$", "DASHES"),
)


def masked(text: str) -> list[str]:
    """The lines, sorted: standard output and standard error have no order between them, nor have four workers."""
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    return sorted(line.rstrip() for line in text.splitlines() if line.strip())


def shown(page: str) -> list[tuple[str, str]]:
    """Each command of the page with the output that is shown below it."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = piece.partition("\n")
            found.append((command, output))
    return found


def executed(command: str, directory: Path) -> str:
    """What a shell prints; an exit code other than 0 is a last line in brackets."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    code = f"[exit code {done.returncode}]\n" if done.returncode else ""
    return f"{done.stdout}{code}"


@pytest.mark.timeout(300)  # one program after another, more than forty of them
def test_every_command_of_the_page_prints_what_is_shown(tmp_path):
    commands = shown(PAGE.read_text())
    wrong = {
        command: (masked(output), really)
        for command, output in commands
        if (really := masked(executed(command, tmp_path))) != masked(output)
    }

    assert len(commands) >= 15
    assert wrong == {}
