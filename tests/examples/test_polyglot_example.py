"""examples/polyglot: Lua and Python stages of one pipeline, which loses nothing and counts nothing twice."""

import itertools
import re
from pathlib import Path

import pytest

from noria.actors import Runtime
from noria.security import Policies

from .conftest import EXAMPLES, ROOT

EXAMPLE = EXAMPLES / "polyglot"
PATIENCE = 60.0

PAGES = {
    "animals.md": """\
# The cat and the dog

The cat is that of [the cot](https://example.org/cog), and it is the dog of the cog.

```python
cap = "the cap and the dot are code"
```
""",
    "plain.md": "That is the messenger of the messenger, and `it` is the messenger.\n",
    "el_gato.md": "El gato y el perro son los animales que viven en la casa de mi madre.\n",
    "empty.md": "",
    "notes.txt": "The notes are no page.\n",
}
REPORT = """\
2 pages, 31 words

Their longer words: messenger 3

The longest ladder of each: every step changes one letter

  animals.md  cat cot cog dog
  plain.md    -

Not read

  el_gato.md  this does not look like English
  empty.md    this does not look like English
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_report_tells_of_every_page(start_example, home, capsys):
    runtime = start_example("polyglot")

    runtime.publish("polyglot:globs", {"patterns": ["*.md"]})
    runtime.wait_idle(PATIENCE)

    assert capsys.readouterr().out == REPORT


def test_two_surveys_at_once_do_not_mix(start_example, home, capsys):
    runtime = start_example("polyglot")

    runtime.publish_many("polyglot:globs", [{"patterns": ["*.md"]}, {"patterns": ["plain.md"]}])
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert REPORT in printed
    assert "1 page, 11 words" in printed


def test_a_survey_of_nothing_ends_too(start_example, home, capsys):
    runtime = start_example("polyglot")

    runtime.publish("polyglot:globs", {"patterns": ["*.rst"]})
    runtime.wait_idle(PATIENCE)

    assert capsys.readouterr().out.startswith("0 pages, 0 words")


RESULTS = (
    {"survey": "s", "expected": 2},
    {
        "survey": "s",
        "file": "a.md",
        "words": 3,
        "counts": {"letter": 1, "ladder": 2},
        "ladder": ["tea", "ten"],
    },
    {"survey": "s", "file": "b.md", "refused": "it is blank"},
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_messages_that_come_twice_and_in_any_order_are_counted_once(start_example, capsys, order):
    runtime = start_example("polyglot")
    results = [RESULTS[index] for index in order]

    # Each twice, and all of them again when the report is out.
    runtime.publish_many("polyglot:ladders", [*(each for each in results for _ in range(2)), *results])
    runtime.wait_idle(PATIENCE)

    printed = capsys.readouterr().out
    assert printed.count("1 page, 3 words") == 1
    assert "ladder 2, letter 1\n" in printed
    assert "a.md  tea ten\n" in printed
    assert "b.md  it is blank\n" in printed


MAY_PUBLISH = {
    "collector": {"polyglot:pages", "polyglot:ladders"},
    "reader": {"polyglot:words"},
    "climber": {"polyglot:ladders"},
    "clerk": {"polyglot:ladders"},
    "librarian": {"polyglot:reports"},
    "reporter": set(),
}
STORE_ACTIONS = ("store.get", "store.key.get", "store.key.set", "store.key.list", "store.key.delete")


@pytest.mark.parametrize("consumer", MAY_PUBLISH)
def test_each_stage_has_just_the_rights_it_needs(consumer):
    registry = Runtime.load(EXAMPLE).registry
    config = registry[f"polyglot:{consumer}"].config
    principal = config.lifecycle.security.principal()
    scope = Policies.from_registry(registry).scope_of(config.lifecycle.security, "polyglot")

    def allowed(action: str, kinds: str) -> set[str]:
        resources = [str(entry.id) for entry in registry if entry.kind.startswith(kinds)]
        return {each for each in resources if scope.evaluate(principal, action, each, {}).allowed}

    assert allowed("queue.publish.queue", "queue.queue") == MAY_PUBLISH[consumer]
    assert allowed("funcs.call", "function.") == {str(config.func)}
    assert {action for action in STORE_ACTIONS if allowed(action, "store.")} == (
        set(STORE_ACTIONS) - {"store.key.delete"} if consumer == "librarian" else set()
    )


def files_of(patterns: list[str]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}


def differing(one: str, other: str) -> int:
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_the_pages_of_this_repository_are_read_as_the_readme_says(run_as_written, example_input):
    ran = run_as_written("polyglot", "input.jsonl")

    [asked] = example_input("polyglot")
    files = files_of(asked["patterns"])
    read, _, refused = ran.stdout.partition("\nNot read\n\n")
    rows = dict(re.findall(r"^  (\S+\.md) +(.+)$", read, re.MULTILINE))
    ladders = [ladder.split() for ladder in rows.values() if ladder != "-"]
    assert ran.code == 0
    assert set(rows) | {"README.es.md"} == files
    assert " ".join(refused.split()) == "README.es.md this does not look like English"
    assert [differing(*pair) for ladder in ladders for pair in itertools.pairwise(ladder)] == [1] * sum(
        len(ladder) - 1 for ladder in ladders
    )
    assert max(map(len, ladders)) >= 5
    assert (ran.summary["failed"], ran.summary["denied"], ran.summary["left"]) == (0, 0, {})


def test_the_picture_shows_every_stage():
    registry = Runtime.load(EXAMPLE).registry
    [picture] = re.findall(r"```mermaid\n(.*?)```", Path(EXAMPLE, "README.md").read_text(), re.DOTALL)
    shown = set(re.findall(r"\w+", picture))

    kinds = ("queue.queue", "function.lua", "function.python", "store.memory")
    assert {entry.id.name for entry in registry if entry.kind in kinds} <= shown
