"""What the READMEs of the examples promise: links, commands, and output that does not vary."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from noria.actors.cli.program import cli

EXAMPLES = Path(__file__).parents[2] / "examples"
OURS = ("census", "lua", "polyglot", "tasks", "tenants", "topologies")
EXPLAINED = re.compile(r"```console\n\$ noria (policy explain [^\n]+)\n```\n\n```text\n(.*?)```", re.DOTALL)
EXPLANATIONS = [
    pytest.param(command, output, id=command)
    for example in OURS
    for command, output in EXPLAINED.findall((EXAMPLES / example / "README.md").read_text())
]


def test_the_index_lists_every_example():
    listed = set(re.findall(r"^\| \[\w+\]\((\w+)\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    present = {
        path.name for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
    }

    assert present <= listed
    assert set(OURS) <= present


@pytest.mark.parametrize("example", OURS)
def test_links_lead_somewhere(example):
    text = (EXAMPLES / example / "README.md").read_text()
    targets = re.findall(r"\]\(([^)#]+)", text)

    assert targets
    assert [target for target in targets if not (EXAMPLES / example / target).exists()] == []


@pytest.mark.parametrize("example", OURS)
def test_an_example_passes_its_check(example):
    result = CliRunner().invoke(cli, ["check", str(EXAMPLES / example)])

    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(("command", "output"), EXPLANATIONS)
def test_a_policy_is_explained_as_the_readme_shows(monkeypatch, command, output):
    monkeypatch.chdir(EXAMPLES.parent)
    result = CliRunner().invoke(cli, command.split(), standalone_mode=False)

    assert result.stdout.rstrip() == output.rstrip()


def test_explanations_are_found():
    assert len(EXPLANATIONS) == 3
