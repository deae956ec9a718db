"""Dead letters taken out of a queue, put back where they came from, or left as they were."""

import pytest

from noria.actors import Runtime
from noria.actors.access import QueueAccess
from noria.actors.dead_letters import DeadLetters, Outcome, Selection, dead_letter_queue, groups, revived
from noria.actors.delivery import Delivery, Message
from noria.actors.driver import Features
from noria.actors.errors import DriverRefused, DriverUnavailable
from noria.actors.outcome import MAX_ERROR_LENGTH, Rejection
from noria.actors.sweep import Sweep
from noria.registry import EntryID

APP = """
    namespace: app
    entries:
      - {name: memory, kind: queue.driver.memory}
      - {name: other, kind: queue.driver.memory}
      - {name: dead, kind: queue.queue, driver: memory}
      - {name: tasks, kind: queue.queue, driver: memory, dead_letter: {queue: dead}, options: {max_length: 5}}
      - {name: mails, kind: queue.queue, driver: other, dead_letter: {queue: dead}}
      - {name: packed, kind: queue.queue, driver: memory, codec: application/msgpack}
"""


@pytest.fixture
def access(application):
    with QueueAccess(Runtime.load(application(APP)).registry) as opened:
        yield opened


@pytest.fixture
def letters(access):
    return DeadLetters(access, "app:dead")


def bury(letters: DeadLetters, *ids: str, origin: str | None = "app:tasks", reason: str = "rejected") -> None:
    headers = {
        "tenant": "acme",
        "attempts": 3,
        "x_original_queue": origin,
        "x_dead_letter_reason": reason,
        "x_dead_letter_time": 1,
        "x_dead_letter_error": "ValueError: no",
    }
    messages = [Message(id_, b'"body"', headers) for id_ in ids]
    letters.queue.driver.publish(letters.queue.name, messages, 0)


def ids_in(queue) -> list[str]:
    return [each.message.id for each in queue.driver.peek(queue.name, 2000)]


def replay(letters: DeadLetters, to: str | None = None, **selection) -> Outcome:
    outcome = Outcome()
    letters.replay(Selection(**selection), outcome, to=to, timeout=0)
    return outcome


def test_replayed_messages_go_back_to_where_they_came_from_as_they_were_published(access, letters):
    bury(letters, "1", "2")
    bury(letters, "3", origin="app:mails")

    outcome = replay(letters)

    assert outcome.done == {"app:tasks": 2, "app:mails": 1}
    assert ids_in(access.queues["app:dead"]) == []
    for name, ids in (("app:tasks", ["1", "2"]), ("app:mails", ["3"])):
        queue = access.queues[name]
        found = queue.driver.peek(queue.name, 10)
        assert [each.message.id for each in found] == ids
        assert {each.attempts for each in found} == {0}
        assert all(each.message.headers == {"tenant": "acme"} for each in found)
        assert all(each.message.body == b'"body"' for each in found)


def test_a_replayed_message_begins_with_its_first_attempt(access, letters):
    bury(letters, "1")
    replay(letters)

    with Sweep(access.queues["app:tasks"]) as sweep:
        attempts = [delivery.attempt for deliveries in sweep for delivery in deliveries]

    assert attempts == [1]


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        ({"reason": "rejected"}, ["2", "4"]),
        ({"ids": frozenset({"2", "3"})}, ["1", "4"]),
        ({"ids": frozenset({"9"})}, ["1", "2", "3", "4"]),
        ({"origin": "app:mails"}, ["1", "2", "3"]),
        ({"origin": "app:tasks", "reason": "denied"}, ["1", "3", "4"]),
    ],
)
def test_what_is_not_selected_stays_in_its_order(letters, selection, left):
    bury(letters, "1")
    bury(letters, "2", reason="denied")
    bury(letters, "3")
    bury(letters, "4", origin="app:mails", reason="denied")

    letters.drop(Selection(**selection), Outcome())

    assert ids_in(letters.queue) == left
    assert letters.queue.info().ready == len(left)


