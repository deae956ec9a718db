"""`docs/supervision.md`: its code runs, and its tables are complete."""

import re
from pathlib import Path

import attrs
import pytest

from noria.actors import Backoff, ChildSpec, Restart, Strategy
from noria.actors.supervision import events
from noria.actors.supervision.child import State

PAGE = (Path(__file__).parents[3] / "docs" / "supervision.md").read_text(encoding="utf-8")


def first_column(heading):
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    return [name for row in rows[2:] for name in re.findall(r"`(\w+)`", row)]


def test_the_code_on_the_page_runs_as_it_stands():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

    assert len(blocks) == 2
    exec(compile("\n".join(blocks), "docs/supervision.md", "exec"), {"__name__": "page"})


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("States", [state.value for state in State]),
        ("Who goes with it", [strategy.value for strategy in Strategy]),
        ("Which end counts as what", [restart.value for restart in Restart]),
    ],
)
def test_every_word_has_its_row(heading, names):
    assert first_column(heading) == names


def test_every_field_of_a_child_has_its_row():
    documented = {*first_column("What a child is"), "id", "actor"}

    assert documented == {field.name for field in attrs.fields(ChildSpec)}


def test_every_event_has_its_row():
    kinds = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type) and value.__module__ == events.__name__ and name != "SupervisionEvent"
    }

    assert set(first_column("What you hear")) == kinds


def test_the_defaults_of_the_backoff_are_those_on_the_page():
    shown = re.search(r"`Backoff\((initial_delay.*?)\)`", PAGE).group(1)

    assert eval(f"dict({shown})") == attrs.asdict(Backoff())
