"""examples/tasks: the seed's own example."""

from pathlib import Path

import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "tasks"

# seed: "Driver Configuration", "Queue Configuration", "Consumer Configuration"
SEED = """
- name: memory_driver
  kind: queue.driver.memory
  lifecycle:
    auto_start: true
- name: tasks
  kind: queue.queue
  driver: app.queue:memory_driver
- name: task_consumer
  kind: queue.consumer
  queue: app.queue:tasks
  func: app.queue:task_handler
  concurrency: 4
  prefetch: 20
  lifecycle:
    auto_start: true
    depends_on:
      - app.queue:tasks
"""

LOGGED = [
    "finished task-123: process done",
    "finished task-124: fetch done",
    "finished task-125: process done",
    "finished task-126: archive done",
    "processing task-123, attempt 1",
    "processing task-124, attempt 1",
    "processing task-124, attempt 2",
    "processing task-125, attempt 1",
    "processing task-126, attempt 1",
]


def test_the_tasks_example_declares_what_the_seed_declares():
    document = yaml.safe_load((EXAMPLE / "tasks.yaml").read_text())
    declared = {entry["name"]: entry for entry in document["entries"]}

    assert document["namespace"] == "app.queue"
    for entry in yaml.safe_load(SEED):
        assert declared.pop(entry["name"]) == entry
    assert list(declared) == ["task_handler"]


def test_tasks_are_processed_and_the_one_that_fails_comes_back(feed_example):
    assert sorted(feed_example("tasks", "app.queue:tasks")) == LOGGED


def test_the_tasks_example_runs_as_its_readme_says(run_as_written):
    ran = run_as_written("tasks", "noria run")

    assert ran.code == 0
    assert sorted(line["text"] for line in ran.logged if line["logger"] == "tasks") == LOGGED
    [failed] = [line for line in ran.logged if line.get("event") == "MessageFailed"]
    assert "the server does not answer" in failed["error"]
    assert (ran.summary["handled"], ran.summary["failed"], ran.summary["left"]) == (4, 1, {})
