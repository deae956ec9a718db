"""`examples/tree`: the story it tells is the one that happens, and it ends by itself."""

import re
import subprocess
import sys
from pathlib import Path

MAIN = Path(__file__).parents[3] / "examples" / "tree" / "main.py"

STORY = """\
The station starts: first what others require.
    sensor runs
    filter runs
    intake runs
    display runs
    the display shows 20.0 degrees
The display dies of a sys.exit(). It alone is replaced.
    display failed (somebody pressed the wrong button), next attempt in 0.05 s
    display runs again
    the display shows 20.0 degrees
The sensor dies. The filter requires it, so it stops before and starts after.
    sensor failed (the cable came loose), next attempt in 0.05 s
    filter stopped
    sensor runs again
    filter runs again
    the display shows 20.0 degrees
The sensor dies again: more than the intake bears. The station replaces the whole intake,
and the display, which requires it.
    sensor failed (the cable came loose): once too often
    intake gives up: its own supervisor decides
    filter stopped
    intake failed ('intake' gave up: too many restarts, the last of 'sensor': ConnectionError: the cable came loose), next attempt in 0.05 s
    display stopped
    sensor runs
    filter runs
    intake runs again
    display runs again
    the display shows 20.0 degrees
After all that:
    intake: running, 1 restarts
      sensor: running, 0 restarts
      filter: running, 0 restarts
    display: running, 2 restarts
The station stops: what others require comes last.
    display stopped
    filter stopped
    sensor stopped
    intake stopped
No thread is left.
"""


def test_the_example_tells_its_story_and_ends_by_itself():
    done = subprocess.run([sys.executable, MAIN], capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr == ""
    assert done.returncode == 0
    # The display may stop while the filter starts anew: nobody promised which comes first.
    assert done.stdout == STORY


def test_the_readme_names_the_command():
    readme = (MAIN.parent / "README.md").read_text(encoding="utf-8")

    assert re.search(r"`python examples/tree/main.py`", readme)
