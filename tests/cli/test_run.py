"""run: the installed program as a process, with its signals, exit codes and output."""

import json
import os
import shlex
import signal

import pytest

from noria.actors.cli.feeding import parsed
from noria.actors.cli.lines import Line

SLOW = """
import threading
release = threading.Event()

def handler(body):
    from noria.actors import context
    print("began", body, flush=True)
    if body == "stubborn":
        threading.Event().wait()
    context().cancelled.wait()
    print("ended", body, flush=True)
"""


def events(stderr: str) -> list[dict]:
    return [json.loads(line) for line in stderr.splitlines()]


def ended(stderr: str) -> dict:
    return next(line for line in events(stderr) if line.get("event") == "RunEnded")


def test_until_idle_handles_everything_and_ends(run, application):
    app = application(**{"in.jsonl": "1\n\n2\n   \n3"})
    code, stdout, stderr = run("run", app, "--publish", "app:tasks=app/in.jsonl", "--until-idle")

    assert code == 0
    assert sorted(stdout.splitlines()) == ["handled 1", "handled 2", "handled 3"]
    summary = ended(stderr)
    assert summary["handled"] == 3
    assert summary["problems"] == []
    assert summary["fed"] == [{"source": "app/in.jsonl", "queue": "app:tasks", "published": 3, "bad": 0}]
    assert summary["drain"]["abandoned"] == []


def test_dead_letters_are_told_and_are_no_failure_of_the_run(run, application):
    app = application(**{"in.jsonl": '"good"\n"bad"\n'})
    code, _, stderr = run(
        "run", app, "--publish", "tasks=app/in.jsonl", "--until-idle", "--log-format", "text"
    )

    assert code == 0
    assert "1 handled, 1 failed and delivered again, 1 dead-lettered, 0 denied" in stderr
    assert "  left     app:dead: 1 message, which nobody consumes\n" in stderr
    assert "dead letters: 1 max_attempts; each is in the log as `message dead lettered`" in stderr
    assert "message dead lettered  queue=app:tasks" in stderr
    assert "2 attempts: ValueError: no good" in stderr
    assert "gone with this process: its driver keeps them in memory; to handle them, declare a" in stderr