def test_a_full_queue_takes_what_it_has_room_for_and_the_others_stay(access, letters):
    bury(letters, *"1234567")

    outcome = replay(letters)

    assert outcome.done == {"app:tasks": 5}
    assert outcome.problem == "app:tasks has no room"
    assert ids_in(letters.queue) == ["6", "7"]


def test_a_message_that_cannot_go_back_stays_and_says_why(letters):
    bury(letters, "1", origin="app:gone")
    bury(letters, "2", origin=None)
    bury(letters, "3", origin="app:packed")
    bury(letters, "4", origin="app:dead")
    problems = {
        "1": "the application has no queue app:gone",
        "2": "it has no header x_original_queue",
        "3": "app:packed reads application/msgpack, and its body is json/plain",
        "4": "app:dead is where it is",
    }

    assert letters.unknown_origins(Selection()) == problems
    assert replay(letters).kept == problems
    assert ids_in(letters.queue) == ["1", "2", "3", "4"]


def test_another_queue_than_the_first_may_take_them(letters, access):
    bury(letters, "1", origin="app:gone")

    assert replay(letters, to="app:mails").done == {"app:mails": 1}
    assert ids_in(letters.queue) == []


def test_what_comes_back_meanwhile_is_not_looked_at_again(letters):
    bury(letters, "1", "2")
    seen = []

    with Sweep(letters.queue) as sweep:
        for deliveries in sweep:
            seen += [delivery.message.id for delivery in deliveries]
            sweep.ack(deliveries)
            bury(letters, *[f"{delivery.message.id} again" for delivery in deliveries])

    assert seen == ["1", "2"]
    assert ids_in(letters.queue) == ["1 again", "2 again"]


def test_where_figures_are_estimates_each_id_is_looked_at_once(letters, monkeypatch):
    monkeypatch.setattr(type(letters.queue.driver), "features", Features(exact_info=False))
    bury(letters, "1", "2", "2")

    with Sweep(letters.queue) as sweep:
        seen = [delivery.message.id for deliveries in sweep for delivery in deliveries]

    assert seen == ["1", "2"]
    assert ids_in(letters.queue) == ["1", "2", "2"]


def test_a_sweep_says_how_much_is_behind_what_it_can_hold(letters, monkeypatch):
    monkeypatch.setattr("noria.actors.sweep.HOLD", 3)
    bury(letters, *"12345")

    with Sweep(letters.queue) as sweep:
        seen = [delivery.message.id for deliveries in sweep for delivery in deliveries]

    assert seen == ["1", "2", "3"]
    assert sweep.unseen == 2
    assert ids_in(letters.queue) == ["1", "2", "3", "4", "5"]


def test_more_than_it_can_hold_is_dropped_as_long_as_nothing_stays(letters, monkeypatch):
    monkeypatch.setattr("noria.actors.sweep.HOLD", 3)
    bury(letters, *"1234567")
    outcome = Outcome()

    letters.drop(Selection(reason="rejected"), outcome)

    assert (outcome.done.total(), outcome.unseen) == (7, 0)
    assert ids_in(letters.queue) == []


def test_an_interrupted_sweep_gives_everything_back_in_order(letters):
    bury(letters, *"12345")

    def sweep_until_somebody_presses_a_key():
        with Sweep(letters.queue) as sweep:
            for deliveries in sweep:
                sweep.ack([each for each in deliveries if each.message.id == "2"])
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_until_somebody_presses_a_key()

    assert ids_in(letters.queue) == ["1", "3", "4", "5"]
    assert letters.queue.info().in_flight == 0


def test_a_queue_means_its_own_dead_letters_and_a_dead_letter_queue_all(access):
    queues = access.queues

    assert dead_letter_queue(access, queues["app:dead"]) == (queues["app:dead"], None)
    assert dead_letter_queue(access, queues["app:tasks"]) == (queues["app:dead"], "app:tasks")
    assert dead_letter_queue(access, queues["app:packed"]) is None
    assert access.dead_letters_from(queues["app:dead"]) == ["app:mails", "app:tasks"]


