"""A handler that crashes or hangs harms its own message and nothing else; no process outlives its runtime."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from noria.actors.calling import context_for_call
from noria.actors.errors import HandlerTimeout, ProcessDied, StopIncomplete
from noria.actors.events import ConsumerDrained, MessageDeadLettered, MessageFailed, WorkerStuck
from noria.security.context import enter, leave


def figures(runtime, child_id="app:consumer"):
    return next(each["figures"] for each in runtime.tree()["children"] if each["id"] == child_id)


# ---- crashes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crash", "how"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os._exit(0)", "ended with exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("os.abort()", "was killed by SIGABRT"),
    ],
)
def test_a_crash_is_an_error_of_its_own_call_that_says_how(run, crash, how):
    runtime = run(
        f"import ctypes, os, signal\ndef handler(n):\n    if n == 13:\n        {crash}\n    return n"
    )

    with pytest.raises(ProcessDied, match=f"app:handler: its process [0-9]+ {how}") as caught:
        runtime.call("app:handler", 13)

    assert caught.value.retryable
    assert runtime.call("app:handler", 14) == 14


def test_a_crashing_handler_loses_no_message_and_its_attempts_are_exact(run, probe, events):
    runtime = run(
        """
        import os
        from noria.actors import message, publish
        def handler(n):
            if n % 10 == 3:
                os._exit(message.attempt)
            publish("app:told", n)
        """,
        queue="dead_letter: {queue: dead, max_attempts: 3}",
        consumer="concurrency: 2",
        size=2,
    )
    dead, failed = events(runtime, MessageDeadLettered), events(runtime, MessageFailed)

    runtime.publish_many("app:tasks", range(30))
    runtime.wait_idle(60)

    assert sorted(probe.records) == [n for n in range(30) if n % 10 != 3]
    assert [(letter.attempts, letter.reason) for letter in dead.records] == [(3, "max_attempts")] * 3
    assert sorted(event.attempt for event in failed.records) == [1, 1, 1, 2, 2, 2]
    assert all(f"ended with exit code {event.attempt}" in event.error for event in failed.records)
    assert figures(runtime)["acked"] == 27
    assert runtime.info("app:dead")["message_count"] == 3


def test_killing_children_at_random_loses_no_message(run, probe, events):
    """Whoever is told of a message kills, now and then, the process that told it: before its ack, or after, or idle."""
    runtime = run(
        """
        import os
        from noria.actors import publish
        def handler(n):
            publish("app:told", [n, os.getpid()])
        """,
        consumer="concurrency: 2",
        size=2,
    )
    failed = events(runtime, MessageFailed)
    chance = random.Random(7)
    runtime.publish_many("app:tasks", range(300))

    told = kills = 0
    while told < 250:
        told += chance.randint(1, 20)
        _, pid = probe.wait(told)[-1]
        with contextlib.suppress(ProcessLookupError):  # it was killed before, and this is what it said last
            os.kill(pid, signal.SIGKILL)
            kills += 1
    runtime.wait_idle(60)

    numbers = [n for n, _ in probe.records]
    assert set(numbers) == set(range(300))
    assert len(numbers) - 300 <= len(failed.records) <= kills
    assert figures(runtime)["acked"] == 300
    assert all("SIGKILL" in event.error for event in failed.records)


def test_a_crash_leaves_the_call_beside_it_alone(run, gate, probe):
    runtime = run(
        """
        import os
        from noria.actors import message, publish
        def handler(body):
            publish("app:told", os.getpid())
            if "gate" in body:
                open(body["gate"], "rb", buffering=0).read(1)
                publish("app:told", "finished")
            elif message.attempt == 1:
                os._exit(1)
        """,
        consumer="concurrency: 2",
        size=2,
    )

    runtime.publish("app:tasks", {"gate": gate.path})
    probe.wait(1)
    runtime.publish("app:tasks", {})
    probe.wait(3)
    gate.open()
    runtime.wait_idle(20)

    held, crashed, again, finished = probe.records
    assert finished == "finished"
    assert len({held, crashed, again}) == 3
    assert figures(runtime)["failed"] == 1


def test_a_child_that_is_killed_while_it_is_idle_costs_nobody_anything(run, process):
    runtime = run("import os\ndef handler():\n    return os.getpid()")
    first = process(runtime.call("app:handler"))

    os.kill(first.pid, signal.SIGKILL)
    assert first.has_ended()

    assert runtime.call("app:handler") != first.pid


def test_a_child_that_is_killed_while_it_is_busy_costs_one_attempt(run, probe, events):
    runtime = run(
        """
        import os
        from noria.actors import context, message, publish
        def handler(body):
            publish("app:told", os.getpid())
            if message.attempt == 1:
                context().cancelled.wait()
        """
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", None)
    [pid] = probe.wait()
    os.kill(pid, signal.SIGKILL)
    runtime.wait_idle(20)

    assert probe.records[1] != pid
    assert [(event.attempt, event.error.partition(": ")[2]) for event in failed.records] == [
        (1, f"app:handler: its process {pid} was killed by SIGKILL")
    ]


def test_a_signal_for_a_whole_service_is_not_for_its_children(run, probe):
    runtime = run(
        """
        import os, signal
        from noria.actors import publish
        def handler(body):
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
            publish("app:told", "still here")
        """
    )

    runtime.publish("app:tasks", None)

    assert probe.wait() == ["still here"]


def test_a_process_that_a_handler_forks_does_not_keep_the_news_of_a_crash_from_us(run):
    runtime = run(
        """
        import os, time
        def handler():
            if os.fork() == 0:
                time.sleep(600)
            os._exit(7)
        """
    )

    with pytest.raises(ProcessDied, match="ended with exit code 7"):
        runtime.call("app:handler")


# ---- time --------------------------------------------------------------------------------------------------

HANGS = {
    "sleeping": "time.sleep(600)",
    "spinning": "while True: pass",
    "holding the interpreter": "re.match('(a+)+$', 'a' * 50 + 'b')",
    "deaf": """
                while True:
                    try:
                        time.sleep(600)
                    except BaseException:
                        pass
    """,
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("hang", HANGS)
def test_a_handler_that_hangs_is_killed_at_its_timeout_and_the_next_one_runs(
    run, probe, events, process, hang
):
    code = textwrap.dedent(HANGS[hang]).strip().replace("\n", "\n" + " " * 16)
    runtime = run(
        f"""
        import os, re, signal, time
        from noria.actors import message, publish
        def handler(body):
            publish("app:told", os.getpid())
            if message.attempt == 1:
                {code}
        """,
        consumer="timeout: 300ms",
    )
    failed, stuck = events(runtime, MessageFailed), events(runtime, WorkerStuck)

    runtime.publish("app:tasks", None)
    [first] = probe.wait()
    hanging = process(first)
    runtime.wait_idle(30)

    assert hanging.has_ended()
    assert probe.records[1] != first
    assert "handler did not finish within 0.3 s" in failed.records[0].error
    assert [event.attempt for event in failed.records] == [1]
    assert stuck.records == []
    assert figures(runtime)["acked"] == 1


def test_a_handler_whose_time_is_over_may_tidy_up(run, probe, tmp_path):
    runtime = run(
        """
        import time
        from noria.actors import message
        def handler(file):
            if message.attempt == 1:
                try:
                    time.sleep(600)
                finally:
                    open(file, "w").write("tidy")
        """,
        consumer="timeout: 100ms",
    )

    runtime.publish("app:tasks", str(tmp_path / "file"))
    runtime.wait_idle(20)

    assert (tmp_path / "file").read_text() == "tidy"


def test_an_async_handler_is_cancelled_first(run, tmp_path):
    runtime = run(
        """
        import asyncio
        from noria.actors import message
        async def handler(file):
            if message.attempt == 1:
                try:
                    await asyncio.sleep(600)
                except asyncio.CancelledError:
                    open(file, "w").write("cancelled")
                    raise
        """,
        consumer="timeout: 100ms",
    )

    runtime.publish("app:tasks", str(tmp_path / "file"))
    runtime.wait_idle(20)

    assert (tmp_path / "file").read_text() == "cancelled"


def test_what_a_hanging_handler_has_started_is_killed_with_it(run, probe, process):
    runtime = run(
        """
        import subprocess
        from noria.actors import message, publish
        def handler(body):
            if message.attempt == 1:
                started = subprocess.Popen(["sleep", "600"])
                publish("app:told", started.pid)
                started.wait()
        """,
        consumer="timeout: 1s",
    )

    runtime.publish("app:tasks", None)
    [pid] = probe.wait()
    started = process(pid)
    runtime.wait_idle(20)

    assert started.has_ended()


def test_waiting_for_a_free_process_takes_no_time_of_a_handler(run, probe, gate, events):
    """Eight workers and one process: with a clock that ran while they wait, most would run out of time unseen."""
    runtime = run(
        """
        import time
        from noria.actors import publish
        def handler(n):
            time.sleep(0.15)
            publish("app:told", n)
        """,
        consumer="concurrency: 8\n    timeout: 600ms",
    )
    failed = events(runtime, MessageFailed)

    runtime.publish_many("app:tasks", range(8))

    assert sorted(probe.wait(8)) == list(range(8))
    assert failed.records == []


def test_a_call_within_a_handler_has_the_time_that_is_left(run, events):
    more = """
  - {name: slow, kind: function.python, source: "file://handlers.py", method: slow, pool: {type: process, size: 1}}
