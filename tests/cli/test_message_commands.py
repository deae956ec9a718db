"""publish, queue and dead: messages reached through a durable driver while nothing runs."""

import json
import math
import os
import re
import resource
import signal
import threading
from pathlib import Path

import msgpack
import pytest
from click.testing import CliRunner

from noria.actors import Runtime
from noria.actors.access import QueueAccess
from noria.actors.cli.program import cli
from noria.actors.delivery import Message

SHOP = """
version: "1.0"
namespace: shop
entries:
  - {name: store, kind: queue.driver.sqlite, path: shop.db}
  - {name: shelf, kind: queue.driver.sqlite, path: shelf.db}
  - {name: dead, kind: queue.queue, driver: store}
  - {name: orders, kind: queue.queue, driver: store, dead_letter: {queue: dead, max_attempts: 2}}
  - {name: mails, kind: queue.queue, driver: shelf, dead_letter: {queue: dead}}
  - {name: few, kind: queue.queue, driver: store, options: {max_length: 3}}
  - {name: packed, kind: queue.queue, driver: store, codec: application/msgpack}
  - {name: handle, kind: function.python, source: file://handlers.py}
  - {name: worker, kind: queue.consumer, queue: orders, func: handle, lifecycle: {auto_start: true}}
"""
MEMORY = SHOP.replace("queue.driver.sqlite, path: shop.db", "queue.driver.memory")


@pytest.fixture
def shop(application) -> Path:
    return application(SHOP, name="shop")


@pytest.fixture
def answer():
    """The command line, with something typed."""
    return lambda text, *arguments: CliRunner().invoke(
        cli, [str(each) for each in arguments], input=text, prog_name="noria"
    )


@pytest.fixture
def stored(shop):
    """`stored("shop:orders")`: what lies in a queue."""

    def look(queue_id: str):
        with QueueAccess(Runtime.load(shop).registry) as access:
            queue = access.open(queue_id)
            return list(queue.driver.peek(queue.name, 10_000))

    return look


def bodies(messages) -> list:
    return [json.loads(each.message.body) for each in messages]


def ids(messages) -> list[str]:
    return [each.message.id for each in messages]


@pytest.fixture
def bury(shop):
    """Puts dead letters into shop:dead."""

    def put(
        *ids: str, origin: str | None = "shop:orders", reason: str = "rejected", body: bytes = b'{"n": 1}'
    ):
        headers = {
            "tenant": "acme",
            "attempts": 2,
            "x_dead_letter_reason": reason,
            "x_dead_letter_time": 1_795_000_000,
            "x_dead_letter_error": "ValueError: no (handlers.py:3)",
            **({"x_original_queue": origin} if origin else {}),
        }
        with QueueAccess(Runtime.load(shop).registry) as access:
            queue = access.open("shop:dead")
            queue.driver.publish(queue.name, [Message(id_, body, headers) for id_ in ids], 0)

    return put


def row(table: str, queue_id: str) -> list[str]:
    [found] = [line.split()[1:] for line in table.splitlines() if line.startswith(queue_id)]
    return found


# ---- publish ---------------------------------------------------------------------------------------------


def test_lines_of_a_file_are_published_and_counted(noria, shop, stored):
    Path("lines.jsonl").write_text('{"n": 1}\n\n"two"\n3\n')

    result = noria("publish", shop, "orders", "lines.jsonl")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "shop:orders: 3 messages accepted\n", "")
    assert bodies(stored("shop:orders")) == [{"n": 1}, "two", 3]


def test_bad_lines_are_told_with_their_numbers_and_the_others_published(answer, shop, stored):
    result = answer('1\noops\n2\n{"n": NaN}\n3', "publish", shop, "orders", "-")

    assert result.exit_code == 1
    assert result.stdout == "shop:orders: 3 messages accepted, 2 bad lines\n"
    assert result.stderr == ("<stdin>:2: not JSON: Expecting value, column 1\n<stdin>:4: not JSON: NaN\n")
    assert bodies(stored("shop:orders")) == [1, 2, 3]