def test_dead_letters_are_counted_by_origin_reason_and_error(letters):
    bury(letters, "1", "2")
    bury(letters, "3", origin="app:mails")

    assert groups(letters.look(Selection())) == {
        ("app:tasks", "rejected", "ValueError: no"): 2,
        ("app:mails", "rejected", "ValueError: no"): 1,
    }


def test_a_message_of_its_own_headers_keeps_them():
    message = Message("1", b"1", {"timestamp": 7, "attempts": 3, "x_tenant": "acme"})

    assert revived(message).headers == {"timestamp": 7, "x_tenant": "acme"}


def test_an_endless_error_is_cut_before_it_becomes_a_header(access):
    """Drivers have limits for headers, and what a policy or a codec says has none."""
    tasks, dead = access.open("app:tasks"), access.open("app:dead")
    tasks.publish(["body"])
    deliveries: list[Delivery] = []
    tasks.subscribe(EntryID.parse("app:me"), credit=1, deliver=deliveries.extend)
    [delivery] = deliveries
    assert delivery.claim()

    tasks.settle(delivery, Rejection("denied", "no, " * 100_000))

    [found] = dead.driver.peek(dead.name, 1)
    assert len(found.message.headers["x_dead_letter_error"]) == MAX_ERROR_LENGTH


ROOMY = APP.replace("max_length: 5", "max_length: 5000").replace(
    "name: dead, kind: queue.queue, driver: memory",
    "name: dead, kind: queue.queue, driver: memory, options: {max_length: 5000}",
)
DURABLE = ROOMY.replace("kind: queue.driver.memory}", "kind: queue.driver.sqlite, path: a.db}", 1)


@pytest.mark.parametrize("definition", [ROOMY, DURABLE])
def test_more_than_are_handed_out_at_a_time_go_back_in_their_order(application, definition):
    numbers = [str(number) for number in range(1300)]
    with QueueAccess(Runtime.load(application(definition)).registry) as access:
        letters = DeadLetters(access, "app:dead")
        for number in numbers[:800]:
            bury(letters, number, origin="app:mails" if int(number) % 2 else "app:tasks")
        bury(letters, *numbers[800:])
        bury(letters, "kept", origin=None)

        outcome = replay(letters)

        assert outcome.done == {"app:tasks": 900, "app:mails": 400}
        assert ids_in(access.queues["app:tasks"]) == [*numbers[:800:2], *numbers[800:]]
        assert ids_in(access.queues["app:mails"]) == numbers[1:800:2]
        assert ids_in(letters.queue) == ["kept"]


def test_what_the_other_driver_does_not_take_holds_up_none_before_it(access, letters, monkeypatch):
    bury(letters, *"12345", origin="app:mails")
    mails = access.open("app:mails")
    publish = mails.driver.publish

    def publish_without_3(queue, messages, timeout):
        if any(each.id == "3" for each in messages):
            raise DriverRefused("other", "3 is too large")
        publish(queue, messages, timeout)

    monkeypatch.setattr(mails.driver, "publish", publish_without_3)
    outcome = Outcome()
    with pytest.raises(DriverRefused, match="too large"):
        letters.replay(Selection(), outcome, to=None, timeout=0)

    assert ids_in(mails) == ["1", "2"]
    assert ids_in(letters.queue) == ["3", "4", "5"]


def test_a_driver_that_is_lost_in_between_keeps_what_it_confirmed(access, letters, monkeypatch):
    bury(letters, *"12345", origin="app:mails")
    mails = access.open("app:mails")
    publish = mails.driver.publish

    def publish_two(queue, messages, timeout):
        publish(queue, messages[:2], timeout)
        raise DriverUnavailable("other", "gone", accepted=2)

    monkeypatch.setattr(mails.driver, "publish", publish_two)
    with pytest.raises(DriverUnavailable, match="gone"):
        replay(letters)

    assert ids_in(mails) == ["1", "2"]
    assert ids_in(letters.queue) == ["3", "4", "5"]
