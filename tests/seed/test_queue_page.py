"""The user's page about queues (`queue.en.txt`), line by line: each docstring cites what its test shows, word for word.

YAML is cut from the page, never retyped; only the handler is Python where the page has Lua. At the end, one test counts
whether a line of the page was forgotten, and another holds the Spanish page to the same blocks and numbers.
"""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen

from noria.actors import Runtime
from noria.actors.drivers import DriverConfig, Features, QueueOptions, check_driver
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.errors import QueueFull, StopIncomplete
from noria.actors.events import MessageAcked, MessageDeadLettered, MessageFailed
from noria.actors.supervision.events import ChildStarted
from noria.registry import ConfigurationError, Duration, Kind

PATIENCE = 20.0
ENGLISH = (Path(__file__).parent / "queue.en.txt").read_text(encoding="utf-8")
SPANISH = (Path(__file__).parent / "cola.es.txt").read_text(encoding="utf-8")

CONSUMER = "app.queue:task_consumer"
TASKS = "app.queue:tasks"


# ---- cutting the page ----------------------------------------------------------------------------------


def yaml_blocks(page: str) -> dict[str, str]:
    """The page's YAML blocks, verbatim, by the name of their entry."""
    found = re.findall(r"^- name: (\S+)\n(?:  .*\n)+", page, re.MULTILINE)
    blocks = re.findall(r"^- name: \S+\n(?:  .*\n)+", page, re.MULTILINE)
    return dict(zip(found, blocks, strict=True))


def without_code(page: str) -> str:
    """The page with each block of Lua shortened to its first and last line, and each block of YAML to one line."""
    page = re.sub(r"^(local .*)\n(?:.*\n)*?(return handler|\}\))$", r"\1 … \2", page, flags=re.MULTILINE)
    for block in yaml_blocks(page).values():
        page = page.replace(block, f"\n{' '.join(block.split())}\n")
    return page


def lines(page: str) -> list[str]:
    """Every sentence, table row, list item and block, each as one line of single spaces."""
    found: list[str] = []
    for line in without_code(page).splitlines():
        text = " ".join(line.split()).removeprefix("• ")
        is_prose = re.search(r"[.:]$", text) and not re.match(r"\d+\. ", text)
        found += re.split(r"(?<=\.) (?=[A-Z])", text) if is_prose else [text]
    return [text for text in found if text]


BLOCKS = yaml_blocks(ENGLISH)
HANDLER = "- name: task_handler\n  kind: function.python\n  source: file://handlers.py\n"


def page_application(*names: str, more: str = "", blocks: dict[str, str] = BLOCKS) -> str:
    """An application of the page's own blocks, with a Python handler."""
    return "namespace: app.queue\nentries:\n" + "".join(blocks[name] for name in names) + HANDLER + more


WHOLE = page_application("memory_driver", "tasks", "task_consumer")
# The page's numbers for a pool: "concurrency: 3, prefetch: 10".
POOL = re.findall(r"(\w+): (\d+)", ENGLISH.split("goroutines:\n\n", 1)[1].split("\n")[0])

RECORD = "import probe\ndef handler(body):\n    probe.record(body)"
HOLD = "import probe\ndef handler(body):\n    probe.record(body)\n    probe.pass_gate()"


@pytest.fixture
def run(application, probe) -> Iterator[Callable[..., Runtime]]:
    """Starts an application: `run(yaml, handlers, "tasks:options.max_length=5")`; stops it after the test."""
    started: list[Runtime] = []

    def begin(definition: str, handlers: str = "", *changes: str, **options: Any) -> Runtime:
        overrides = [f"app.queue:{change}" for change in changes]
        runtime = Runtime.load(application(definition, handlers), overrides=overrides, **options)
        started.append(runtime)
        runtime.start(PATIENCE)
        return runtime

    yield begin
    probe.gate.set()
    for runtime in started:
        runtime.stop()