def test_a_line_that_its_codec_cannot_write_is_told_as_well(answer, shop, stored):
    result = answer(f"1\n{2**70}\n3\n", "publish", shop, "packed")

    assert result.exit_code == 1
    assert result.stdout == "shop:packed: 2 messages accepted, 1 bad line\n"
    assert result.stderr.startswith("<stdin>:2: cannot publish to shop:packed: ")
    assert [msgpack.unpackb(each.message.body) for each in stored("shop:packed")] == [1, 3]


def test_one_body_and_headers(noria, shop, stored):
    headers = ["tenant=acme", "n=3", "urgent=true", "note=null", 'text="3"', "list=[1]"]
    options = [word for header in headers for word in ("--header", header)]

    result = noria("publish", shop, "shop:orders", "--body", '{"id": 7}', *options)

    assert result.stdout == "shop:orders: 1 message accepted\n"
    [found] = stored("shop:orders")
    assert found.message.headers == {
        "timestamp": found.message.headers["timestamp"],
        "tenant": "acme",
        "n": 3,
        "urgent": True,
        "note": None,
        "text": "3",
        "list": "[1]",
    }


def test_a_full_queue_stops_at_the_line_that_found_no_room(noria, shop, stored):
    Path("lines.jsonl").write_text("1\n\n2\n3\n4\n5\n")

    result = noria("publish", shop, "few", "lines.jsonl", "--timeout", "0")

    assert result.exit_code == 1
    assert result.stdout == "shop:few: 3 messages accepted\n"
    assert "lines.jsonl:5: shop:few has no room; nothing from this line on was accepted" in result.stderr
    assert bodies(stored("shop:few")) == [1, 2, 3]


def test_an_interrupted_publishing_says_which_lines_nobody_knows_about(start, shop, stored):
    running = start("publish", shop, "few", "--timeout", "60")
    running.say("1\noops\n2\n3\n4\n5")
    running.wait_for("<stdin>:2: not JSON", "stderr")
    pause = threading.Event()
    while len(stored("shop:few")) < 3:
        pause.wait(0.01)
    running.signal(signal.SIGINT)

    code, _, stderr = running.end()

    assert code == 130
    assert re.search(r"<stdin>:\d: interrupted: lines? .* may have been accepted, nothing after\n", stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["oders", "--body", "1"], "queue not found; did you mean shop:orders?"),
        (
            ["worker", "--body", "1"],
            "shop:worker is a queue.consumer, not a queue; it takes from shop:orders",
        ),
        (["orders", "none.jsonl"], "file not found: none.jsonl"),
        (["orders", "shop"], "shop is a directory"),
        (["orders", "none.jsonl", "--body", "1"], "give either FILE or --body"),
        (["orders", "--body", "{"], "--body: not JSON: Expecting property name"),
        (["orders", "--body", "1", "--header", "tenant"], "expected NAME=VALUE"),
        (["orders", "--body", "1", "--timeout", "-1"], "not in the range x>=0"),
    ],
)
def test_what_cannot_be_published_is_a_usage_error(noria, shop, arguments, message):
    result = noria("publish", shop, *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("shop/shop.db").exists()


def test_published_messages_wait_for_the_application(noria, run, shop, stored):
    noria("publish", shop, "orders", "--body", '"hello"')

    code, stdout, _ = run("run", shop, "--until-idle")

    assert (code, stdout) == (0, "handled hello\n")
    assert stored("shop:orders") == []


def test_a_running_application_gets_what_is_published(noria, start, shop):
    running = start("run", shop)
    noria("publish", shop, "orders", "--body", '"hello"')

    running.wait_for("handled hello")
    running.signal(signal.SIGTERM)
    assert running.end()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        (("publish", "shop", "orders", "lines.jsonl"), "shop:orders"),
        (("dead", "replay", "shop", "dead"), "replayed"),
    ],
)
def test_a_terminal_shows_how_far_it_is(start, shop, bury, arguments, shows):
    bury("1")
    Path("lines.jsonl").write_text("1\noops\n")
    ours, theirs = os.openpty()
    running = start(*arguments, stderr=theirs)
    os.close(theirs)
    running.process.wait(60)

    shown = os.read(ours, 65536).decode()

    os.close(ours)
    assert shows in shown
    assert "\x1b[2K" in shown


