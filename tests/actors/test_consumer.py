"""Consumers: credit, pool, deadlines, fairness, authorisation, and the four steps of stopping."""

import threading

import pytest
from pykka.messages import ProxyCall

from noria.actors import Runtime
from noria.actors.errors import NotIdle, NotRunning, StopIncomplete
from noria.actors.events import ConsumerDrained, MessageDeadLettered, MessageFailed, WorkerStuck
from noria.actors.handle import Handling
from noria.actors.supervision.errors import StartFailed
from noria.actors.supervision.events import ChildStopped, ChildStopTimeout
from noria.security.events import Denied

# A message that makes an actor fail.
POISON = ProxyCall(attr_path=("no_such_attribute",), args=(), kwargs={})

APP = """
    namespace: app
    entries:
      - {{name: memory, kind: queue.driver.memory}}
      - {{name: dead, kind: queue.queue, driver: memory}}
      - name: tasks
        kind: queue.queue
        driver: memory
        redelivery: {{initial_delay: 5ms, max_delay: 10ms, jitter: 0}}
        {queue}
      - {{name: handler, kind: function.python, source: "file://handlers.py"}}
      - name: consumer
        kind: queue.consumer
        queue: tasks
        func: handler
        {consumer}
        lifecycle:
          auto_start: true
          {lifecycle}
{more}
"""

HOLD = """
    import probe
    from noria.actors import context, message
    def handler(body):
        probe.record(body)
        probe.pass_gate()
"""


def app(queue: str = "", consumer: str = "", lifecycle: str = "", more: str = "") -> str:
    return APP.format(queue=queue, consumer=consumer, lifecycle=lifecycle, more=more)


def child(runtime: Runtime, child_id: str) -> dict:
    return next(each for each in runtime.tree()["children"] if each["id"] == child_id)


def figures(runtime: Runtime, child_id: str = "app:consumer") -> dict:
    return child(runtime, child_id)["figures"]


# ---- credit and pool -----------------------------------------------------------------------------------


def test_three_workers_hold_ten_messages_and_no_more(start, probe):
    """Seed: 'Driver delivers up to 10 messages to buffer'; '3 workers pull from buffer concurrently'."""
    runtime = start(app(consumer="concurrency: 3\n        prefetch: 10"), HOLD)

    runtime.publish_many("app:tasks", range(25))
    probe.wait(3)

    assert runtime.info("app:tasks") == {
        "message_count": 25,
        "ready": 15,
        "in_flight": 10,
        "delayed": 0,
        "consumer_count": 1,
    }
    assert figures(runtime)["busy"] == 3
    assert figures(runtime)["buffered"] == 7
    probe.gate.set()
    runtime.wait_idle(20)
    assert sorted(probe.records) == list(range(25))


def test_every_worker_may_hold_a_message_whatever_the_prefetch(start, probe):
    runtime = start(app(consumer="concurrency: 12\n        prefetch: 2"), HOLD)

    runtime.publish_many("app:tasks", range(30))
    probe.wait(12)

    assert runtime.info("app:tasks")["in_flight"] == 12


def test_a_thousand_workers_work_at_once(start, probe):
    runtime = start(app(queue="options: {max_length: 2000}", consumer="concurrency: 1000"), HOLD)

    runtime.publish_many("app:tasks", range(1000))

    probe.wait(1000)
    assert figures(runtime)["busy"] == 1000


def test_two_consumers_share_a_queue_and_a_slow_one_does_not_starve_the_other(start, probe):
    more = """
      - {name: fast_handler, kind: function.python, source: "file://handlers.py", method: fast}
      - name: fast
        kind: queue.consumer
        queue: tasks
        func: fast_handler
        prefetch: 1
        lifecycle: {auto_start: true}
"""
    runtime = start(
        app(consumer="prefetch: 1", more=more),
        """
        import probe
        def handler(body):
            probe.record("slow")
            probe.pass_gate()
        def fast(body):
            probe.record("fast")
        """,
    )

    runtime.publish_many("app:tasks", range(40))

    probe.wait_until(lambda records: records.count("fast") == 39 and records.count("slow") == 1)


# ---- deadlines -----------------------------------------------------------------------------------------


