"""In a worker process a handler finds what it finds in a thread: message, context, publishing, permission, logging."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from noria.actors import Runtime
from noria.actors.errors import CallsItself, FunctionBroken, HandlerFailed, NotSendable, QueueNotFound
from noria.actors.events import MessageDeadLettered, MessageFailed
from noria.registry import ConfigurationError
from noria.security.events import Denied


def test_a_call_runs_elsewhere_and_returns_its_result(run):
    runtime = run("import os\ndef handler(a, b):\n    return [os.getpid(), a + b]")

    pid, total = runtime.call("app:handler", 1, 2)

    assert pid != os.getpid()
    assert total == 3


def test_two_hundred_quick_calls_share_one_process(run):
    runtime = run("import os\ndef handler(n):\n    return os.getpid(), n")

    answers = [runtime.call("app:handler", n) for n in range(200)]

    assert [n for _, n in answers] == list(range(200))
    assert len({pid for pid, _ in answers}) == 1


def test_a_handler_sees_its_message_and_its_context(run, probe):
    runtime = run(
        """
        import time
        from noria.actors import context, message, publish
        def handler(body):
            seen = {
                "body": body, "id": message.id, "queue": message.queue, "attempt": message.attempt,
                "headers": message.headers, "header": message.header("colour"), "none": message.header("none"),
                "left": context().remaining(), "cancelled": context().cancelled.is_set(),
                "principal": context().principal, "values": dict(context().values),
            }
            publish("app:told", seen)
        """,
        consumer="timeout: 20s",
    )

    message = runtime.publish("app:tasks", {"n": [1, 2.5, None, "ä"]}, {"colour": "red"})

    [seen] = probe.wait()
    assert 0 < seen.pop("left") <= 20
    assert seen.pop("headers")["colour"] == "red"
    assert seen == {
        "body": {"n": [1, 2.5, None, "ä"]},
        "id": message,
        "queue": "app:tasks",
        "attempt": 1,
        "header": "red",
        "none": None,
        "cancelled": False,
        "principal": None,
        "values": {},
    }


def test_what_is_published_there_is_published_here_and_errors_come_back_with_their_fields(run, probe):
    runtime = run(
        """
        from noria.actors import publish, publish_many
        from noria.actors.errors import QueueNotFound
        def handler(body):
            ids = publish_many("app:told", (n for n in range(3)), {"h": 1})
            try:
                publish("app:tolt", None)
            except QueueNotFound as error:
                publish("app:told", [len(ids), error.queue, error.nearest, str(error)])
        """
    )

    runtime.publish("app:tasks", None)

    assert probe.wait(4) == [0, 1, 2, [3, "app:tolt", "app:told", str(QueueNotFound("app:tolt", "app:told"))]]


def test_acks_and_nacks_settle_at_once(run, probe, events):
    runtime = run(
        """
        from noria.actors import message, publish
        from noria.actors.errors import AlreadySettled
        def handler(body):
            if message.attempt == 1:
                message.nack(delay=0)
                try:
                    message.ack()
                except AlreadySettled as error:
                    publish("app:told", error.message_id)
            else:
                message.ack()
                raise ValueError("of no consequence")
        """
    )
    failed = events(runtime, MessageFailed)

    message = runtime.publish("app:tasks", None)
    runtime.wait_idle(20)

    assert probe.records == [message]
    assert [event.error for event in failed.records] == ["nack by the handler"]


def test_a_message_is_rejected_at_once(run, events):
    runtime = run(
        """
        from noria.actors import message
        def handler(body):
            message.reject(body)
            raise ValueError("of no consequence")
        """,
        queue="dead_letter: {queue: dead}",
    )
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", "bad address")

    [letter] = dead.wait(1)
    assert (letter.reason, letter.error, letter.attempts) == ("rejected", "bad address", 1)


def test_retry_and_reject_keep_their_meaning_also_for_classes_that_only_the_file_has(run, events):
    runtime = run(
        """
        from noria.actors import Reject, Retry, message
        class Busy(Retry):
            pass
        class Wrong(Reject):
            def __init__(self, a, b):
                super().__init__(f"{a} and {b}")
        def handler(body):
            if message.attempt == 1:
                raise Retry("once", delay=0.001)
            if message.attempt == 2:
                raise Busy("twice", delay=0.002)
            raise Wrong("this", "that")
        """,
        queue="dead_letter: {queue: dead}",
    )
    failed, dead = events(runtime, MessageFailed), events(runtime, MessageDeadLettered)

    runtime.publish("app:tasks", None)
    [letter] = dead.wait()

    assert [(event.error, event.delay) for event in failed.records] == [("once", 0.001), ("twice", 0.002)]
    assert (letter.attempts, letter.reason, letter.error) == (3, "rejected", "this and that")


def test_an_error_names_its_place_in_the_handlers_file(run, events, tmp_path):
    runtime = run(
        """
        from noria.actors import message
        class Own(Exception):
            pass
        def handler(body):
            if message.attempt == 1:
                return 1 / 0
            raise Own("mine")
        """,
        queue="dead_letter: {queue: dead, max_attempts: 2}",
    )
    dead, failed = events(runtime, MessageDeadLettered), events(runtime, MessageFailed)

    runtime.publish("app:tasks", None)
    [letter] = dead.wait()

    file = tmp_path / "app" / "handlers.py"
    assert failed.records[0].error == f"ZeroDivisionError: division by zero ({file}:7)"
    assert letter.error.endswith(f"Own: mine ({file}:8)")


def test_a_caller_gets_the_error_itself_with_the_other_traceback_as_its_cause(run):
    runtime = run("def handler(x):\n    return {}[x]\n")

    with pytest.raises(KeyError) as caught:
        runtime.call("app:handler", "k")

    assert caught.value.args == ("k",)
    assert 'handlers.py", line 2, in handler' in str(caught.value.__cause__)


def test_an_error_of_a_class_of_the_file_comes_out_as_its_description(run):
    runtime = run("class Own(Exception):\n    pass\ndef handler():\n    raise Own('mine')\n")

    with pytest.raises(HandlerFailed, match=r"^Own: mine \(.*handlers.py:4\)"):
        runtime.call("app:handler")


@pytest.mark.parametrize("ending", ["SystemExit('bye')", "KeyboardInterrupt", "GeneratorExit"])
def test_what_ends_a_program_fails_only_its_own_message(run, probe, events, ending):
    runtime = run(
        f"""
        import os
        from noria.actors import message, publish
        def handler(body):
            publish("app:told", os.getpid())
            if message.attempt == 1:
                raise {ending}
        """
    )
    failed = events(runtime, MessageFailed)

    runtime.publish("app:tasks", None)
    runtime.wait_idle(20)

    first, second = probe.records
    assert first == second
    assert ending.partition("(")[0] in failed.records[0].error


def test_an_async_handler_runs_and_keeps_its_context(run, probe):
    runtime = run(
        """
        import asyncio
        from noria.actors import message, publish
        async def tell(word):
            await asyncio.sleep(0)
            await asyncio.to_thread(publish, "app:told", [word, message.attempt])
        async def handler(body):
            await asyncio.gather(tell("a"), tell("b"))
        """
    )

    runtime.publish("app:tasks", None)

    assert sorted(probe.wait(2)) == [["a", 1], ["b", 1]]


def test_threads_of_a_handler_may_publish_until_it_has_ended(run, probe):
    runtime = run(
        """
        import threading
        from noria.actors import message, publish, start_thread
        from noria.actors.errors import NotInHandler
        ended = threading.Event()
        late, threads = [], []
        def during():
            publish("app:told", "during")
        def after():
            ended.wait(20)
            try:
                publish("app:told", "after")
            except NotInHandler:
                late.append("refused")
        def handler(body):
            if body == "second":
                ended.set()
                threads[0].join(20)
                publish("app:told", late)
                return
            threads.extend(start_thread(target) for target in (after, *[during] * 5))
            for each in threads[1:]:
                each.join()
        """
    )

    runtime.publish_many("app:tasks", ["first", "second"])

    assert probe.wait(6) == ["during"] * 5 + [["refused"]]


SECURED = """
  - {name: may_tell, kind: security.policy, groups: [tellers], policy: {actions: [queue.publish, funcs.call], resources: "*", effect: allow}}
  - name: to_told
    kind: security.policy
    groups: [tellers]
    policy: {actions: queue.publish.queue, resources: "app:told", effect: allow}