# ---- queue -----------------------------------------------------------------------------------------------


def test_queues_are_listed_with_their_figures(noria, shop, bury):
    bury("1", "2")
    noria("publish", shop, "orders", "--body", "1")

    assert noria("queue", "ls", shop).stdout == (
        "QUEUE        READY  IN FLIGHT  DELAYED  CONSUMERS  DRIVER      DEAD LETTERS OF\n"
        "-----------  -----  ---------  -------  ---------  ----------  -----------------------\n"
        "shop:dead        2          0        0          0  shop:store  shop:mails, shop:orders\n"
        "shop:few         0          0        0          0  shop:store  -\n"
        "shop:mails       0          0        0          0  shop:shelf  -\n"
        "shop:orders      1          0        0          0  shop:store  -\n"
        "shop:packed      0          0        0          0  shop:store  -\n"
    )


def test_figures_as_data(noria, shop, bury):
    bury("1")

    listed = {each["id"]: each for each in json.loads(noria("queue", "ls", shop, "--json").stdout)}
    one = json.loads(noria("queue", "info", shop, "dead", "--json").stdout)

    assert listed["shop:dead"] == one
    assert listed["shop:orders"]["dead_letter_queue"] == "shop:dead"
    assert listed["shop:orders"]["max_attempts"] == 2
    assert one["figures"] == {
        "message_count": 1,
        "ready": 1,
        "in_flight": 0,
        "delayed": 0,
        "consumer_count": 0,
    }
    assert one["dead_letters_of"] == ["shop:mails", "shop:orders"]


def test_one_queue_in_words(noria, shop):
    assert noria("queue", "info", shop, "orders").stdout == (
        "Queue           shop:orders\n"
        "Driver          shop:store (queue.driver.sqlite), where it is called orders\n"
        "Codec           json/plain\n"
        "Messages        0\n"
        "  ready         0\n"
        "  in flight     0\n"
        "  delayed       0\n"
        "Consumers       0\n"
        "Dead letters to shop:dead, after 2 attempts\n"
    )


def test_a_driver_that_cannot_be_reached_is_told_and_the_others_are_shown(noria, shop):
    Path("shop/shelf.db").write_text("this is no database" * 1000)

    result = noria("queue", "ls", shop)

    assert result.exit_code == 1
    assert row(result.stdout, "shop:mails") == ["-", "-", "-", "-", "shop:shelf", "-"]
    assert row(result.stdout, "shop:orders") == ["0", "0", "0", "0", "shop:store", "-"]
    assert result.stderr.startswith("queue driver refused: shop:shelf: ")


def test_peeking_shows_messages_and_takes_none(noria, shop, stored):
    noria("publish", shop, "orders", "--body", '{"name": "Ñandú"}', "--header", "tenant=acme")
    [found] = stored("shop:orders")

    for _ in range(2):
        lines = noria("queue", "peek", shop, "orders").stdout.splitlines()
        assert re.fullmatch(rf"{found.message.id}  ready, published \d+ s ago", lines[0])
        assert lines[1:] == ["  headers  tenant=acme", '  body     {"name": "Ñandú"}']
    assert stored("shop:orders")[0].attempts == 0


def test_a_long_body_is_cut_unless_it_is_wanted_in_full(noria, shop):
    noria("publish", shop, "orders", "--body", json.dumps({"text": "x" * 1000}))

    cut, full = (noria("queue", "peek", shop, "orders", *more).stdout for more in ([], ["--full"]))

    assert "… (1012 characters; --full shows all)" in cut
    assert "x" * 1000 not in cut
    assert full.splitlines()[1:] == ["  body     {", f'             "text": "{"x" * 1000}"', "           }"]


