"""From publish to ack: what handlers get, how they end, what follows."""

import threading

import pytest

from noria.actors import Runtime
from noria.actors.errors import (
    AlreadySettled,
    BodyRefused,
    NotInHandler,
    NotRunning,
    QueueFull,
    QueueNotFound,
)
from noria.actors.events import MessageAcked, MessageDeadLettered, MessageFailed

TASKS = """
    version: "1.0"
    namespace: app
    entries:
      - name: memory
        kind: queue.driver.memory
      - name: dead
        kind: queue.queue
        driver: memory
      - name: tasks
        kind: queue.queue
        driver: memory
        redelivery: {{initial_delay: 10ms, max_delay: 20ms, jitter: 0}}
        {queue}
      - name: handler
        kind: function.python
        source: file://handlers.py
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        {consumer}
        lifecycle: {{auto_start: true}}
"""
DEAD = "dead_letter: {queue: dead, max_attempts: 3}"


def tasks(queue: str = "", consumer: str = "") -> str:
    return TASKS.format(queue=queue, consumer=consumer)


def dead_letters(runtime: Runtime) -> list:
    """The messages in app:dead, taken out through its driver."""
    queue = runtime._seat.topology.queues["app:dead"]
    taken: list = []
    arrived = threading.Event()

    def deliver(deliveries):
        taken.extend(deliveries)
        arrived.set()

    subscription = queue.driver.subscribe(queue.name, consumer="test", credit=100, deliver=deliver)
    assert arrived.wait(20), "no dead letter came"
    subscription.close()
    return [delivery.message for delivery in taken]


def test_a_returned_value_acks_whatever_it_is(start, probe, events):
    runtime = start(tasks(), "import probe\ndef handler(body):\n    return body")
    acked = events(runtime, MessageAcked)

    for value in (False, None, 0, {"error": "no"}):
        runtime.publish("app:tasks", value)

    acked.wait(4)
    runtime.wait_idle(20)
    assert runtime.info("app:tasks")["message_count"] == 0


def test_the_handler_gets_the_decoded_body(start, probe):
    runtime = start(tasks(), "import probe\ndef handler(body):\n    probe.record(body)")
    body = {"text": "grüße", "list": [1, 2.5, None, True], "nested": {"a": {"b": []}}}

    runtime.publish("app:tasks", body)

    assert probe.wait(1) == [body]


def test_an_exception_nacks_and_the_message_comes_back_later_each_time(start, probe, events):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import message
        def handler(body):
            probe.record(message().attempt)
            if message().attempt < 4:
                raise ValueError("not yet")
        """,
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", "x")

    assert probe.wait(4) == [1, 2, 3, 4]
    assert [event.delay for event in failed.records] == [0.01, 0.02, 0.02]
    assert "ValueError: not yet" in failed.records[0].error
    assert "handlers.py:7" in failed.records[0].error


def test_attempts_end_in_the_dead_letter_queue_with_the_reason_in_headers(start, probe):
    runtime = start(
        tasks(queue=DEAD),
        "import probe\ndef handler(body):\n    probe.record(body)\n    raise RuntimeError('never')",
    )

    sent = runtime.publish("app:tasks", {"n": 1}, {"correlation_id": "c"})

    [dead] = dead_letters(runtime)
    assert dead.id == sent
    assert dead.body == b'{"n":1}'
    assert dead.headers["x_original_queue"] == "app:tasks"
    assert dead.headers["x_dead_letter_reason"] == "max_attempts"
    assert dead.headers["attempts"] == 3
    assert dead.headers["correlation_id"] == "c"
    assert "RuntimeError: never" in dead.headers["x_dead_letter_error"]
    assert isinstance(dead.headers["x_dead_letter_time"], int)
    assert len(probe.records) == 3


def test_reject_dead_letters_at_once(start, probe):
    runtime = start(
        tasks(queue=DEAD),
        """
        import probe
        from noria.actors import Reject
        def handler(body):
            probe.record(body)
            raise Reject("bad address")
        """,
    )

    runtime.publish("app:tasks", "x")

    [dead] = dead_letters(runtime)
    assert dead.headers["x_dead_letter_reason"] == "rejected"
    assert dead.headers["x_dead_letter_error"] == "bad address"
    assert len(probe.records) == 1


def test_reject_without_a_dead_letter_queue_keeps_the_message(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import Reject, message
        def handler(body):
            probe.record(message.attempt)
            if message.attempt < 3:
                raise Reject("still kept")
        """,
    )

    runtime.publish("app:tasks", "x")

    assert probe.wait(3) == [1, 2, 3]