@pytest.fixture
def problems(application) -> Callable[..., str]:
    """What `noria check` would say of an application with changes."""

    def find(definition: str, *changes: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            Runtime.load(
                application(definition, RECORD), overrides=[f"app.queue:{change}" for change in changes]
            )
        return str(caught.value)

    return find


def child(runtime: Runtime, child_id: str) -> dict[str, Any]:
    return next(each for each in runtime.tree()["children"] if each["id"] == child_id)


def figures(runtime: Runtime, child_id: str = CONSUMER) -> dict[str, Any]:
    return child(runtime, child_id)["figures"]


# ---- the first paragraph and the picture -----------------------------------------------------------------


def test_a_publisher_does_not_wait_for_the_handler(run, probe):
    """Seed: "Wippy provides a queue system for asynchronous message processing with configurable drivers and consumers."

    Asynchronous: publish has returned while the handler still works. Configurable: all of it came from YAML.
    """
    runtime = run(WHOLE, HOLD)

    runtime.publish(TASKS, "slow")
    probe.wait(1)

    assert runtime.info(TASKS)["in_flight"] == 1
    probe.gate.set()
    runtime.wait_idle(PATIENCE)
    assert runtime.info(TASKS)["message_count"] == 0


def test_a_message_goes_from_the_publisher_to_the_function_as_the_picture_shows(run, probe):
    """Seed: "flowchart LR"

    "P[Publisher] --> D[Driver]" "D --> Q[Queue]" "Q --> C[Consumer]" "C --> W[Worker Pool]" "W --> F[Function]"
    """
    runtime = run(WHOLE, HOLD)
    driver = runtime._seat.topology.queues[TASKS].driver

    sent = runtime.publish(TASKS, "a task")

    assert probe.wait(1) == ["a task"]  # the function
    [busy] = [each for each in child(runtime, CONSUMER)["children"] if each["figures"]["doing"] == "handling"]
    assert (busy["kind"], busy["figures"]["message"]) == ("worker", sent)
    assert (figures(runtime)["queue"], figures(runtime)["function"]) == (TASKS, "app.queue:task_handler")
    assert figures(runtime, TASKS)["in_flight"] == 1
    assert driver.name == "app.queue:memory_driver"
    assert driver.info(TASKS).in_flight == 1
    assert [each["kind"] for each in runtime.tree()["children"]] == [
        "queue.driver.memory",
        "queue.queue",
        "queue.consumer",
    ]


def test_the_driver_is_what_keeps_the_messages(run):
    """Seed: "Driver - Backend implementation (memory, AMQP, Redis)"

    Here it is memory; for the others see the test of the sentence that they are planned.
    """
    runtime = run(page_application("memory_driver", "tasks"), RECORD)
    queue = runtime._seat.topology.queues[TASKS]

    runtime.publish_many(TASKS, ["one", "two"])

    assert isinstance(queue.driver, MemoryDriver)
    assert queue.driver.info(queue.name).ready == 2


def test_a_queue_is_bound_to_its_driver(run, problems):
    """Seed: "Queue - Logical queue bound to a driver" """
    second = "- name: other_driver\n  kind: queue.driver.memory\n"
    runtime = run(
        page_application("memory_driver", "tasks", more=second), RECORD, "tasks:driver=other_driver"
    )

    assert runtime._seat.topology.queues[TASKS].driver.name == "app.queue:other_driver"
    assert "driver" in problems(page_application("memory_driver", "tasks"), "tasks:driver=nowhere")


def test_a_consumer_connects_a_queue_to_a_handler_with_its_concurrency(run, probe):
    """Seed: "Consumer - Connects queue to handler with concurrency settings" """
    runtime = run(WHOLE, HOLD)

    runtime.publish_many(TASKS, range(10))
    probe.wait(4)

    assert figures(runtime)["busy"] == 4  # the page's own `concurrency: 4`
    assert len(child(runtime, CONSUMER)["children"]) == 4


def test_workers_process_messages_at_the_same_time(run, probe):
    """Seed: "Worker Pool - Concurrent message processors"

    Each of four handlers waits until all four run.
    """
    probe.all_four = threading.Barrier(4)
    runtime = run(
        WHOLE, "import probe\ndef handler(body):\n    probe.all_four.wait(20)\n    probe.record(body)"
    )

    runtime.publish_many(TASKS, range(4))

    assert sorted(probe.wait(4)) == [0, 1, 2, 3]


def test_queues_share_a_driver(run, probe):
    """Seed: "Multiple queues can share a driver." """
    more = """- {name: mails, kind: queue.queue, driver: memory_driver}
- {name: mail_consumer, kind: queue.consumer, queue: mails, func: mail_handler, lifecycle: {auto_start: true}}
- {name: mail_handler, kind: function.python, source: file://handlers.py, method: mail}
"""
    runtime = run(
        page_application("memory_driver", "tasks", "task_consumer", more=more),
        "import probe\ndef handler(body):\n    probe.record(('task', body))\n"
        "def mail(body):\n    probe.record(('mail', body))",
    )

    runtime.publish(TASKS, 1)
    runtime.publish("app.queue:mails", 2)

    assert sorted(probe.wait(2)) == [("mail", 2), ("task", 1)]
    queues = runtime._seat.topology.queues
    assert queues[TASKS].driver is queues["app.queue:mails"].driver


def test_consumers_share_a_queue(run, probe):
    """Seed: "Multiple consumers can process from the same queue." """
    more = """- {name: second, kind: queue.consumer, queue: tasks, func: second_handler, lifecycle: {auto_start: true}}
- {name: second_handler, kind: function.python, source: file://handlers.py, method: second}
"""
    runtime = run(
        page_application("memory_driver", "tasks", "task_consumer", more=more),
        "import probe\ndef handler(body):\n    probe.record('first')\n    probe.pass_gate()\n"
        "def second(body):\n    probe.record('second')\n    probe.pass_gate()",
    )

    runtime.publish_many(TASKS, range(2))

    assert sorted(probe.wait(2)) == ["first", "second"]
    assert runtime.info(TASKS)["consumer_count"] == 2


# ---- entry kinds and driver ------------------------------------------------------------------------------


def test_the_memory_driver_keeps_messages_in_this_process_only(run, application):
    """Seed: "queue.driver.memory In-memory queue driver" """
    runtime = run(page_application("memory_driver", "tasks"), RECORD)
    runtime.publish(TASKS, "here")

    with Runtime.load(application(page_application("memory_driver", "tasks"), RECORD)) as another:
        assert another.info(TASKS)["message_count"] == 0

    assert runtime.info(TASKS)["message_count"] == 1
    assert not MemoryDriver.features.durable


def test_a_queue_is_declared_with_a_reference_to_its_driver(run, problems):
    """Seed: "queue.queue Queue declaration with driver reference"

    The reference must lead to a driver: another entry will not do.
    """
    runtime = run(page_application("memory_driver", "tasks"), RECORD)
    entry = runtime.registry[TASKS]

    assert (entry.kind, str(entry.config.driver)) == ("queue.queue", "app.queue:memory_driver")
    assert "queue.driver.*" in problems(WHOLE, "tasks:driver=app.queue:task_handler")


def test_a_consumer_processes_messages(run, probe):
    """Seed: "queue.consumer Consumer that processes messages" """
    runtime = run(WHOLE, RECORD)

    runtime.publish_many(TASKS, ["a", "b", "c"])

    assert sorted(probe.wait(3)) == ["a", "b", "c"]
    assert runtime.registry[CONSUMER].kind == "queue.consumer"


def test_the_memory_driver_needs_nothing_and_leaves_nothing(run, tmp_path):
    """Seed: "In-memory driver for development and testing."

    There is no server to start, and no file is left behind.
    """
    runtime = run(WHOLE, RECORD)
    runtime.publish_many(TASKS, range(100))
    runtime.wait_idle(PATIENCE)

    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["app.yaml", "handlers.py"]


def test_the_driver_of_the_page_starts_by_itself(run):
    """Seed: "- name: memory_driver kind: queue.driver.memory lifecycle: auto_start: true"

    Nobody needs it here: it runs because it says so.
    """
    runtime = run(page_application("memory_driver"), RECORD)

    assert child(runtime, "app.queue:memory_driver")["state"] == "running"
    quiet = run(page_application("memory_driver"), RECORD, "memory_driver:lifecycle.auto_start=false")
    assert child(quiet, "app.queue:memory_driver")["state"] != "running"


ACCOUNT = "- {name: account, kind: config.aws, region: eu-west-1}\n"


@pytest.mark.parametrize(("driver", "fields"), [("amqp", ()), ("redis", ()), ("sqs", ("config=account",))])
def test_the_drivers_that_were_planned_have_come(application, driver, fields):
    """Seed: "Additional drivers (AMQP, Redis, SQS) are planned."

    With the kind of the page's driver changed, everything else of it is valid as it stands. What they do with messages
    is shown where servers are: tests/actors/drivers.
    """
    changes = [f"app.queue:memory_driver:{change}" for change in (f"kind=queue.driver.{driver}", *fields)]

    registry = Runtime.load(application(WHOLE + ACCOUNT, RECORD), overrides=changes).registry

    assert registry["app.queue:memory_driver"].kind == f"queue.driver.{driver}"
    assert str(registry["app.queue:tasks"].config.driver) == "app.queue:memory_driver"


@frozen(kw_only=True)
class ShelfOptions(QueueOptions):
    """Options that the memory driver does not have."""

    durable: bool = False
    ttl: Duration = 0.0


class ShelfDriver(MemoryDriver):
    """Another driver. It notes what it is told."""

    features = Features(shared=True)
    queue_options = ShelfOptions

    def __init__(self, name: str, config: Any = None) -> None:
        super().__init__(name, config)
        self.declared: dict[str, Any] = {}

    def declare(self, queue):
        self.declared[queue.name] = queue.options
        super().declare(queue)


@frozen(kw_only=True)
class ShelfConfig(DriverConfig):
    """A driver's entry that has a field of its own, as one with a server would have an address."""

    driver = ShelfDriver
    address: str = "shelf://1"


SHELF = Kind("queue.driver.shelf", ShelfConfig, check_driver)


def test_a_queue_and_a_consumer_stay_as_they_are_when_the_driver_is_another_one(run, probe, monkeypatch):
    """Seed: "The driver interface allows swapping backends without changing queue or consumer configuration."

    The page's own queue and consumer, letter by letter; only the driver's entry is changed.
    """
    definition = WHOLE.replace("kind: queue.driver.memory", "kind: queue.driver.shelf\n  address: shelf://2")
    assert BLOCKS["tasks"] in definition
    assert BLOCKS["task_consumer"] in definition

    runtime = run(definition, RECORD, kinds=[SHELF])
    runtime.publish_many(TASKS, range(50))

    assert sorted(probe.wait(50)) == list(range(50))
    driver = runtime._seat.topology.queues[TASKS].driver
    assert isinstance(driver, ShelfDriver)
    assert driver.config.address == "shelf://2"


# ---- queue -----------------------------------------------------------------------------------------------


def test_the_queue_of_the_page_takes_messages(run):
    """Seed: "- name: tasks kind: queue.queue driver: app.queue:memory_driver" """
    runtime = run(page_application("memory_driver", "tasks"), RECORD)

    runtime.publish(TASKS, "x")

    assert runtime.info(TASKS)["ready"] == 1


def test_the_driver_of_a_queue_is_a_required_id(run, problems):
    """Seed: "driver Registry ID Yes Reference to queue driver" """
    without = page_application("memory_driver", "tasks").replace("  driver: app.queue:memory_driver\n", "")

    assert "app.queue:tasks: driver: required" in problems(without)
    assert "driver: there is no entry" in problems(WHOLE, "tasks:driver=app.queue:memory_drivr")
    assert 'did you mean "app.queue:memory_driver"?' in problems(WHOLE, "tasks:driver=app.queue:memory_drivr")
    run(WHOLE, RECORD)


def test_options_are_an_optional_map_for_the_driver(run, problems, monkeypatch):
    """Seed: "options Map No Driver-specific options" """
    assert run(WHOLE, RECORD).registry[TASKS].config.options == {}
    assert "options: expected a mapping" in problems(WHOLE, "tasks:options=7")
    assert "options.durable: unknown field" in problems(WHOLE, "tasks:options.durable=true")


def test_the_memory_driver_is_not_configured(problems):
    """Seed: "The memory driver has no configuration options."

    Its entry takes nothing but what every service has; an address is an error. (A queue on it may be bounded:
    `options: {max_length: …}`, see docs/differences.md.)
    """
    told = problems(WHOLE, "memory_driver:address=memory://1")

    assert "memory_driver: address: unknown field" in told


def test_another_driver_has_options_of_its_own(run, monkeypatch):
    """Seed: "External drivers (AMQP, Redis, SQS) define their own options for queue behavior like durability, max length, and TTL."

    Shown by a driver of this test's, for those three are not there yet: its options reach it as they are written.
    """
    options = ("tasks:options.durable=true", "tasks:options.max_length=7", "tasks:options.ttl=1h")

    runtime = run(WHOLE, RECORD, "memory_driver:kind=queue.driver.shelf", *options, kinds=[SHELF])

    driver = runtime._seat.topology.queues[TASKS].driver
    assert driver.declared == {"tasks": ShelfOptions(durable=True, max_length=7, ttl=3600.0)}


# ---- consumer --------------------------------------------------------------------------------------------


def test_the_consumer_of_the_page_starts_after_its_queue(application, probe):
    """Seed: "- name: task_consumer kind: queue.consumer queue: app.queue:tasks func: app.queue:task_handler
    concurrency: 4 prefetch: 20 lifecycle: auto_start: true depends_on: - app.queue:tasks"
    """
    runtime = Runtime.load(application(WHOLE, HOLD))
    order: list[str] = []
    runtime.bus.subscribe(
        lambda event: order.append(event.child) if ":" in event.child else None, ChildStarted
    )

    with runtime:
        runtime.publish_many(TASKS, range(30))
        probe.wait(4)

        assert order == ["app.queue:memory_driver", TASKS, CONSUMER]
        assert (figures(runtime)["busy"], figures(runtime)["buffered"]) == (4, 16)
        probe.gate.set()
        runtime.wait_idle(PATIENCE)


@pytest.mark.parametrize(("name", "wrong"), [("queue", "app.queue:task_handler"), ("func", TASKS)])
def test_queue_and_function_of_a_consumer_are_required_ids(problems, name, wrong):
    """Seed: "queue Required - Queue registry ID"

    "func Required - Handler function registry ID"
    """
    without = re.sub(rf"^  {name}: .*\n", "", WHOLE, flags=re.MULTILINE)

    assert f"{CONSUMER}: {name}: required" in problems(without)
    assert f"{CONSUMER}: {name}: " in problems(WHOLE, f"task_consumer:{name}={wrong}")


def test_concurrency_is_one_by_default_and_a_thousand_at_most(run, problems, probe):
    """Seed: "concurrency 1 1000 Parallel worker count" """
    default = WHOLE.replace("  concurrency: 4\n", "")
    runtime = run(default, HOLD)
    runtime.publish_many(TASKS, range(5))
    probe.wait(1)

    assert len(child(runtime, CONSUMER)["children"]) == 1
    assert figures(runtime)["busy"] == 1
    probe.gate.set()
    most = run(WHOLE, RECORD, "task_consumer:concurrency=1000")
    assert len(child(most, CONSUMER)["children"]) == 1000
    assert "expected an integer from 1 to 1000" in problems(WHOLE, "task_consumer:concurrency=1001")


def test_prefetch_is_ten_by_default_and_ten_thousand_at_most(run, problems, probe):
    """Seed: "prefetch 10 10000 Message buffer size" """
    default = WHOLE.replace("  prefetch: 20\n", "")
    runtime = run(default, HOLD)
    runtime.publish_many(TASKS, range(30))
    probe.wait(4)

    assert runtime.info(TASKS)["in_flight"] == 10
    probe.gate.set()
    runtime.wait_idle(PATIENCE)
    most = run(WHOLE, RECORD, "task_consumer:prefetch=10000")
    assert most.registry[CONSUMER].config.prefetch == 10000
    assert "expected an integer from 1 to 10000" in problems(WHOLE, "task_consumer:prefetch=10001")


POLICIES = """- name: small_tasks
  kind: security.policy
  policy:
    actions: funcs.call
    resources: "app.queue:*"
    effect: allow
    conditions:
      - {field: meta.message.headers.size, operator: lte, value_from: actor.meta.limit}
- {name: dead, kind: queue.queue, driver: memory_driver}
"""
AS_CLERK = """  lifecycle:
    auto_start: true
    security:
      actor: {id: clerk, meta: {limit: 10}}
      policies: [small_tasks]
"""


def guarded() -> str:
    """The page's application, its consumer acting as a clerk."""
    definition = page_application("memory_driver", "tasks", "task_consumer", more=POLICIES)
    block = BLOCKS["task_consumer"]
    return definition.replace(block, block[: block.index("  lifecycle:")] + AS_CLERK).replace(
        BLOCKS["tasks"], BLOCKS["tasks"] + "  dead_letter: {queue: dead}\n"
    )


def test_handlers_run_in_a_call_context_and_under_policies(run, probe, events):
    """Seed: "Consumers respect call context and can be subject to security policies."

    The handler sees as whom it runs; what no policy allows never reaches it.
    """
    runtime = run(
        guarded(),
        "import probe\nfrom noria.actors import context, message\n"
        "def handler(body):\n    probe.record((body, context().principal.id, message.header('size')))",
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish(TASKS, "small", {"size": 3})
    runtime.publish(TASKS, "large", {"size": 30})

    assert dead.wait(1)[0].reason == "denied"
    runtime.wait_idle(PATIENCE)
    assert probe.records == [("small", "clerk", 3)]


def test_actor_and_policies_stand_in_the_lifecycle(run, probe, problems):
    """Seed: "Configure actor and policies at the lifecycle level." """
    runtime = run(
        guarded(),
        "import probe\nfrom noria.security import principal, scope\n"
        "def handler(body):\n    probe.record((principal().meta['limit'], [str(p.id) for p in scope().policies()]))",
    )

    runtime.publish(TASKS, "x", {"size": 1})

    assert probe.wait(1) == [(10, ["app.queue:small_tasks"])]
    elsewhere = WHOLE.replace("  concurrency: 4\n", "  security: {actor: {id: clerk}}\n")
    assert "security: unknown field" in problems(elsewhere)


# ---- worker pool -----------------------------------------------------------------------------------------


PERMIT = """
import probe
def handler(body):
    probe.record(body)
    assert probe.permits.acquire(timeout=20)
"""


@pytest.fixture
def pool(run, probe) -> Iterator[Callable[..., Runtime]]:
    """The page's pool, holding what was published; `probe.permits.release(n)` lets n handlers end."""
    probe.permits = threading.Semaphore(0)

    def begin(*changes: str) -> Runtime:
        numbers = [f"task_consumer:{name}={number}" for name, number in POOL]
        return run(WHOLE, PERMIT, *numbers, *changes)

    yield begin
    probe.permits.release(1000)


def test_the_numbers_of_the_pool_are_those_of_the_page(pool, probe):
    """Seed: "Workers run as concurrent goroutines:"

    "concurrency: 3, prefetch: 10"

    Where the page says goroutines, ours are actors, each with a thread. Three handlers run at once, not four.
    """
    runtime = pool()
    assert POOL == [("concurrency", "3"), ("prefetch", "10")]

    runtime.publish_many(TASKS, range(10))
    probe.wait(3)

    assert figures(runtime)["busy"] == 3
    assert len(probe.records) == 3
    probe.permits.release(10)


def test_ten_messages_are_delivered_three_of_them_to_workers(pool, probe):
    """Seed: "1. Driver delivers up to 10 messages to buffer"

    "2. 3 workers pull from buffer concurrently"
    """
    runtime = pool()

    runtime.publish_many(TASKS, range(25))
    probe.wait(3)

    info = runtime.info(TASKS)
    assert (info["in_flight"], info["ready"]) == (10, 15)
    assert (figures(runtime)["busy"], figures(runtime)["buffered"]) == (3, 7)
    probe.permits.release(25)


def test_the_buffer_refills_as_workers_finish(pool, probe):
    """Seed: "3. As workers finish, buffer refills" """
    runtime = pool()
    runtime.publish_many(TASKS, range(25))
    probe.wait(3)

    probe.permits.release(8)
    probe.wait(11)  # one more than the buffer held at first

    info = runtime.info(TASKS)
    assert (info["in_flight"], info["ready"]) == (10, 7)
    probe.permits.release(17)
    assert sorted(probe.wait(25)) == list(range(25))


def test_a_full_pool_holds_back_the_driver_and_then_the_publisher(pool, probe):
    """Seed: "4. Backpressure when all workers busy and buffer full" """
    runtime = pool("tasks:options.max_length=15")
    runtime.publish_many(TASKS, range(25))
    probe.wait(3)

    assert runtime.info(TASKS)["in_flight"] == 10
    with pytest.raises(QueueFull):
        runtime.publish(TASKS, "one too many", timeout=0)
    probe.permits.release(25)
    runtime.wait_idle(PATIENCE)
    assert sorted(probe.records) == list(range(25))


# ---- handler, acknowledgment, publishing -----------------------------------------------------------------


def test_a_handler_gets_the_data_and_ends_well_or_badly(run, probe, events):
    """Seed: "Consumer functions receive message data and return success or error:"

    Success is a return, an error is an exception.
    """
    runtime = run(
        WHOLE,
        "import probe\ndef handler(body):\n    probe.record(body)\n"
        "    if not body['good'] and probe.records.count(body) == 1:\n        raise ValueError('bad')\n    return 'done'",
        "tasks:redelivery.initial_delay=1ms",
    )
    acked, failed = events(runtime, MessageAcked), events(runtime, MessageFailed)

    good = runtime.publish(TASKS, {"id": "task-123", "good": True})
    bad = runtime.publish(TASKS, {"id": "task-124", "good": False})

    runtime.wait_idle(PATIENCE)
    assert {"id": "task-123", "good": True} in probe.records
    assert [event.message for event in failed.records] == [bad]
    assert sorted(event.message for event in acked.wait(2)) == sorted([good, bad])


def test_a_returned_value_acknowledges(run, probe, events):
    """Seed: "Return value Ack Message removed from queue" """
    runtime = run(WHOLE, "import probe\ndef handler(body):\n    probe.record(body)\n    return body")
    acked = events(runtime, MessageAcked)

    sent = [runtime.publish(TASKS, value) for value in ("result", None, False)]

    assert sorted(event.message for event in acked.wait(3)) == sorted(sent)
    runtime.wait_idle(PATIENCE)
    assert runtime.info(TASKS)["message_count"] == 0
    assert len(probe.records) == 3


def test_an_error_puts_the_message_back(run, events):
    """Seed: "Return error Nack Message requeued (driver-dependent)"

    Here every driver does it alike: the message waits in its queue, a little longer each time.
    """
    runtime = run(
        WHOLE,
        "def handler(body):\n    raise ValueError('not now')",
        "tasks:redelivery.initial_delay=1h",
        "tasks:redelivery.max_delay=1h",
    )
    failed = events(runtime, MessageFailed)

    sent = runtime.publish(TASKS, "x")

    assert failed.wait(1)[0].message == sent
    info = runtime.info(TASKS)
    assert (info["message_count"], info["delayed"]) == (1, 1)


def test_what_was_put_back_is_delivered_again(run, probe):
    """Seed, as above: the same message, its next attempt."""
    runtime = run(
        WHOLE,
        "import probe\nfrom noria.actors import message\n"
        "def handler(body):\n    probe.record((message.id, message.attempt))\n"
        "    if message.attempt == 1:\n        raise ValueError('not now')",
        "tasks:redelivery.initial_delay=1ms",
    )

    sent = runtime.publish(TASKS, "x")

    assert probe.wait(2) == [(sent, 1), (sent, 2)]


def test_the_pages_publish_works_in_python(run, probe):
    """What the page does in Lua, `queue.publish(…)`, from outside and from inside a handler."""
    runtime = run(
        WHOLE,
        """
        import probe
        from noria.actors import publish
        def handler(body):
            probe.record(body)
            if body["action"] == "process":
                publish("app.queue:tasks", {"id": "task-124", "action": "tidy", "data": None})
        """,
    )

    runtime.publish("app.queue:tasks", {"id": "task-123", "action": "process", "data": [1, 2]})

    assert probe.wait(2) == [
        {"id": "task-123", "action": "process", "data": [1, 2]},
        {"id": "task-124", "action": "tidy", "data": None},
    ]


# ---- graceful shutdown -----------------------------------------------------------------------------------


LAST_WISHES = """
import probe
from noria.actors import context
def handler(body):
    probe.record("began")
    assert context().cancelled.wait(20)
    probe.record("cancelled")
    probe.pass_gate()
"""


def test_a_consumer_takes_the_first_three_steps_of_its_stop(run, probe):
    """Seed: "On consumer stop:"

    "1. Stop accepting new deliveries"
    "2. Cancel worker contexts"
    "3. Wait for in-flight messages (with timeout)"

    One consumer is stopped; the queue and the rest go on. What finishes while it stops is settled.
    """
    runtime = run(WHOLE, LAST_WISHES)
    runtime.publish_many(TASKS, range(30))
    probe.wait(4)

    stop = threading.Thread(target=lambda: runtime._seat.supervision.stop_child(CONSUMER, PATIENCE))
    stop.start()
    probe.wait(8)  # 2: every running handler has seen it, and none has ended yet
    runtime.publish(TASKS, "late")

    info = runtime.info(TASKS)
    assert probe.records.count("cancelled") == 4
    assert (info["in_flight"], info["ready"], info["consumer_count"]) == (4, 27, 0)  # 1
    assert stop.is_alive()  # 3
    probe.gate.set()
    stop.join(PATIENCE)
    assert not stop.is_alive()
    assert child(runtime, CONSUMER)["state"] == "stopped"
    assert runtime.info(TASKS)["message_count"] == 27
    assert probe.records.count("began") == 4


def test_a_stop_waits_no_longer_than_its_timeout_and_says_who_did_not_finish(run, probe):
    """Seed: "4. Return error if workers don't finish in time"

    The message that was in the worker's hands is back in its queue.
    """
    runtime = run(WHOLE, HOLD, "task_consumer:lifecycle.stop_timeout=50ms")
    sent = runtime.publish(TASKS, "hang")
    probe.wait(1)

    with pytest.raises(StopIncomplete) as caught:
        runtime.stop()

    assert caught.value.report.abandoned == (sent,)
    assert [name for name in caught.value.report.unfinished if name.startswith(f"{CONSUMER}/worker-")]
    assert runtime.info(TASKS)["ready"] == 1
    probe.gate.set()


# ---- nothing forgotten -----------------------------------------------------------------------------------

HEADING = "a heading"
HEAD = "the head of a table; its rows are cited"
LINK = "leads to another page of the user's manual"
LUA = "Lua code; test_lua_on_the_page.py runs it, and this file shows the same in Python"
LEFT_OUT = {
    "Queue": HEADING,
    "Architecture": HEADING,
    "Entry Kinds": HEADING,
    "Kind Description": HEAD,
    "Driver Configuration": HEADING,
    "Memory Driver": HEADING,
    "Queue Configuration": HEADING,
    "Field Type Required Description": HEAD,
    "Consumer Configuration": HEADING,
    "Field Default Max Description": HEAD,
    "See Security.": LINK,
    "Worker Pool": HEADING,
    "Handler Function": HEADING,
    'local json = require("json") … return handler': LUA,
    "- name: task_handler kind: function.lua source: file://task_handler.lua modules: - json - logger": LUA,
    "Acknowledgment": HEADING,
    "Handler Result Action Effect": HEAD,
    "Publishing Messages": HEADING,
    "From Lua code:": LUA,
    'local queue = require("queue") … })': LUA,
    "See Queue Module for full API.": LINK,
    "Graceful Shutdown": HEADING,
    "See Also": HEADING,
}


def cited() -> list[str]:
    """What the docstrings of this file cite."""
    texts = [test.__doc__ or "" for name, test in globals().items() if name.startswith("test_")]
    return [" ".join(quote.split()) for text in texts for quote in re.findall(r'"([^"]+)"', text)]


def test_every_line_of_the_page_is_cited_by_a_test_or_left_out_for_a_reason():
    page = lines(ENGLISH)
    citations = cited()

    assert [line for line in page if line not in citations and line not in LEFT_OUT] == []
    assert [text for text in (*citations, *LEFT_OUT) if text not in page] == []
    assert [text for text in LEFT_OUT if text in citations] == []
    assert len(page) > 60


def shape(page: str) -> dict[str, Any]:
    """What must not depend on the language: YAML, the picture's arrows, the Lua publish call, every number."""
    return {
        "yaml": yaml_blocks(page),
        "arrows": re.findall(r"^ *(\w+)(?:\[.*?\])? --> (\w+)\[", page, re.MULTILINE),
        "kinds": re.findall(r"^queue\.[\w.]+", page, re.MULTILINE),
        "publish": re.findall(r"^queue\.publish\((?:.*\n)*?\}\)$", page, re.MULTILINE),
        "numbers": re.findall(r"\d+", page),
        "lines": len(lines(page)),
    }


def test_the_spanish_page_has_the_same_blocks_and_numbers():
    assert shape(SPANISH) == shape(ENGLISH)
    assert len(shape(ENGLISH)["yaml"]) == 4
    assert len(shape(ENGLISH)["arrows"]) == 5
    assert len(shape(ENGLISH)["publish"]) == 1


def test_the_yaml_of_the_spanish_page_runs_too(run, probe):
    blocks = yaml_blocks(SPANISH)
    runtime = run(page_application("memory_driver", "tasks", "task_consumer", blocks=blocks), RECORD)

    runtime.publish(TASKS, "hola")

    assert probe.wait(1) == ["hola"]
    assert yaml.safe_load(blocks["task_handler"])[0]["kind"] == "function.lua"