def test_as_many_as_wanted_are_peeked_at(noria, shop, answer):
    answer("1\n2\n3\n", "publish", shop, "orders")

    lines = noria("queue", "peek", shop, "orders", "--limit", "2", "--json").stdout.splitlines()

    assert [json.loads(line)["body"] for line in lines] == [1, 2]
    assert noria("queue", "peek", shop, "few").stdout == "shop:few has no messages\n"


def test_what_does_not_decode_is_shown_as_bytes(noria, shop, bury):
    bury("1", body=b"\xff\x1b[31m")

    text = noria("queue", "peek", shop, "dead").stdout
    data = json.loads(noria("queue", "peek", shop, "dead", "--json").stdout)

    assert "  body     undecodable: the body is not JSON: " in text
    assert "'\\xff\\x1b[31m'" in text
    assert "\x1b" not in text
    assert data["bytes"] == "/xtbMzFt"
    assert "body" not in data


def test_bytes_and_keys_of_msgpack_are_shown(noria, shop):
    with QueueAccess(Runtime.load(shop).registry) as access:
        access.open("shop:packed").publish([{"picture": b"\xff", 7: [None]}])

    assert '{"picture": "base64:/w==", "7": [null]}' in noria("queue", "peek", shop, "packed").stdout


def test_what_strangers_wrote_does_not_reach_the_terminal(noria, shop, bury):
    bury("\x1b[2J", body='"\u009b31m\\u001b"'.encode())

    for command in (["queue", "peek"], ["dead", "show"], ["dead", "ls"]):
        output = noria(*command, shop, "dead").stdout
        assert "\x1b" not in output
        assert "\x9b" not in output


def test_purging_asks_first_and_says_how_many(noria, answer, shop, stored):
    answer("1\n2\n", "publish", shop, "orders")

    declined = answer("n\n", "queue", "purge", shop, "orders")
    unanswered = answer("", "queue", "purge", shop, "orders")
    assert (declined.exit_code, declined.stdout) == (1, "nothing was removed\n")
    assert "Remove 2 messages from shop:orders for good? [y/N]" in declined.stderr
    assert unanswered.exit_code == 2
    assert "nobody answered: say --yes" in unanswered.stderr
    assert len(stored("shop:orders")) == 2

    assert answer("y\n", "queue", "purge", shop, "orders").stdout == "shop:orders: 2 messages removed\n"
    assert noria("queue", "purge", shop, "orders", "--yes").stdout == "shop:orders: 0 messages removed\n"
    assert stored("shop:orders") == []


# ---- memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "APP", "orders", "--body", "1"),
        ("queue", "info", "APP", "orders"),
        ("queue", "peek", "APP", "orders"),
        ("queue", "purge", "APP", "orders", "--yes"),
        ("dead", "ls", "APP", "orders"),
        ("dead", "replay", "APP", "dead"),
    ],
)
def test_messages_in_memory_cannot_be_reached(noria, application, arguments):
    app = application(MEMORY)

    result = noria(*(app if word == "APP" else word for word in arguments))

    assert result.exit_code == 2
    assert "its messages live in the process that runs the application" in result.stderr
    assert "noria run APP --publish QUEUE=FILE" in result.stderr


def test_queues_in_memory_are_listed_without_figures(noria, application):
    result = noria("queue", "ls", application(MEMORY))

    assert result.exit_code == 0
    assert row(result.stdout, "shop:orders") == ["-", "-", "-", "-", "shop:store", "-"]
    assert row(result.stdout, "shop:mails") == ["0", "0", "0", "0", "shop:shelf", "-"]
    assert "4 queues in memory: the figures are known to the process that runs it alone" in result.stdout


# ---- dead letters ----------------------------------------------------------------------------------------


def test_dead_letters_are_grouped_by_reason_origin_and_error(noria, shop, bury):
    bury("1", "2")
    bury("3", origin="shop:mails", reason="max_attempts")

    assert noria("dead", "ls", shop, "dead").stdout == (
        "COUNT  REASON        FROM         ERROR\n"
        "-----  ------------  -----------  ------------------------------\n"
        "    2  rejected      shop:orders  ValueError: no (handlers.py:3)\n"
        "    1  max_attempts  shop:mails   ValueError: no (handlers.py:3)\n"
        "\n"
        "shop:dead: 3 dead letters\n"
    )
    assert json.loads(noria("dead", "ls", shop, "mails", "--json").stdout) == [
        {
            "queue": "shop:mails",
            "reason": "max_attempts",
            "error": "ValueError: no (handlers.py:3)",
            "count": 1,
        }
    ]