def test_a_handler_that_overruns_sees_its_cancellation_and_its_message_is_nacked(start, probe, events):
    runtime = start(
        app(consumer="timeout: 30ms"),
        """
        import probe
        from noria.actors import context, message
        def handler(body):
            if message.attempt == 1:
                assert context().cancelled.wait(20)
                probe.record(("cancelled", context().remaining()))
            else:
                probe.record("second attempt")
        """,
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", "x")

    assert sorted(map(str, probe.wait(2))) == ["('cancelled', 0.0)", "second attempt"]
    assert failed.records[0].error == "handler did not finish within 0.03 s"
    runtime.wait_idle(20)
    counted = figures(runtime)
    assert (counted["stuck"], counted["failed"], counted["acked"]) == (0, 1, 1)


def test_a_handler_that_ignores_its_deadline_is_stuck_named_in_the_tree_and_replaced(
    start, probe, events, monkeypatch
):
    monkeypatch.setattr("noria.actors.consumer.GRACE", 0.02)
    runtime = start(
        app(
            consumer="timeout: 20ms\n        concurrency: 1",
            queue="dead_letter: {queue: dead, max_attempts: 1}",
        ),
        """
        import probe
        def handler(body):
            probe.record(body)
            if body == "hang":
                probe.pass_gate()
        """,
    )
    stuck, dead = events(runtime, WorkerStuck), events(runtime, MessageDeadLettered)

    sent = runtime.publish("app:tasks", "hang")
    [event] = stuck.wait(1)
    runtime.publish("app:tasks", "next")

    assert probe.wait(2) == ["hang", "next"]
    assert (event.consumer, event.worker, event.function, event.message) == (
        "app:consumer",
        "worker-1",
        "app:handler",
        sent,
    )
    assert dead.wait(1)[0].reason == "max_attempts"
    [named] = [w for w in child(runtime, "app:consumer")["children"] if w["figures"].get("doing") == "stuck"]
    assert (named["id"], named["figures"]["message"]) == ("worker-1", sent)
    assert figures(runtime)["stuck"] == 1
    probe.gate.set()


def test_an_async_handler_is_cancelled_at_its_deadline(start, probe, events):
    runtime = start(
        app(consumer="timeout: 20ms"),
        """
        import asyncio, probe
        from noria.actors import message
        async def handler(body):
            if message.attempt > 1:
                return
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                probe.record("cancelled")
                raise
        """,
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", "x")

    assert probe.wait(1) == ["cancelled"]
    assert "handler did not finish within 0.02 s" in failed.wait(1)[0].error


# ---- authorisation -------------------------------------------------------------------------------------

SECURE = """security:
            actor: {id: w, meta: {tenant: acme}}
            policies: [%s]"""


def policy(name: str, actions: str, resources: str, extra: str = "effect: allow") -> str:
    return f"""
      - name: {name}
        kind: security.policy
        policy: {{actions: "{actions}", resources: "{resources}", {extra}}}
"""


def test_a_handler_runs_only_when_a_policy_allows_it(start, probe):
    runtime = start(
        app(lifecycle=SECURE % "allow", more=policy("allow", "funcs.call", "app:handler")),
        """
        import probe
        from noria.actors import context
        from noria.security import can, principal, scope
        def handler(body):
            probe.record((principal().id, context().principal.meta["tenant"], len(scope().policies())))
            probe.record((can("funcs.call", "app:handler"), can("funcs.call", "app:other")))
        """,
    )

    runtime.publish("app:tasks", "x")

    assert probe.wait(2) == [("w", "acme", 1), (True, False)]


def test_a_denied_message_never_runs_and_is_dead_lettered_with_the_reason(start, probe, events):
    runtime = start(
        app(
            queue="dead_letter: {queue: dead, max_attempts: 5}",
            lifecycle=SECURE % "other",
            more=policy("other", "funcs.call", "app:something_else"),
        ),
        "import probe\ndef handler(body):\n    probe.record(body)",
    )
    denied, dead = events(runtime, Denied), events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "x")

    [event] = dead.wait(1)
    assert (event.reason, event.attempts) == ("denied", 1)
    assert [(d.principal, d.action, d.resource) for d in denied.wait(1)] == [
        ("w", "funcs.call", "app:handler")
    ]
    assert probe.records == []
    assert runtime.guard.denials == 1
    assert figures(runtime)["denied"] == 1


def test_a_denied_message_without_dead_letter_queue_goes_back_ever_slower(start, probe, events):
    runtime = start(
        app(lifecycle=SECURE % "other", more=policy("other", "nothing", "*")),
        "import probe\ndef handler(body):\n    probe.record(body)",
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", "x")

    assert [event.delay for event in failed.wait(3)[:3]] == [0.005, 0.01, 0.01]
    assert failed.records[0].error.startswith("denied: ")
    assert probe.records == []


def test_policies_see_queue_consumer_message_headers_and_attempt(start, probe, events):
    conditions = (
        "effect: allow, conditions: ["
        "{field: meta.queue, operator: eq, value: 'app:tasks'},"
        "{field: meta.consumer, operator: eq, value: 'app:consumer'},"
        "{field: meta.message.attempt, operator: lte, value: 1},"
        "{field: meta.message.id, operator: exists, value: true},"
        "{field: meta.message.headers.tenant, operator: eq, value_from: actor.meta.tenant}]"
    )
    runtime = start(
        app(
            queue="dead_letter: {queue: dead}",
            lifecycle=SECURE % "own",
            more=policy("own", "funcs.call", "app:*", conditions),
        ),
        "import probe\ndef handler(body):\n    probe.record(body)",
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "mine", {"tenant": "acme"})
    foreign = runtime.publish("app:tasks", "foreign", {"tenant": "globex"})
    anonymous = runtime.publish("app:tasks", "anonymous")

    assert {event.message for event in dead.wait(2)} == {foreign, anonymous}
    runtime.wait_idle(20)
    assert probe.records == ["mine"]


def test_strict_mode_denies_a_consumer_without_a_principal(start, probe, events):
    runtime = start(
        app(queue="dead_letter: {queue: dead}"),
        "import probe\ndef handler(body):\n    probe.record(body)",
        settings="security: {strict_mode: true}",
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "x")

    assert dead.wait(1)[0].reason == "denied"
    assert probe.records == []


def test_publishing_in_a_handler_needs_both_permissions(start, probe):
    more = (
        policy("call", "funcs.call", "*")
        + policy("publish", "queue.publish*", "*")
        + policy("not_dead", "queue.publish.queue", "app:dead", "effect: deny")
    )
    runtime = start(
        app(lifecycle=SECURE % "call, publish, not_dead", more=more),
        """
        import probe
        from noria.actors import publish
        def handler(body):
            if body != "start":
                return probe.record(body)
            publish("app:tasks", "allowed")
            try:
                publish("app:dead", "forbidden")
            except Exception as error:
                probe.record(f"{type(error).__name__}: {error}")
        """,
    )

    runtime.publish("app:tasks", "start")

    error, allowed = sorted(probe.wait(2))
    assert allowed == "allowed"
    assert error.startswith("AccessDenied: ")
    assert "app:dead" in error
    assert runtime.info("app:dead")["message_count"] == 0


def test_a_consumer_that_may_not_consume_does_not_start(application):
    definition = app(
        lifecycle=SECURE % "call, elsewhere",
        more=policy("call", "funcs.call", "*")
        + policy("elsewhere", "queue.consume", "app:*", "effect: deny"),
    )
    runtime = Runtime.load(application(definition, "def handler(body): pass"))

    with pytest.raises(
        StartFailed, match=r"app:consumer: w may not queue.consume on 'app:tasks': app:elsewhere denies"
    ):
        runtime.start(20)

    assert runtime.tree() == {}


def test_an_audit_hook_sees_every_decision(start, probe):
    runtime = start(
        app(lifecycle=SECURE % "allow", more=policy("allow", "funcs.call", "app:handler")),
        "def handler(body): pass",
    )
    seen = []
    runtime.guard.audit(seen.append)

    runtime.publish_many("app:tasks", range(5))
    runtime.wait_idle(20)

    assert [(d.principal.id, d.action, d.decision.allowed) for d in seen] == [("w", "funcs.call", True)] * 5
    assert seen[0].meta["queue"] == "app:tasks"


# ---- stopping ------------------------------------------------------------------------------------------


def test_a_clean_stop_returns_the_unhandled_settles_the_running_and_doubles_nothing(start, probe, events):
    """Seed, graceful shutdown: the four steps; design, invariant 4."""
    runtime = start(
        app(consumer="concurrency: 2\n        prefetch: 6"),
        """
        import probe
        from noria.actors import context
        def handler(body):
            probe.record(body)
            assert context().cancelled.wait(20)
        """,
    )
    drained = events(runtime, ConsumerDrained)
    runtime.publish_many("app:tasks", range(10))
    probe.wait(2)

    report = runtime.stop()

    assert (report.finished, report.settled, report.returned, report.abandoned) == (2, 2, 4, ())
    assert drained.records[0].consumer == "app:consumer"
    runtime.start()
    probe.wait(4)
    runtime.stop()
    runtime.start()
    runtime.stop()
    assert sorted(probe.records)[: len(set(probe.records))] == sorted(set(probe.records))


def test_messages_survive_a_stop_and_are_handled_once_after_the_next_start(start, probe):
    runtime = start(app(consumer="prefetch: 4"), HOLD)
    runtime.publish_many("app:tasks", range(8))
    probe.wait(1)
    stopper = threading.Thread(target=runtime.stop)
    stopper.start()
    probe.gate.set()
    stopper.join(20)

    handled_before = list(probe.records)
    runtime.start()
    runtime.wait_idle(20)

    assert probe.records == list(range(8))
    assert handled_before == probe.records[: len(handled_before)]


def test_a_worker_that_does_not_finish_is_an_error_and_its_message_is_not_lost(start, probe):
    """Seed: 'Return error if workers don't finish in time'."""
    runtime = start(app(consumer="concurrency: 2", lifecycle="stop_timeout: 50ms"), HOLD)
    sent = runtime.publish("app:tasks", "hang")
    probe.wait(1)

    with pytest.raises(StopIncomplete) as caught:
        runtime.stop(5)

    assert caught.value.report.abandoned == (sent,)
    assert any("worker-" in name for name in caught.value.unfinished)
    assert sent in str(caught.value)
    probe.gate.set()
    runtime.start()
    assert probe.wait(2) == ["hang", "hang"]


def test_the_whole_stop_is_bounded_even_where_services_ask_for_more(start, probe):
    runtime = start(app(lifecycle="stop_timeout: 1h"), HOLD)
    runtime.publish("app:tasks", "hang")
    probe.wait(1)

    with pytest.raises(StopIncomplete):
        runtime.stop(0.2)


def test_stopping_twice_and_stopping_before_starting_is_harmless(application):
    runtime = Runtime.load(application(app(), "def handler(body): pass"))
    runtime.stop()
    runtime.start()
    runtime.stop()
    assert runtime.stop().finished == 0


def test_stopping_leaves_no_thread_behind(application):
    before = set(threading.enumerate())
    with Runtime.load(
        application(app(consumer="concurrency: 8"), "async def handler(body): pass")
    ) as runtime:
        runtime.publish_many("app:tasks", range(20))
        runtime.wait_idle(20)

    assert set(threading.enumerate()) - before == set()


def test_principal_and_scope_are_none_without_a_security_block(start, probe):
    runtime = start(
        app(),
        """
        import probe
        from noria.actors import context
        from noria.security import can, principal, scope
        def handler(body):
            probe.record((principal(), scope(), can("funcs.call", "app:handler"), context().principal))
        """,
    )

    runtime.publish("app:tasks", "x")

    assert probe.wait(1) == [(None, None, False, None)]


def test_a_message_that_two_workers_hang_on_is_abandoned_once_and_settled_by_nobody(start, probe):
    runtime = start(app(consumer="timeout: 20ms", lifecycle="stop_timeout: 50ms"), HOLD)
    sent = runtime.publish("app:tasks", "hang")
    probe.wait(2)  # the first worker was replaced

    with pytest.raises(StopIncomplete) as caught:
        runtime.stop(5)

    report = caught.value.report
    assert report.abandoned == (sent,)
    assert report.settled in {0, 1}  # one, where its time was up only after the stop began
    probe.gate.set()


def test_in_a_stop_that_runs_out_of_time_the_queue_outlives_its_consumer(start, probe, events):
    """What a handler settles before its consumer is given up still reaches the driver."""
    runtime = start(
        app(consumer="concurrency: 2"),
        """
        import probe
        from noria.actors import context
        def handler(body):
            probe.record(body)
            if body == "hang":
                probe.pass_gate()
            else:
                context().cancelled.wait(20)
        """,
    )
    ended = []
    runtime.bus.subscribe(lambda event: ended.append(event.child), ChildStopped)
    runtime.bus.subscribe(lambda event: ended.append(f"{event.child} gives up"), ChildStopTimeout)
    hang = runtime.publish("app:tasks", "hang")
    runtime.publish("app:tasks", "ends")
    probe.wait(2)

    with pytest.raises(StopIncomplete) as caught:
        runtime.stop(0.5)

    report = caught.value.report
    assert (report.finished, report.settled, report.abandoned) == (1, 1, (hang,))
    assert ended.index("app:consumer") < ended.index("app:tasks") < ended.index("app:memory")


def test_a_handler_that_still_runs_during_a_stop_can_publish_what_it_has_to(start, probe):
    more = """
      - {name: next, kind: queue.queue, driver: memory}
"""
    runtime = start(
        app(more=more),
        """
        import probe
        from noria.actors import context, publish
        def handler(body):
            probe.record(body)
            assert context().cancelled.wait(20)
            publish("app:next", body)
        """,
    )
    runtime.publish("app:tasks", "x")
    probe.wait(1)

    report = runtime.stop()

    assert (report.finished, report.settled, report.abandoned) == (1, 1, ())
    runtime.start()
    assert runtime.info("app:next")["ready"] == 1
    assert probe.records == ["x"]


def test_the_tree_can_be_looked_at_while_it_stops(start, probe):
    runtime = start(app(), HOLD)
    runtime.publish("app:tasks", "x")
    probe.wait(1)
    stopper = threading.Thread(target=runtime.stop)
    stopper.start()
    while runtime.is_running:
        threading.Event().wait(0.001)

    with pytest.raises(NotRunning, match="the runtime is stopping"):
        runtime.publish("app:tasks", "too late")
    assert child(runtime, "app:consumer")["state"] in {"running", "stopping"}
    with pytest.raises(NotRunning, match="the runtime is stopping"):
        runtime.start()
    probe.gate.set()
    stopper.join(20)

    assert runtime.tree() == {}


def test_a_message_that_kills_its_worker_ends_in_the_dead_letter_queue(start, probe, events, monkeypatch):
    """An attempt is counted when the handler starts, so a crash counts, too (decisions, queues)."""
    original = Handling._outcome

    def deadly(self, delivery, context):
        if delivery.message.body == b'"deadly"':
            delivery.started = True
            probe.record(delivery.attempt)
            raise SystemError("the worker is gone")
        return original(self, delivery, context)

    monkeypatch.setattr(Handling, "_outcome", deadly)
    runtime = start(app(queue="dead_letter: {queue: dead, max_attempts: 3}"), "def handler(body): pass")
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "deadly")
    runtime.publish("app:tasks", "harmless")

    [event] = dead.wait(1)
    assert (event.reason, event.attempts) == ("max_attempts", 3)
    assert "the worker is gone" in event.error
    assert probe.records == [1, 2, 3]
    runtime.wait_idle(20)
    assert figures(runtime)["acked"] == 1


def test_a_message_whose_consumer_died_under_it_does_not_run_more_often_than_allowed(start, probe, events):
    runtime = start(
        app(
            queue="dead_letter: {queue: dead, max_attempts: 2}",
            lifecycle="stop_timeout: 10ms\n          restart: {initial_delay: 1ms, max_delay: 1ms}",
        ),
        HOLD,
    )
    dead = events(runtime, MessageDeadLettered)
    runtime.publish("app:tasks", "x")

    for runs in (1, 2):
        probe.wait(runs)
        runtime._seat.supervision.ref("app:consumer").tell(POISON)

    [event] = dead.wait(1)
    probe.gate.set()
    assert (event.reason, event.attempts) == ("max_attempts", 2)
    assert event.error == "its last attempt never ended: the worker was lost"
    assert probe.records == ["x", "x"]


def test_the_runtime_is_not_idle_while_a_handler_runs_whose_message_was_settled_early(start, probe):
    runtime = start(app(consumer="auto_ack: true"), HOLD)
    runtime.publish("app:tasks", "x")
    probe.wait(1)

    with pytest.raises(NotIdle, match="a handler is still running"):
        runtime.wait_idle(0.05)

    probe.gate.set()
    runtime.wait_idle(20)


def test_nobody_waits_for_a_consumer_that_gave_up(start, probe):
    more = policy("nobody", "queue.consume", "app:tasks", "effect: deny")
    optional = "startup: optional\n          security: {actor: {id: w}, policies: [nobody]}"
    runtime = start(app(lifecycle=optional, more=more), HOLD)
    runtime.publish("app:tasks", "x")

    with pytest.raises(NotIdle, match=r"app:consumer gave up: w may not queue\.consume"):
        runtime.wait_idle()


def test_an_async_handler_that_does_not_end_is_cancelled_before_the_stop_gives_it_up(
    start, probe, monkeypatch
):
    monkeypatch.setattr("noria.actors.consumer.CANCEL_TASKS_AT", 0.01)
    runtime = start(
        app(),
        """
        import asyncio, probe
        async def handler(body):
            probe.record("begun")
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                probe.record("cancelled")
                raise
        """,
    )
    runtime.publish("app:tasks", "x")
    probe.wait(1)

    report = runtime.stop(20)

    assert probe.records == ["begun", "cancelled"]
    assert (report.finished, report.abandoned) == (1, ())


def test_retired_workers_are_forgotten_when_their_handlers_end(start, probe, events, monkeypatch):
    monkeypatch.setattr("noria.actors.consumer.GRACE", 0.01)
    runtime = start(app(consumer="timeout: 10ms", queue="dead_letter: {queue: dead, max_attempts: 1}"), HOLD)
    stuck, stopped = events(runtime, WorkerStuck), events(runtime, ChildStopped)
    runtime.publish("app:tasks", "x")
    stuck.wait(1)

    probe.gate.set()

    stopped.wait_until(lambda records: any(event.child == "worker-1" for event in records))
    runtime.publish("app:tasks", "y")
    probe.wait(2)
    names = {worker["id"] for worker in child(runtime, "app:consumer")["children"]}
    assert names == {"worker-2"}


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "5", True])
def test_a_delay_that_is_none_is_refused_before_anything_is_settled(start, probe, delay):
    runtime = start(
        app(),
        """
        import probe
        from noria.actors import Retry, message
        def handler(body):
            for wish in (lambda: message.nack(delay=probe.delay), lambda: Retry(delay=probe.delay)):
                try:
                    wish()
                except ValueError as error:
                    probe.record(str(error))
        """,
    )
    probe.delay = delay

    runtime.publish("app:tasks", "x")

    assert probe.wait(2) == [f"delay must be a number of seconds from 0, found {delay!r}"] * 2
    runtime.wait_idle(20)


def test_a_dead_letter_that_is_given_up_in_its_turn_keeps_its_first_origin(start, probe):
    definition = app(
        queue="dead_letter: {queue: dead}",
        more="""
      - {name: buried, kind: queue.queue, driver: memory}
      - name: undertaker
        kind: queue.consumer
        queue: dead
        func: handler
        lifecycle: {auto_start: true}
""",
    ).replace(
        "{name: dead, kind: queue.queue, driver: memory}",
        "{name: dead, kind: queue.queue, driver: memory, dead_letter: {queue: buried}}",
    )
    runtime = start(definition, "from noria.actors import Reject\ndef handler(body):\n    raise Reject('no')")

    runtime.publish("app:tasks", "x")
    runtime.wait_idle(20)

    buried = runtime._seat.topology.queues["app:buried"]
    taken = []
    buried.driver.subscribe(buried.name, consumer="test", credit=1, deliver=taken.extend)
    assert taken[0].message.headers["x_original_queue"] == "app:tasks"
