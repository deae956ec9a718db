"""examples/brokers: the commands of its README, in their order, on every broker."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "brokers"
README = (EXAMPLE / "README.md").read_text()
PATIENCE = 60


def shown() -> list[tuple[str, str]]:
    """Each command of the README with what stands below it."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    pieces = [piece for block in blocks for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, output) for command, _, output in (piece.partition("\n") for piece in pieces)]


def masked(text: str) -> str:
    """Without the directory, nor the dashes below a heading that is as wide as its name."""
    return re.sub(r"-{20,}$", "-", re.sub(r"\(\S*(examples/brokers)", r"(\1", text), flags=re.MULTILINE)


@pytest.fixture
def run_readme(tmp_path):
    """Runs every command of the README on a driver: commands with their outputs, standard error of `run` apart."""

    def run(driver: str, **environment: str) -> list[tuple[str, str, str]]:
        copy = tmp_path / "examples" / "brokers"
        shutil.copytree(EXAMPLE, copy, symlinks=True, ignore=shutil.ignore_patterns("*.db*"))
        (copy / "app" / "driver.yaml").unlink()
        (copy / "app" / "driver.yaml").symlink_to(f"../drivers/{driver}.yaml")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ran = []
        for command, _ in shown():
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env={**os.environ, **environment, "PATH": path, "COLUMNS": "80"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            ran.append((command, done.stdout, done.stderr))
        return ran

    return run


def packed(ran: list[tuple[str, str, str]]) -> list[list[str]]:
    """The numbers of the orders that each `noria run` packed."""
    return [
        sorted(re.findall(r"order (\d+): .* is packed", logged))
        for command, _, logged in ran
        if "noria run" in command
    ]


def check(ran: list[tuple[str, str, str]]) -> None:
    """What is the same on every broker."""
    outputs = [output for _, output, _ in ran]
    counted = re.findall(r"^ +(\d+)  (\w+) ", outputs[3], re.MULTILINE)

    assert packed(ran) == [["1", "4"], ["2", "5"]]
    assert outputs[0] == "shop:orders: 5 messages accepted\n"
    assert counted == [("2", "max_attempts"), ("1", "rejected")]
    assert outputs[4] == "shop:dead -> shop:orders: 2 messages replayed\n"
    assert outputs[5] == "shop:dead: 1 dead letter removed\n"


def test_the_commands_print_what_the_readme_shows(run_readme):
    ran = run_readme("sqlite")

    check(ran)
    assert [masked(output) for _, output, _ in ran] == [masked(output) for _, output in shown()]


def test_the_same_application_runs_on_redis(run_readme, redis_server):
    check(run_readme("redis", REDIS_URL=f"{redis_server.url.removesuffix('/0')}/9"))


def test_the_same_application_runs_on_rabbitmq(run_readme, rabbit_server):
    check(run_readme("amqp", AMQP_URL=rabbit_server.url))


def test_the_same_application_runs_on_sqs(run_readme, moto_server):
    check(run_readme("sqs", SQS_ENDPOINT=moto_server.endpoint))


def test_in_memory_it_runs_and_no_other_process_reaches_its_messages(tmp_path):
    app = tmp_path / "app"
    shutil.copytree(
        EXAMPLE / "app", app, symlinks=True, ignore=shutil.ignore_patterns("*.db*", "driver.yaml")
    )
    shutil.copy(EXAMPLE / "drivers" / "memory.yaml", app / "driver.yaml")
    program = Path(sys.executable).with_name("noria")
    feed = f"orders={EXAMPLE / 'input.jsonl'}"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    ran = run("run", app, "--publish", feed, "--until-idle")
    refused = run("queue", "info", app, "orders")

    assert (ran.returncode, packed([("noria run", "", ran.stderr)])) == (0, [["1", "4"]])
    assert (refused.returncode, "no other process can reach them" in refused.stderr) == (2, True)


@pytest.mark.parametrize("driver", sorted(path.stem for path in (EXAMPLE / "drivers").iterdir()))
def test_every_driver_file_is_in_the_table(driver):
    assert f"| [{driver}.yaml](drivers/{driver}.yaml) |" in README