def test_a_dead_letter_is_shown_in_full(noria, shop, bury):
    bury("m-1", "m-2")

    assert noria("dead", "show", shop, "orders", "--id", "m-1").stdout == (
        "id        m-1\n"
        "from      shop:orders\n"
        "reason    rejected\n"
        "attempts  2\n"
        "when      2026-11-18T11:06:40Z\n"
        "error     ValueError: no (handlers.py:3)\n"
        "headers   tenant=acme\n"
        "body      {\n"
        '            "n": 1\n'
        "          }\n"
    )
    assert noria("dead", "show", shop, "orders").stdout.endswith("\n1 more; --limit shows them\n")


@pytest.mark.parametrize("subcommand", ["show", "replay", "drop --yes"])
def test_each_chosen_id_counts_and_one_that_is_not_there_is_told(noria, shop, bury, stored, subcommand):
    bury("1", "2", "3")
    words = subcommand.split()

    result = noria("dead", *words[:1], shop, "dead", "--id", "1", "--id", "3", "--id", "9", *words[1:])

    assert (result.exit_code, result.stderr) == (1, "shop:dead has no dead letter 9\n")
    if subcommand == "show":
        assert [line for line in result.stdout.splitlines() if line.startswith("id ")] == [
            "id        1",
            "id        3",
        ]
    else:
        assert ids(stored("shop:dead")) == ["2"]


@pytest.mark.parametrize(
    "arguments", [["drop", "--yes"], ["drop", "--id", "1", "--yes"], ["replay", "--id", "1"]]
)
def test_both_are_meant_where_one_id_is_there_twice(noria, shop, bury, stored, arguments):
    bury("1", "1")

    assert "2 " in noria("dead", arguments[0], shop, "orders", *arguments[1:]).stdout
    assert stored("shop:dead") == []


def test_headers_that_somebody_else_wrote_stop_nobody(noria, shop):
    strange = {"x_dead_letter_reason": [1], "x_dead_letter_error": 5, "x_dead_letter_time": 1e300}
    with QueueAccess(Runtime.load(shop).registry) as access:
        queue = access.open("shop:dead")
        message = Message("1", b"{}", {**strange, "x_original_queue": "shop:orders", "timestamp": math.inf})
        queue.driver.publish(queue.name, [message], 0)

    assert "    1  [1]     shop:orders  5\n" in noria("dead", "ls", shop, "dead").stdout
    assert "when      1e+300\n" in noria("dead", "show", shop, "dead").stdout
    assert noria("queue", "peek", shop, "dead").stdout.startswith("1  ready\n")
    assert noria("dead", "drop", shop, "dead", "--reason", "[1]", "--yes").exit_code == 0


def test_replayed_dead_letters_are_handled_again_from_their_first_attempt(noria, run, shop, stored):
    noria("publish", shop, "orders", "--body", '"bad"', "--header", "tenant=acme")
    run("run", shop, "--until-idle")
    [dead] = stored("shop:dead")
    assert dead.message.headers["attempts"] == 2

    result = noria("dead", "replay", shop, "orders")

    assert (result.exit_code, result.stdout) == (0, "shop:dead -> shop:orders: 1 message replayed\n")
    [again] = stored("shop:orders")
    assert (again.message.id, again.attempts) == (dead.message.id, 0)
    assert set(again.message.headers) == {"timestamp", "tenant"}
    assert stored("shop:dead") == []
    Path("shop/handlers.py").write_text(
        "from noria.actors import message\n\ndef handler(body):\n    print(message.attempt)\n"
    )
    assert run("run", shop, "--until-idle")[1] == "1\n"