"""
    runtime = run(
        """
        import time
        from noria.actors import context, message
        def slow():
            time.sleep(600)
        def handler(body):
            if message.attempt == 1:
                context().runtime.call("app:slow")
        """,
        consumer="timeout: 300ms",
        more=more,
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", None)
    runtime.wait_idle(20)

    assert len(failed.records) == 1


def test_two_functions_that_call_each_other_in_a_circle_run_out_of_time_together(run, probe, gate):
    more = """
  - {name: other, kind: function.python, source: "file://handlers.py", method: other, pool: {type: process, size: 1}}
  - {name: others, kind: queue.queue, driver: memory}
  - {name: consumer2, kind: queue.consumer, queue: others, func: other, timeout: 700ms, lifecycle: {auto_start: true}}
"""
    runtime = run(
        """
        from noria.actors import context, message, publish
        def reach(function, gate):
            if gate and message.attempt == 1:
                publish("app:told", function)
                open(gate, "rb", buffering=0).read(1)
                context().runtime.call(function, None)
        def handler(gate):
            reach("app:other", gate)
        def other(gate):
            reach("app:handler", gate)
        """,
        consumer="timeout: 700ms",
        more=more,
    )

    runtime.publish("app:tasks", gate.path)
    runtime.publish("app:others", gate.path)
    probe.wait(2)
    gate.open()

    runtime.wait_idle(30)


# ---- stopping ------------------------------------------------------------------------------------------------


def test_a_stop_lets_a_handler_see_it_and_finish(run, probe, gate):
    runtime = run(
        """
        from noria.actors import context, publish
        def handler(body):
            publish("app:told", "begun")
            context().cancelled.wait()
            open(body, "rb", buffering=0).read(1)
            publish("app:told", "finished")
        """
    )
    runtime.publish("app:tasks", gate.path)
    probe.wait()

    gate.open()
    report = runtime.stop()

    assert report.abandoned == ()
    runtime.start()
    assert "finished" in probe.wait(2)


def test_what_does_not_finish_in_time_is_killed_and_its_message_is_not_lost(run, probe, process):
    runtime = run(
        """
        import os
        from noria.actors import message, publish
        def handler(body):
            publish("app:told", os.getpid())
            while message.attempt == 1:
                pass
        """,
        lifecycle="stop_timeout: 300ms",
    )
    message = runtime.publish("app:tasks", None)
    [pid] = probe.wait()
    hanging = process(pid)

    with pytest.raises(StopIncomplete) as caught:
        runtime.stop(10)

    assert hanging.has_ended()
    assert caught.value.report.abandoned == (message,)
    runtime.start()
    probe.wait(2)
    runtime.wait_idle(20)


def test_async_handlers_are_cancelled_before_the_time_is_up(run, probe, events):
    runtime = run(
        """
        import asyncio
        from noria.actors import message, publish
        async def handler(body):
            publish("app:told", "begun")
            if message.attempt == 1:
                await asyncio.sleep(600)
        """,
        lifecycle="stop_timeout: 8s",  # a fifth of it is left for the cancellation, also on a busy machine
    )
    failed = events(runtime, MessageFailed)
    runtime.publish("app:tasks", None)
    probe.wait()

    report = runtime.stop(20)

    assert report.abandoned == ()
    assert "CancelledError" in failed.wait()[0].error
    runtime.start()
    probe.wait(2)


def test_a_message_that_waits_for_a_process_goes_back_unseen(run, probe, gate):
    runtime = run(
        """
        from noria.actors import message, publish
        def handler(body):
            publish("app:told", [body["n"], message.attempt])
            open(body["gate"], "rb", buffering=0).read(1)
        """,
        consumer="concurrency: 2",
    )
    for n in (1, 2):
        runtime.publish("app:tasks", {"n": n, "gate": gate.path})
    probe.wait()
    stopping = threading.Thread(target=runtime.stop)
    drained = threading.Event()
    runtime.bus.subscribe(lambda _event: drained.set(), ConsumerDrained)

    stopping.start()
    gate.open()
    assert drained.wait(20)
    stopping.join()
    runtime.start()

    assert sorted(probe.wait(2)) == [[1, 1], [2, 1]]


def test_a_stop_leaves_no_process(run, probe, process, gate):
    runtime = run(
        """
        import os
        from noria.actors import publish
        def handler(gate):
            publish('app:told', os.getpid())
            open(gate, "rb", buffering=0).read(1)
        """,
        consumer="concurrency: 3",
        size=3,
    )
    runtime.publish_many("app:tasks", [gate.path] * 3)
    processes = [process(pid) for pid in set(probe.wait(3))]
    assert len(processes) == 3
    gate.open()
    runtime.wait_idle(20)

    runtime.stop()

    assert all(each.has_ended() for each in processes)
    for each in processes:
        with pytest.raises(ProcessLookupError):  # and nobody is left unburied
            os.kill(each.pid, 0)


@pytest.mark.parametrize("doing", ["time.sleep(600)", "re.match('(a+)+$', 'a' * 50 + 'b')", "pass"])
def test_no_process_outlives_a_runtime_that_is_killed(application, doing):
    """Its standard output ends when all who have it are gone: the runtime, its children, and what they started."""
    app = application(
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.python, source: file://handlers.py, pool: {type: process, size: 1}}",
        f"""
        import os, re, subprocess, time
        def handler():
            subprocess.Popen(["sleep", "600"])
            print("busy", flush=True)
            {doing}
        """,
    )
    program = (
        "import sys, threading\nfrom noria.actors import Runtime\n"
        "with Runtime.load(sys.argv[1]) as runtime:\n"
        "    runtime.call('app:f')\n    threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, app], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"

        parent.kill()

        assert parent.stdout.read() == ""


def test_a_timeout_out_of_a_direct_call_is_the_callers(run):
    """A call from the program has no deadline; one from a context that has one ends with it."""
    runtime = run("import time\ndef handler(seconds):\n    time.sleep(seconds)\n    return seconds")

    context = context_for_call(runtime, None).derive(deadline=time.monotonic() + 0.2)
    token = enter(context)
    try:
        with pytest.raises(HandlerTimeout):
            runtime.call("app:handler", 600)
    finally:
        leave(token)
    assert runtime.call("app:handler", 0) == 0