"""


def test_a_handler_acts_under_its_principal_and_is_authorised_in_the_runtime(run, probe, events):
    runtime = run(
        """
        from noria.actors import context, message, publish
        from noria.registry import EntryID
        from noria.security import AccessDenied, can, principal, scope
        def handler(body):
            seen = [principal().id, principal().meta["team"], can("queue.publish.queue", "app:told")]
            seen += [can("queue.publish.queue", "app:tasks"), scope().contains(EntryID.parse("app:to_told"))]
            seen += [len(scope()), scope().evaluate(principal(), "queue.publish.queue", "app:told").outcome]
            try:
                publish("app:tasks", "never")
            except AccessDenied as error:
                seen += [error.principal.id, error.action, error.resource]
            publish("app:told", seen)
        """,
        lifecycle="security: {actor: {id: teller, meta: {team: red}}, groups: [tellers]}",
        more=SECURED,
    )
    denied = events(runtime, Denied)

    runtime.publish("app:tasks", None)

    [seen] = probe.wait()
    assert seen == [
        "teller",
        "red",
        True,
        False,
        True,
        2,
        "allow",
        "teller",
        "queue.publish.queue",
        "app:tasks",
    ]
    assert len(denied.records) == 2  # can() and publish(), both decided and counted here


def test_a_context_for_somebody_else_gets_no_rights_of_the_first_one(run, probe):
    runtime = run(
        """
        from noria.actors import context, publish
        from noria.actors.errors import NotInProcess
        from noria.security import Principal, can
        from noria.security.context import enter, leave
        def handler(body):
            refused = []
            token = enter(context().derive(principal=Principal("nobody")))
            for attempt in (lambda: publish("app:told", "stolen"), lambda: can("queue.publish", "")):
                try:
                    attempt()
                except NotInProcess:
                    refused.append(True)
            leave(token)
            publish("app:told", refused)
        """,
        lifecycle="security: {actor: {id: teller}, groups: [tellers]}",
        more=SECURED,
    )

    runtime.publish("app:tasks", None)

    assert probe.wait() == [[True, True]]


def test_a_handler_calls_other_functions_and_never_itself(run, application):
    handlers = """
        from noria.actors import context
        from noria.actors.errors import CallsItself
        def handler(n, deeper=False):
            if deeper:
                return context().runtime.call("app:handler", n)
            return context().runtime.call("app:other", n) + 1
        def other(n):
            return 2 * n
    """
    more = '  - {name: other, kind: function.python, source: "file://handlers.py", method: other, pool: {type: process, size: 1}}'
    runtime = run(handlers, more=more)

    assert runtime.call("app:handler", 5) == 11
    with pytest.raises(CallsItself, match="app:handler has worker processes and cannot call itself"):
        runtime.call("app:handler", 5, "deeper")


def test_what_cannot_travel_is_refused_and_the_process_lives_on(run, probe):
    runtime = run(
        """
        import os
        def handler(x):
            return os.getpid() if x == "pid" else (lambda: x)
        """
    )
    pid = runtime.call("app:handler", "pid")

    with pytest.raises(NotSendable, match="app:handler: an argument cannot be sent from process to process"):
        runtime.call("app:handler", lambda: 1)
    with pytest.raises(NotSendable, match="app:handler: its result cannot be sent from process to process"):
        runtime.call("app:handler", 1)
    assert runtime.call("app:handler", "pid") == pid


def test_who_waits_for_a_process_is_shown_as_waiting(run, probe, gate):
    runtime = run(
        """
        from noria.actors import publish
        def handler(gate):
            publish("app:told", None)
            open(gate, "rb", buffering=0).read(1)
        """,
        consumer="concurrency: 2",
    )

    runtime.publish_many("app:tasks", [gate.path] * 2)
    probe.wait()

    consumer = next(each for each in runtime.tree()["children"] if each["id"] == "app:consumer")
    # The second message may be on its way from the buffer to its worker.
    assert (
        {"handling"}
        <= {each["figures"]["doing"] for each in consumer["children"]}
        <= {
            "handling",
            "waiting",
            "idle",
        }
    )


def test_large_bodies_and_results_travel(run):
    runtime = run("def handler(text):\n    return text[::-1]")
    text = "0123456789" * 500_000

    assert runtime.call("app:handler", text) == text[::-1]


def test_what_only_the_file_knows_is_refused_as_a_result_and_as_a_body(run, probe):
    runtime = run(
        """
        import os
        from dataclasses import dataclass
        from noria.actors import context
        from noria.actors.errors import NotSendable
        @dataclass
        class Point:
            x: int
        def handler(what):
            if what == "pid":
                return os.getpid()
            if what == "result":
                return Point(1)
            try:
                context().runtime.publish("app:told", Point(1))
            except NotSendable as error:
                return str(error)
        """
    )
    pid = runtime.call("app:handler", "pid")

    with pytest.raises(NotSendable, match="app:handler: its result cannot be sent"):
        runtime.call("app:handler", "result")
    assert runtime.call("app:handler", "body").startswith("publish_many: an argument cannot be sent")
    assert runtime.call("app:handler", "pid") == pid


def test_a_handler_cannot_stop_what_waits_for_it_nor_use_what_is_not_there(run):
    runtime = run(
        """
        from noria.actors import context
        from noria.actors.errors import NotInProcess, StopFromHandler
        def handler():
            runtime = context().runtime
            try:
                runtime.stop()
            except StopFromHandler:
                pass
            try:
                runtime.tree()
            except NotInProcess as error:
                return str(error), runtime.info("app:dead")["message_count"]
        """
    )

    assert runtime.call("app:handler") == ("there is no runtime.tree in a worker process", 0)


def test_a_caller_that_is_interrupted_leaves_a_pool_that_works(run, gate, tmp_path):
    """As a Ctrl-C does, in the thread that waits for the result."""
    runtime = run(
        """
        import os
        def handler(begun=None, gate=None):
            if begun:
                open(begun, "w").close()
                open(gate, "rb", buffering=0).read(1)
            return os.getpid()
        """
    )
    begun, caller = tmp_path / "begun", threading.get_ident()
    os.mkfifo(begun)

    def interrupt():
        begun.read_bytes()  # until the handler has opened it, too
        signal.pthread_kill(caller, signal.SIGINT)

    first = runtime.call("app:handler")
    threading.Thread(target=interrupt).start()

    with pytest.raises(KeyboardInterrupt):
        runtime.call("app:handler", str(begun), gate.path)

    assert runtime.call("app:handler") != first


def test_what_a_handler_of_messages_returns_may_be_anything(run):
    runtime = run("def handler(body):\n    return lambda: body")

    runtime.publish("app:tasks", 1)
    runtime.wait_idle(20)

    assert runtime.info("app:tasks")["message_count"] == 0


def test_logging_comes_out_of_this_process(run, caplog):
    caplog.set_level(logging.INFO, logger="shop")
    runtime = run(
        """
        import logging
        def handler(n):
            log = logging.getLogger("shop.till")
            log.debug("not shown")
            log.info("sold %d", n, extra={"odd": lambda: 1})
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("badly")
        """
    )

    runtime.call("app:handler", 3)

    sold, badly = [record for record in caplog.records if record.name == "shop.till"]
    assert (sold.getMessage(), sold.levelname) == ("sold 3", "INFO")
    assert badly.getMessage().startswith("badly\nTraceback")


def test_print_goes_where_it_goes(tmp_path, application):
    application(
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.python, source: file://handlers.py, pool: {type: process}}",
        "def handler(x):\n    print('said', x)",
    )
    # Without a guard for the main module: the children do not run it.
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import sys
            from noria.actors import Runtime
            with Runtime.load(sys.argv[1]) as runtime:
                runtime.call("app:f", 1)
            print("over")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "main.py", tmp_path / "app"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout.splitlines(), done.stderr) == (["said 1", "over"], "")


@pytest.mark.parametrize(
    ("handlers", "problem", "line"),
    [
        ("import json\nimport no_such_library\ndef handler(): pass", "No module named 'no_such_library'", 2),
        ("x = 1\ny = x / 0\ndef handler(): pass", "ZeroDivisionError: division by zero", 2),
        ("import os\nos._exit(3)\ndef handler(): pass", "while it was loaded, its process", 1),
        ("import os\nos.kill(os.getpid(), 11)\ndef handler(): pass", "was killed by SIGSEGV", 1),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_start_up_error(load, handlers, problem, line):
    runtime = load(handlers)

    with pytest.raises(FunctionBroken) as caught:
        runtime.start()

    assert f"handlers.py:{line}: app:handler: " in str(caught.value)
    assert problem in str(caught.value)
    assert runtime.tree() == {}


def test_a_function_of_an_installed_module_works_too(start):
    runtime = start(
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.python, module: json, method: dumps, pool: {type: process, size: 1}}"
    )

    assert runtime.call("app:f", [1, 2]) == "[1, 2]"


@pytest.mark.parametrize(
    ("pool", "problem"),
    [
        ("{type: thread}", "process"),
        ("{type: process, size: 0}", "an integer from 1 to 1000"),
        ("{size: 2}", "type"),
        ("{type: process, sise: 2}", "size"),
    ],
)
def test_a_pool_that_means_nothing_is_a_configuration_error(application, pool, problem):
    with pytest.raises(ConfigurationError, match=problem):
        Runtime.load(
            application(
                "namespace: app\nentries:\n"
                f"  - {{name: f, kind: function.python, source: file://handlers.py, pool: {pool}}}",
                "def handler(): pass",
            )
        )


def test_the_file_is_not_imported_here(run):
    before = set(sys.modules)

    runtime = run("import this_is_only_there\ndef handler(): pass".replace("this_is_only_there", "fileinput"))
    runtime.call("app:handler")

    assert not {
        name for name in set(sys.modules) - before if name.startswith("_noria_") and "handlers" in name
    }