def test_retry_names_its_own_delay(start, probe, events):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import Retry, message
        def handler(body):
            probe.record(message.attempt)
            if message.attempt == 1:
                raise Retry(delay=0.03)
        """,
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", "x")

    probe.wait(2)
    assert [event.delay for event in failed.records] == [0.03]


@pytest.mark.parametrize(
    "statement", ["import sys; sys.exit(3)", "raise KeyboardInterrupt", "raise GeneratorExit"]
)
def test_a_handler_that_tries_to_end_the_process_fails_its_own_message_only(start, probe, statement):
    runtime = start(
        tasks(),
        f"""
        import probe
        def handler(body):
            probe.record(body)
            if probe.records.count("bad") == 1 and body == "bad":
                {statement}
        """,
    )

    runtime.publish("app:tasks", "bad")
    runtime.publish("app:tasks", "good")

    assert sorted(probe.wait(3)) == ["bad", "bad", "good"]
    runtime.wait_idle(20)
    assert runtime.tree()["state"] == "running"
    [consumer] = [child for child in runtime.tree()["children"] if child["id"] == "app:consumer"]
    assert [worker["restarts"] for worker in consumer["children"]] == [0]


def test_a_handler_may_settle_early_and_only_once(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import message
        def handler(body):
            message().ack()
            try:
                message().nack()
            except Exception as error:
                probe.record(type(error).__name__)
            raise ValueError("too late to matter")
        """,
    )

    runtime.publish("app:tasks", "x")

    assert probe.wait(1) == [AlreadySettled.__name__]
    runtime.wait_idle(20)


def test_an_early_nack_with_a_delay_redelivers(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import message
        def handler(body):
            probe.record(message.attempt)
            if message.attempt == 1:
                message.nack(delay=0.01)
        """,
    )

    runtime.publish("app:tasks", "x")

    assert probe.wait(2) == [1, 2]


def test_an_early_reject_dead_letters_and_what_the_handler_does_then_does_not_count(start, probe, events):
    runtime = start(
        tasks(DEAD),
        """
        import probe
        from noria.actors import message
        from noria.actors.errors import AlreadySettled
        def handler(body):
            message.reject("bad address")
            try:
                message.nack()
            except AlreadySettled as error:
                probe.record(type(error).__name__)
            raise ValueError("of no consequence")
        """,
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "x")

    [letter] = dead.wait(1)
    assert (letter.reason, letter.error, letter.attempts) == ("rejected", "bad address", 1)
    assert probe.wait(1) == ["AlreadySettled"]
    runtime.wait_idle(20)


def test_the_current_message_tells_its_id_queue_headers_and_attempt(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import message
        def handler(body):
            m = message()
            headers = m.headers
            headers["mutated"] = True
            probe.record((m.id, m.queue, m.attempt, m.header("tenant"), m.header("nothing"), sorted(m.headers)))
        """,
    )

    sent = runtime.publish("app:tasks", "x", {"tenant": "t1"})

    assert probe.wait(1) == [(sent, "app:tasks", 1, "t1", None, ["tenant", "timestamp"])]


def test_auto_ack_settles_before_the_handler_runs(start, probe):
    runtime = start(
        tasks(consumer="auto_ack: true"),
        """
        import probe
        def handler(body):
            probe.record("run")
            probe.pass_gate()
            raise ValueError("nobody retries this")
        """,
    )

    runtime.publish("app:tasks", "x")
    probe.wait(1)

    assert runtime.info("app:tasks")["message_count"] == 0
    probe.gate.set()
    runtime.wait_idle(20)
    assert probe.records == ["run"]