def test_a_denied_message_is_counted_and_dead_lettered(run, application):
    definition = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: dead, kind: queue.queue, driver: memory}
  - {name: tasks, kind: queue.queue, driver: memory, dead_letter: {queue: dead}}
  - name: worker
    kind: queue.consumer
    queue: tasks
    func: handle
    lifecycle: {auto_start: true, security: {actor: {id: acme}, policies: [none]}}
  - {name: handle, kind: function.python, source: file://handlers.py}
  - {name: none, kind: security.policy, policy: {actions: "*", resources: "*", effect: deny}}
"""
    app = application(definition, **{"in.jsonl": "1\n"})
    code, stdout, stderr = run("run", app, "--publish", "tasks=app/in.jsonl", "--until-idle")

    assert code == 0
    assert stdout == ""
    assert ended(stderr)["denied"] == 1
    assert ended(stderr)["left"] == {"app:dead": 1}


def test_a_bad_line_is_told_with_its_number_and_the_rest_is_published(run, application):
    app = application(**{"in.jsonl": '{"a": 1}\n{oops\nNaN\n"after"\n'})
    code, stdout, stderr = run(
        "run", app, "--publish", "app:tasks=app/in.jsonl", "--until-idle", "--log-format", "text"
    )

    assert code == 1
    assert "handled after" in stdout
    assert " app/in.jsonl:2: not JSON: Expecting property name" in stderr
    assert " app/in.jsonl:3: not JSON: NaN" in stderr
    assert "4: " not in stderr.partition("stopped after")[0]
    assert "  problem  2 input lines could not be published\n" in stderr


def test_bytes_that_are_no_text_are_a_bad_line(run, application):
    app = application()
    (app / "in.jsonl").write_bytes(b'\xef\xbb\xbf"with a mark"\n"\xff"\n')
    code, stdout, stderr = run("run", app, "--publish", "tasks=app/in.jsonl", "--until-idle")

    assert code == 1
    assert stdout == "handled with a mark\n"
    assert "app/in.jsonl:2: not UTF-8: byte 2" in stderr


def test_several_sources_are_fed_at_once(run, application):
    app = application(**{"a.jsonl": "1\n2\n", "b.jsonl": "3\n"})
    code, stdout, _ = run(
        "run",
        app,
        *("--publish", "tasks=app/a.jsonl", "--publish", "tasks=app/b.jsonl", "--publish", "tasks=-"),
        "--until-idle",
        text="4\n",
    )

    assert code == 0
    assert sorted(stdout.split()) == sorted(["handled", "1", "handled", "2", "handled", "3", "handled", "4"])


def test_a_full_queue_makes_the_feeder_wait(run, application):
    lines = "".join(f"{number}\n" for number in range(2000))
    app = application(handlers="def handler(body): pass\n", **{"in.jsonl": lines})
    code, _, stderr = run(
        "run", app, "-o", "app:tasks:options.max_length=10", "--publish", "tasks=app/in.jsonl", "--until-idle"
    )

    assert code == 0
    assert ended(stderr)["handled"] == 2000


def test_what_is_typed_is_published_line_by_line(start, application):
    running = start("run", application(), "--publish", "app:tasks=-", "--until-idle")

    running.say("1")
    running.wait_for("handled 1")
    running.say("2")
    running.wait_for("handled 2")
    code, stdout, _ = running.end('"last, without an end of line"')
    assert code == 0
    assert stdout == "handled last, without an end of line\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_gracefully(start, application, number):
    running = start("run", application(handlers=SLOW), "--publish", "app:tasks=-")
    running.say("1")
    running.wait_for("began 1")

    running.signal(number)
    code, stdout, stderr = running.end()

    assert code == 0
    assert stdout == "ended 1\n"
    summary = ended(stderr)
    assert summary["handled"] == 1
    assert summary["drain"]["finished"] == 1
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_at_once(start, application, number, expected):
    running = start("run", application(handlers=SLOW), "--publish", "app:tasks=-", "--log-level", "debug")
    running.say('"stubborn"')
    running.wait_for("began stubborn")

    running.signal(number)
    running.wait_for("ChildStopped", "stderr")  # the other worker has stopped: the stop is under way
    running.signal(number)
    code, _, stderr = running.end()

    assert code == expected
    assert f"noria: second {number.name}: ended at once" in stderr
    assert "Traceback" not in stderr


def test_a_handler_that_does_not_finish_is_named_and_the_process_ends(start, application):
    running = start("run", application(handlers=SLOW), "--publish", "app:tasks=-", "--stop-timeout", "0.5")
    running.say('"stubborn"')
    running.wait_for("began stubborn")

    running.signal(signal.SIGTERM)
    code, _, stderr = running.end()
    summary = ended(stderr)

    assert code == 1
    assert "app:worker/worker-" in summary["problems"][0]
    assert summary["left"] == {"app:tasks": 1}


def test_a_signal_while_starting_ends_the_start(start, application):
    handlers = "import sys, threading\nprint('importing', flush=True)\nthreading.Event().wait()\n"
    running = start("run", application(handlers=handlers + "def handler(body): pass\n"))
    running.wait_for("importing")

    running.signal(signal.SIGINT)
    code, _, stderr = running.end()

    assert code == 0
    assert "Traceback" not in stderr


def test_a_file_that_goes_bad_while_it_is_read_is_a_failure(run, application):
    app = application()
    code, _, stderr = run("run", app, "--publish", "tasks=/proc/self/mem", "--until-idle")

    assert code == 1
    assert any(problem.startswith("/proc/self/mem: ") for problem in ended(stderr)["problems"])


@pytest.mark.parametrize(
    ("publish", "message"),
    [
        ("app:task=app/in.jsonl", "queue not found; did you mean app:tasks?"),
        ("elsewhere:jobs=-", "queue not found; there are app:dead, app:tasks"),
        ("app:worker=-", "app:worker is a queue.consumer, not a queue; it takes from app:tasks"),
        ("app:memory=-", "app:memory is a queue.driver.memory, not a queue"),
        ("tasks", "expected QUEUE=FILE, or QUEUE=- for standard input"),
        ("tasks=app/missing.jsonl", "file not found: app/missing.jsonl"),
        ("tasks=app", "app is a directory"),
    ],
)
def test_a_wrong_publish_is_a_usage_error_before_anything_starts(noria, application, publish, message):
    result = noria("run", application(), "--publish", publish)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "child started" not in result.stderr


def test_a_bare_queue_name_may_not_be_ambiguous(noria, application):
    app = application(
        **{"b.yaml": "namespace: b\nentries:\n  - {name: tasks, kind: queue.queue, driver: app:memory}\n"}
    )
    result = noria("run", app, "--publish", "tasks=-")

    assert result.exit_code == 2
    assert "ambiguous queue, use its full ID: app:tasks, b:tasks" in result.stderr


def test_standard_input_is_read_once(noria, application):
    result = noria("run", application(), "--publish", "tasks=-", "--publish", "dead=-")

    assert result.exit_code == 2
    assert "standard input can only be read once" in result.stderr


def test_a_closed_standard_input_is_a_usage_error(run, application):
    app = application()
    code, _, stderr = run("run", app, "--publish", "tasks=-", preexec_fn=lambda: os.close(0))

    assert code == 2
    assert "standard input is closed" in stderr


def test_what_no_queue_can_carry_is_a_bad_line_and_its_neighbours_are_published(run, application):
    deep = "[" * 100_000
    code, stdout, stderr = run(
        "run", application(), "--publish", "tasks=-", "--until-idle", text=f'1\n"\\ud800"\n2\n{deep}\n'
    )
    told = [line["text"] for line in events(stderr) if line["event"] == "BadLine"]

    assert code == 1
    assert sorted(stdout.splitlines()) == ["handled 1", "handled 2"]
    assert sorted(text[:10] for text in told) == ["<stdin>:2:", "<stdin>:4:"]


def test_configuration_errors_exit_2(noria, application):
    result = noria("run", application("namespace: app\nentries:\n  - {name: q, kind: queue.queue}\n"))

    assert result.exit_code == 2
    assert result.stderr.startswith("app/app.yaml:3:5: app:q: ")


def test_a_handler_that_cannot_be_imported_exits_2_with_its_place(run, application):
    app = application(handlers="import nowhere_at_all\ndef handler(body): pass\n")
    code, _, stderr = run("run", app, "--log-format", "text")

    assert code == 2
    assert " app/handlers.py:1: app:handle: ModuleNotFoundError: No module named 'nowhere_at_all'" in stderr


def test_modules_of_the_application_are_found(run, application):
    definition = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: worker, kind: queue.consumer, queue: tasks, func: handle, lifecycle: {auto_start: true}}
  - {name: handle, kind: function.python, module: my_handlers}
"""
    app = application(definition, **{"my_handlers.py": "def handler(body): print('mine', body)\n"})
    code, stdout, _ = run("run", app, "--publish", "tasks=-", "--until-idle", text="1\n")

    assert code == 0
    assert stdout == "mine 1\n"


def test_unknown_kinds_are_skipped_with_a_warning(run, application):
    app = application(**{"web.yaml": "namespace: web\nentries:\n  - {name: home, kind: http.endpoint}\n"})
    code, _, stderr = run("run", app, "--until-idle", "--ignore-unknown-kinds")

    warning = next(line for line in events(stderr) if line["event"] == "EntrySkipped")

    assert code == 0
    assert warning["level"] == "warn"
    assert warning["text"] == "app/web.yaml:3:5: web:home is skipped: unknown kind http.endpoint"


def test_until_idle_does_not_wait_for_a_consumer_that_is_not_started(run, application):
    code, _, stderr = run(
        "run",
        application(),
        *("-o", "app:worker:lifecycle.auto_start=false", "--publish", "tasks=-", "--until-idle"),
        text="1\n",
    )

    assert code == 1
    assert ended(stderr)["left"] == {"app:tasks": 1}
    assert ended(stderr)["problems"] == [
        "app:tasks still holds 1 message: app:worker did not start by itself (lifecycle.auto_start is not true)"
    ]
    warning = next(line for line in events(stderr) if line["event"] == "ConsumerNotStarted")
    assert warning["level"] == "warn"
    assert warning["text"] == (
        "app/app.yaml:16:5: app:worker will not start by itself: lifecycle.auto_start is not true"
    )


def test_a_consumer_that_is_not_started_is_no_failure_when_nothing_was_fed_to_it(run, application):
    code, _, stderr = run("run", application(), "-o", "app:worker:lifecycle.auto_start=false", "--until-idle")

    assert code == 0
    assert ended(stderr)["problems"] == []


def test_a_file_of_the_application_does_not_shadow_the_standard_library(run, application):
    app = application(
        **{"queue.py": "raise ImportError('shadow')\n", "statistics.py": "raise ImportError('shadow')\n"},
        handlers="import queue, statistics\ndef handler(body): print(queue.Queue.__name__, body, flush=True)\n",
    )
    code, stdout, _ = run("run", app, "--publish", "tasks=-", "--until-idle", text="1\n")

    assert code == 0
    assert stdout == "Queue 1\n"


def test_lines_may_end_like_those_of_windows_and_be_long(run, application):
    app = application(handlers="def handler(body): print(type(body).__name__, len(body), flush=True)\n")
    (app / "in.jsonl").write_bytes(b'"a"\r\n\r\n"' + b"x" * 5_000_000 + b'"\r\n')
    code, stdout, stderr = run("run", app, "--publish", "tasks=app/in.jsonl", "--until-idle")

    assert code == 0
    assert sorted(stdout.splitlines()) == ["str 1", "str 5000000"]
    assert ended(stderr)["fed"][0]["bad"] == 0


def test_a_line_that_is_too_long_says_how_long_it_may_be():
    with pytest.raises(ValueError, match=r"^the line is longer than 16 MB$"):
        parsed(Line(1, None))


def test_a_denial_tells_once_for_each_consumer_how_to_ask_why(run, noria, tenants):
    (tenants / "in.jsonl").write_text("1\n2\n3\n")
    overrides = (
        *("-o", "app:few:policy.resources=none", "-o", "app:tasks:redelivery.max_delay=10ms"),
        *("-o", "app:tasks:dead_letter.queue=dead", "-o", "app:tasks:dead_letter.max_attempts=1"),
    )
    (tenants / "dead.yaml").write_text(
        "namespace: app\nentries:\n  - {name: dead, kind: queue.queue, driver: memory}\n"
    )
    code, _, stderr = run("run", tenants, "--publish", "tasks=app/in.jsonl", "--until-idle", *overrides)
    denials = [line for line in events(stderr) if line.get("event") == "Denied"]

    assert code == 0
    assert len(denials) == 3
    assert [line.get("explain") for line in denials] == [
        "noria policy explain app --as app:worker funcs.call app:handle",
        None,
        None,
    ]
    explained = noria(*shlex.split(denials[0]["explain"])[1:], *overrides)
    assert explained.exit_code == 1
    assert "app:few" in explained.stdout


def test_log_lines_are_json_and_hold_no_body(run, application):
    code, _, stderr = run(
        "run",
        application(),
        "--publish",
        "tasks=-",
        "--until-idle",
        "--log-level",
        "debug",
        text='"my-secret"\n',
    )
    lines = events(stderr)

    assert code == 0
    assert "my-secret" not in stderr
    assert all({"time", "level", "logger", "text"} <= set(line) for line in lines)
    assert [line["event"] for line in lines].count("MessageAcked") == 1
    started = [
        line["child"] for line in lines if line["event"] == "ChildStarted" and line["supervisor"] == "runtime"
    ]
    assert started == ["app:memory", *sorted(started[1:-1]), "app:worker"]


def test_a_short_run_logs_nothing_but_its_end(run, application):
    code, _, stderr = run("run", application(), "--publish", "tasks=-", "--until-idle", text="1\n")

    assert code == 0
    assert [line["event"] for line in events(stderr)] == ["RunEnded"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_run_stops_when_nobody_reads_it_any_more(start, application, stream):
    reading, writing = os.pipe()
    running = start("run", application(), "--publish", "tasks=-", **{stream: writing})
    os.close(writing)
    if stream == "stdout":
        running.say("1")
        assert os.read(reading, 100) == b"handled 1\n"
    os.close(reading)
    code = running.process.wait(60)
    _, stdout, stderr = running.end()

    assert code == 1
    assert "Traceback" not in stdout + stderr
    if stream == "stdout":
        assert ended(stderr)["problems"] == ["nobody reads standard output any more"]


def test_an_output_that_was_never_open_does_not_stop_the_run(run, application):
    app = application(handlers="def handler(body): pass\n", **{"in.jsonl": "1\n"})
    code, _, stderr = run(
        "run", app, "--publish", "tasks=app/in.jsonl", "--until-idle", preexec_fn=lambda: os.close(1)
    )

    assert code == 0
    assert ended(stderr)["handled"] == 1


def test_nothing_to_run_is_a_warning(run, tmp_path):
    code, _, stderr = run("run", tmp_path, "--until-idle")

    assert code == 0
    assert events(stderr)[0]["event"] == "NothingToRun"
    assert events(stderr)[0]["text"].startswith("nothing to run: no definition file below ")


def test_a_file_of_another_encoding_says_which(run, application):
    app = application()
    (app / "in.jsonl").write_bytes("1\n".encode("utf-16"))
    _, _, stderr = run("run", app, "--publish", "tasks=app/in.jsonl", "--until-idle")

    assert events(stderr)[0]["text"] == (
        "app/in.jsonl:1: not UTF-8: byte 1; the file is UTF-16, save it as UTF-8"
    )


def test_a_drain_of_nothing_is_not_in_the_summary(run, application):
    code, _, stderr = run("run", application(), "--until-idle", "--log-format", "text")

    assert code == 0
    assert len(stderr.splitlines()) == 1


def test_log_level_and_format_come_from_the_settings(run, application):
    app = application(**{".noria.yaml": "logger: {level: error, format: text}\n"})
    code, _, stderr = run("run", app, "--until-idle")

    assert code == 0
    assert stderr.startswith("stopped after ")


def test_a_handlers_own_logging_is_printed_once(run, application):
    handlers = "import logging\ndef handler(body): logging.getLogger('mine').warning('saw %s', body)\n"
    code, _, stderr = run(
        "run", application(handlers=handlers), "--publish", "tasks=-", "--until-idle", text="1\n"
    )

    assert code == 0
    assert [line["text"] for line in events(stderr) if line["logger"] == "mine"] == ["saw 1"]