def test_only_the_chosen_are_replayed_also_to_another_driver(noria, shop, bury, stored):
    bury("1", "2", "3")
    bury("4", origin="shop:mails", reason="denied")

    assert noria("dead", "replay", shop, "dead", "--id", "2").stdout == (
        "shop:dead -> shop:orders: 1 message replayed\n"
    )
    assert noria("dead", "replay", shop, "dead", "--reason", "denied").stdout == (
        "shop:dead -> shop:mails: 1 message replayed\n"
    )
    assert ids(stored("shop:orders")) == ["2"]
    assert ids(stored("shop:mails")) == ["4"]
    assert ids(stored("shop:dead")) == ["1", "3"]


def test_a_queue_that_does_not_exist_any_more_moves_nothing(noria, shop, bury, stored):
    bury("1")
    bury("2", origin="shop:gone")

    result = noria("dead", "replay", shop, "dead")

    assert result.exit_code == 1
    assert "2 cannot go back: the application has no queue shop:gone; nothing was moved" in result.stderr
    assert ids(stored("shop:dead")) == ["1", "2"]
    assert noria("dead", "replay", shop, "dead", "--id", "2", "--to", "mails").exit_code == 0
    assert ids(stored("shop:mails")) == ["2"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["replay", "dead", "--to", "dead"], 2, "shop:dead is where it is"),
        (["replay", "dead", "--to", "packed"], 2, "shop:packed reads application/msgpack"),
        (
            ["replay", "few"],
            2,
            "shop:few is no dead-letter queue and has none; dead-letter queues are shop:dead",
        ),
        (["replay", "dead", "--id", "9"], 1, "shop:dead has no dead letter 9"),
        (["show", "dead", "--reason", "rejcted"], 1, "no dead letter rejcted; did you mean rejected?"),
        (["drop", "dead", "--reason", "xyz", "--yes"], 1, "no dead letter xyz; there are rejected"),
    ],
)
def test_what_cannot_be_done_with_dead_letters_is_told(noria, shop, bury, stored, arguments, code, message):
    bury("1")
    subcommand, queue, *options = arguments

    result = noria("dead", subcommand, shop, queue, *options)

    assert result.exit_code == code
    assert message in result.stderr
    assert ids(stored("shop:dead")) == ["1"]


@pytest.mark.parametrize("subcommand", ["ls", "show", "replay", "drop"])
def test_no_dead_letters_is_no_failure(noria, shop, subcommand):
    result = noria("dead", subcommand, shop, "orders")

    assert (result.exit_code, result.stdout) == (0, "shop:dead has no such dead letters\n")


def test_dropping_asks_first_and_removes_only_the_chosen(answer, noria, shop, bury, stored):
    bury("1", "2")
    bury("3", reason="denied")

    assert answer("n\n", "dead", "drop", shop, "dead").stdout == "nothing was removed\n"
    assert len(stored("shop:dead")) == 3
    result = noria("dead", "drop", shop, "dead", "--reason", "rejected", "--yes")
    assert result.stdout == "shop:dead: 2 dead letters removed\n"
    assert ids(stored("shop:dead")) == ["3"]


@pytest.mark.parametrize("driver", ["sqlite", "redis"])
def test_what_lies_too_far_back_to_be_looked_at_is_told(noria, application, new_redis_server, driver):
    definition = SHOP if driver == "sqlite" else ON_REDIS.replace("REDIS", new_redis_server().url)
    app = application(definition, name="shop")
    with QueueAccess(Runtime.load(app).registry) as access:
        queue = access.open("shop:dead")
        headers = {"x_dead_letter_reason": "rejected", "x_original_queue": "shop:orders"}
        queue.driver.publish(queue.name, [Message(f"m-{n}", b"1", headers) for n in range(10_002)], 30)

    assert "\n2 messages behind the first 10000 not looked at\n" in noria("dead", "ls", app, "dead").stdout
    result = noria("dead", "drop", app, "dead", "--yes")

    assert (result.exit_code, result.stdout) == (1, "shop:dead: 10000 dead letters removed\n")
    assert result.stderr == "2 messages further back not looked at; run it again\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_replay_that_is_cut_off_loses_nothing(start, noria, shop, bury, stored, number):
    everything = [f"m-{n}" for n in range(3000)]
    bury(*everything)
    replaying = start("dead", "replay", shop, "dead", "--reason", "rejected")
    with QueueAccess(Runtime.load(shop).registry) as access:
        orders = access.open("shop:orders")
        pause = threading.Event()
        while orders.info().ready < 10 and replaying.process.poll() is None:
            pause.wait(0.01)
    os.kill(replaying.process.pid, number)
    replaying.end()

    moved, left = ids(stored("shop:orders")), ids(stored("shop:dead"))

    assert len(moved) >= 10
    assert sorted(moved + left) == sorted(everything)


