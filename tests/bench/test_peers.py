"""The bench beside other runtimes runs, with noria alone: the others are not installed where the tests run.

Knows: what peers.py prints. Must not know: how fast anything is.
"""

import subprocess
import sys
from pathlib import Path

from servers.fixtures import need_redis


def test_peers_measures_noria_and_loses_nothing() -> None:
    need_redis()
    program = Path(__file__).parent / "peers.py"
    small = ["--broker", "redis", "--contender", "noria", "--rounds", "1", "--scale", "0.01"]
    done = subprocess.run(
        [sys.executable, str(program), *small], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| noria |"))
    assert row.count("1.00;") == 5
    assert row.endswith("| 0, 0 |")
