"""examples/topologies: four shapes, each alone and all of them as one application."""

import re
from collections import Counter
from pathlib import Path

import pytest

from noria.actors import Runtime

EXAMPLE = Path(__file__).parents[2] / "examples" / "topologies"

FAN_OUT = [
    "order 1: 2 x kettle taken from stock",
    "order 1: a bill over 60",
    "order 1: a letter to Ada",
    "order 2: 1 x teapot taken from stock",
    "order 2: a bill over 45",
    "order 2: a letter to Grace",
]
PIPELINE = ['page 1 says "the" 4 times', 'page 2 says "water" 4 times', 'page 3 says "a" 4 times']
RETRY = [
    "payment A is made",
    "payment A, attempt 1",
    "payment B is made",
    "payment B, attempt 1",
    "payment B, attempt 2",
    "payment C is made",
    "payment C, attempt 1",
    "payment C, attempt 2",
    "payment D failed (max_attempts): ConnectionError: the bank does not answer",
    "payment D, attempt 1",
    "payment D, attempt 2",
    "payment D, attempt 3",
    "payment E failed (rejected): no such account",
    "payment E, attempt 1",
]
SHAPES = {
    "fan_out": ("fan_out:orders", FAN_OUT),
    "pipeline": ("pipeline:pages", PIPELINE),
    "retry": ("retry:payments", RETRY),
}


def without_places(texts: list[str]) -> list[str]:
    """Errors end with the place in the handler's file; sorted, since workers take turns as they like."""
    return sorted(re.sub(r" \([^()]*handlers\.py:\d+\)$", "", text) for text in texts)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_topology_does_what_it_shows(feed_example, shape):
    queue, expected = SHAPES[shape]

    assert without_places(feed_example(f"topologies/{shape}", queue)) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_a_topology_runs_as_its_readme_says(run_as_written, shape):
    ran = run_as_written("topologies", "noria run", f"{shape}/input.jsonl")

    assert ran.code == 0
    assert (
        without_places([line["text"] for line in ran.logged if line["logger"] == shape]) == SHAPES[shape][1]
    )
    assert (ran.summary["left"], ran.summary["problems"]) == ({}, [])


def made_by(texts: list[str]) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for text in texts:
        who, _, picture = text.partition(" made a thumbnail of ")
        made.setdefault(who, []).append(picture)
    return made


def assert_each_picture_once_and_nobody_idle(texts: list[str]) -> None:
    made = made_by(texts)
    assert set(made) == {"the team", "the apprentice"}
    assert Counter(picture for pictures in made.values() for picture in pictures) == {
        f"IMG_{number:02}.jpg": 1 for number in range(1, 13)
    }


def test_competing_consumers_share_the_work(feed_example):
    assert_each_picture_once_and_nobody_idle(feed_example("topologies/competing", "competing:pictures"))


def test_competing_consumers_share_the_work_as_the_readme_says(run_as_written):
    ran = run_as_written("topologies", "noria run", "competing/input.jsonl")

    assert ran.code == 0
    assert_each_picture_once_and_nobody_idle(
        [line["text"] for line in ran.logged if line["logger"] == "competing"]
    )


def test_all_four_are_one_application_too(start_example, example_input, caplog):
    caplog.set_level("INFO", "fan_out")
    caplog.set_level("INFO", "pipeline")
    runtime = start_example("topologies")

    runtime.publish_many("fan_out:orders", example_input("topologies/fan_out"))
    runtime.publish_many("pipeline:pages", example_input("topologies/pipeline"))
    runtime.wait_idle(60)

    logged = [record.getMessage() for record in caplog.records if record.name in ("fan_out", "pipeline")]
    assert sorted(logged) == sorted([*FAN_OUT, *PIPELINE])


def test_the_pictures_show_every_queue_and_consumer():
    pictures = re.findall(r"```mermaid\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    shown = set(re.findall(r"\w+", " ".join(pictures)))

    services = [
        entry.id.name
        for entry in Runtime.load(EXAMPLE).registry
        if entry.kind in ("queue.queue", "queue.consumer")
    ]
    assert set(services) <= shown