# ---- a broker that is gone -------------------------------------------------------------------------------

ON_REDIS = SHOP.replace("queue.driver.sqlite, path: shop.db", "queue.driver.redis, url: REDIS")


def test_a_broker_that_dies_ends_a_publishing_with_the_line_that_was_not_accepted(
    start, application, new_redis_server
):
    server = new_redis_server()
    app = application(ON_REDIS.replace("REDIS", server.url), name="shop")
    running = start("publish", app, "orders", "--timeout", "20")
    with QueueAccess(Runtime.load(app).registry) as access:
        orders = access.open("shop:orders")
        running.say('"before"')
        pause = threading.Event()
        while not orders.info().ready:
            pause.wait(0.01)
    server.kill()

    code, stdout, stderr = running.end('"after"\n')

    assert (code, stdout) == (1, "shop:orders: 1 message accepted\n")
    assert "<stdin>:2: " in stderr
    assert "nothing from this line on was accepted" in stderr


def test_a_broker_that_takes_nothing_is_told_with_its_reason(noria, application, new_redis_server):
    server = new_redis_server(config={"maxmemory": "1", "maxmemory-policy": "noeviction"})
    app = application(ON_REDIS.replace("REDIS", server.url), name="shop")

    result = noria("publish", app, "orders", "--body", "1", "--timeout", "0.1")

    assert (result.exit_code, result.stdout) == (1, "shop:orders: 0 messages accepted\n")
    assert "not accepted: queue driver not available: shop:store: Redis is out of memory" in result.stderr


def test_a_broker_that_is_not_there_is_told_without_its_password(noria, application):
    app = application(ON_REDIS.replace("REDIS", "'redis://:hush@127.0.0.1:1/0'"), name="shop")

    for arguments in (["queue", "info", app, "orders"], ["publish", app, "orders", "--body", "1"]):
        result = noria(*arguments)

        assert result.exit_code == 1
        assert "queue driver not available: shop:store: " in result.stderr
        assert "hush" not in result.output


# ---- where nothing can be written --------------------------------------------------------------------


def write_nothing() -> None:
    """Every write to a file fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("queue", "ls"), "shop:orders      2"),
        (("queue", "info", "orders"), "Messages        2"),
        (("queue", "peek", "orders"), '"second"'),
        (("dead", "ls", "dead"), "shop:dead has no dead letters"),
        (("dead", "show", "dead"), "shop:dead has no dead letters"),
    ],
)
def test_looking_needs_no_room_on_the_disk(run, shop, tmp_path, arguments, shown):
    (tmp_path / "orders.jsonl").write_text('"first"\n"second"\n')
    assert run("publish", shop, "orders", tmp_path / "orders.jsonl")[0] == 0
    command, verb, *queue = arguments
    _, stdout, stderr = run(command, verb, shop, *queue, preexec_fn=write_nothing)

    assert shown in stdout
    assert stderr.count("\n") <= 1  # of the other driver, whose file was never made


def test_what_cannot_be_removed_without_room_says_so(run, shop, tmp_path):
    (tmp_path / "orders.jsonl").write_text('"first"\n')
    run("publish", shop, "orders", tmp_path / "orders.jsonl")
    code, _, stderr = run("queue", "purge", shop, "orders", "--yes", preexec_fn=write_nothing)

    assert code == 1
    assert "Error: queue driver not available: shop:store" in stderr
    assert "Traceback" not in stderr