def test_async_handlers_run_and_their_tasks_inherit_the_context(start, probe):
    runtime = start(
        tasks(),
        """
        import asyncio, probe
        from noria.actors import message
        async def handler(body):
            async def inner():
                await asyncio.sleep(0)
                probe.record(message().id)
            await asyncio.gather(inner(), inner())
        """,
    )

    sent = runtime.publish("app:tasks", "x")

    assert probe.wait(2) == [sent, sent]


def test_threads_started_through_the_helper_inherit_the_context_and_others_do_not(start, probe):
    runtime = start(
        tasks(),
        """
        import threading, probe
        from noria.actors import message, start_thread
        def look(name):
            try:
                probe.record((name, message().id))
            except Exception as error:
                probe.record((name, type(error).__name__))
        def handler(body):
            start_thread(look, "helper").join()
            plain = threading.Thread(target=look, args=("plain",))
            plain.start()
            plain.join()
        """,
    )

    sent = runtime.publish("app:tasks", "x")

    assert probe.wait(2) == [("helper", sent), ("plain", NotInHandler.__name__)]


def test_bodies_are_isolated_from_publisher_and_handlers(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        from noria.actors import message
        def handler(body):
            probe.record(list(body["items"]))
            body["items"].append("mutated by the handler")
            if message.attempt == 1:
                raise ValueError("again, please")
        """,
    )
    body = {"items": [1]}

    runtime.publish("app:tasks", body)
    body["items"].append("mutated by the publisher")

    assert probe.wait(2) == [[1], [1]]


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (CIRCLE, None, "the body is not plain JSON data"),
        ({1, 2}, None, "the body is not plain JSON data: Object of type set is not JSON serializable"),
        (float("nan"), None, "the body is not plain JSON data"),
        ("\ud800", None, "the body is not plain JSON data"),
        ("x", {"h": [1]}, "header h must be a text, a number, true, false or null, found list"),
        ("x", {1: "a"}, "a header's name must be a text, found 1"),
        ("x", {"h": float("inf")}, "header h must be a finite number, found inf"),
        ("x", [("h", 1)], "headers are a mapping, found list"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(start, body, headers, says):
    runtime = start(tasks(), "def handler(body): pass")

    with pytest.raises(BodyRefused) as caught:
        runtime.publish("app:tasks", body, headers)

    assert str(caught.value).startswith("cannot publish to app:tasks: ")
    assert says in str(caught.value)


def test_an_undecodable_body_goes_to_the_dead_letter_queue_and_never_to_a_handler(start, probe):
    runtime = start(tasks(queue=DEAD), "import probe\ndef handler(body):\n    probe.record(body)")
    queue = runtime._seat.topology.queues["app:tasks"]
    from noria.actors.delivery import Message

    queue.driver.publish(queue.name, [Message("m-1", b"\xff not json", {})], 1)

    [dead] = dead_letters(runtime)
    assert dead.id == "m-1"
    assert dead.body == b"\xff not json"
    assert dead.headers["x_dead_letter_reason"] == "undecodable"
    assert probe.records == []


def test_an_undecodable_body_without_dead_letter_queue_is_kept_and_retried_ever_slower(start, probe, events):
    runtime = start(tasks(), "import probe\ndef handler(body):\n    probe.record(body)")
    failed = events(runtime, MessageFailed)
    queue = runtime._seat.topology.queues["app:tasks"]
    from noria.actors.delivery import Message

    queue.driver.publish(queue.name, [Message("m-1", b"{", {})], 1)

    attempts = [(event.attempt, event.delay) for event in failed.wait(3)[:3]]
    assert attempts == [(1, 0.01), (2, 0.02), (3, 0.02)]
    assert "undecodable: the body is not JSON" in failed.records[0].error
    assert probe.records == []


def test_a_full_dead_letter_queue_leaves_the_message_where_it_is(start, probe, events):
    definition = tasks(queue=DEAD).replace(
        "name: dead\n        kind: queue.queue\n        driver: memory",
        "name: dead\n        kind: queue.queue\n        driver: memory\n        options: {max_length: 1}",
    )
    runtime = start(definition, "from noria.actors import Reject\ndef handler(body):\n    raise Reject('no')")
    failed, moved = events(runtime, MessageFailed), events(runtime, MessageDeadLettered)
    runtime.publish("app:dead", "occupied")

    sent = runtime.publish("app:tasks", "x")

    assert "kept: app:dead is full or not running" in failed.wait(2)[0].error
    assert moved.records == []
    dead_letters(runtime)
    assert runtime.info("app:tasks")["message_count"] == 1
    assert sent == failed.records[0].message


def test_publishing_inside_a_handler_reaches_the_next_queue(start, probe):
    definition = (
        tasks()
        + """
      - name: second
        kind: queue.queue
        driver: memory
      - name: second_handler
        kind: function.python
        source: file://handlers.py
        method: second
      - name: second_consumer
        kind: queue.consumer
        queue: second
        func: second_handler
        lifecycle: {auto_start: true}
    """
    )
    runtime = start(
        definition,
        """
        import probe
        from noria.actors import publish, publish_many
        def handler(body):
            publish("app:second", body + 1, {"via": "handler"})
            publish_many("app:second", [body + 2, body + 3])
        def second(body):
            probe.record(body)
        """,
    )

    runtime.publish("app:tasks", 1)
    runtime.wait_idle(20)

    assert probe.records == [2, 3, 4]


def test_publish_many_returns_the_ids_in_order(start, probe):
    runtime = start(
        tasks(),
        "import probe\nfrom noria.actors import message\ndef handler(body):\n    probe.record(message.id)",
    )

    sent = runtime.publish_many("app:tasks", range(50))

    assert probe.wait(50) == sent
    assert len(set(sent)) == 50


def test_a_full_queue_is_a_retryable_error_after_the_timeout(start, probe):
    definition = tasks(queue="options: {max_length: 2}", consumer="prefetch: 1")
    runtime = start(
        definition, "import probe\ndef handler(body):\n    probe.record(body)\n    probe.pass_gate()"
    )
    runtime.publish("app:tasks", 1)
    probe.wait(1)

    with pytest.raises(QueueFull) as caught:
        runtime.publish_many("app:tasks", [2, 3, 4], timeout=0)

    assert caught.value.accepted == 2
    assert caught.value.retryable
    assert str(caught.value) == "queue is full: app:tasks had no room within 0 s (2 accepted)"
    probe.gate.set()
    assert probe.wait(3) == [1, 2, 3]


def test_an_unknown_queue_is_an_error_with_the_nearest_name(start):
    runtime = start(tasks(), "def handler(body): pass")

    with pytest.raises(QueueNotFound, match=r"queue not found: app:task, did you mean app:tasks\?"):
        runtime.publish("app:task", "x")


@pytest.mark.parametrize("batch", ["abc", b"abc", {"a": 1}])
def test_one_body_is_no_batch(start, batch):
    runtime = start(tasks(), "def handler(body): pass")

    with pytest.raises(BodyRefused, match="a batch is a list of bodies, found one"):
        runtime.publish_many("app:tasks", batch)


def test_a_runtime_that_does_not_run_refuses_to_be_used(application):
    runtime = Runtime.load(application(tasks(), "def handler(body): pass"))

    for use in (
        lambda: runtime.publish("app:tasks", "x"),
        lambda: runtime.call("app:handler", "x"),
        lambda: runtime.info("app:tasks"),
        lambda: runtime.wait_idle(1),
    ):
        with pytest.raises(NotRunning, match="call start"):
            use()


def test_a_handler_cannot_stop_the_runtime_it_runs_in(start, probe):
    runtime = start(
        tasks(),
        """
        import probe
        def handler(body):
            try:
                probe.runtime.stop()
            except Exception as error:
                probe.record(type(error).__name__)
        """,
    )
    probe.runtime = runtime

    runtime.publish("app:tasks", "x")

    assert probe.wait(1) == ["StopFromHandler"]
    assert runtime.is_running


def test_a_delivery_outside_a_handler_is_an_error():
    from noria.actors import context, message, publish

    for use in (message, context, lambda: publish("app:tasks", 1), lambda: message.id):
        with pytest.raises(NotInHandler):
            use()
