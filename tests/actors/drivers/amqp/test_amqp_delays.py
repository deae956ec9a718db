"""How delays become delay queues."""

from hypothesis import given
from hypothesis import strategies as st

from noria.actors.drivers.amqp.delay_steps import (
    GRACE,
    LONGEST,
    STEPS,
    delay_queue_arguments,
    delay_queue_name,
    is_to_be_declared_again,
    may_be_gone,
    step_for,
)


@given(st.floats(min_value=0.000001, max_value=1e12))
def test_no_delay_is_shortened_and_none_is_much_longer(seconds):
    step, left = step_for(seconds)

    assert 1 <= step <= LONGEST
    assert step / 1000 + left >= seconds * (1 - 1e-9)
    assert step / 1000 + left <= max(seconds * 1.13, 0.01) * (1 + 1e-9)


def test_what_people_write_is_kept_to_the_millisecond():
    for seconds in (0.1, 0.25, 0.5, 1, 1.5, 2, 5, 10, 15, 30, 60, 900, 3600):
        assert step_for(seconds) == (seconds * 1000, 0)


def test_there_are_few_steps():
    assert len(STEPS) < 300
    assert list(STEPS) == sorted(set(STEPS))


@given(st.floats(min_value=0.001, max_value=1e9))
def test_a_delay_queue_outlives_what_waits_in_it(seconds):
    step, _ = step_for(seconds)
    arguments = delay_queue_arguments("q", "classic", step)
    age = 0.0
    while not is_to_be_declared_again(step, age):
        age = age * 2 or 0.001
    latest = min(age, (step + GRACE) / 2000)

    assert latest * 1000 + arguments["x-message-ttl"] < arguments["x-expires"]
    assert arguments["x-expires"] < 2**32
    assert not may_be_gone(step, latest + step / 1000)


def test_types_do_not_share_a_delay_queue():
    assert delay_queue_name("q", "classic", 50) != delay_queue_name("q", "quorum", 50)
    assert delay_queue_arguments("q", "quorum", 50)["x-dead-letter-strategy"] == "at-least-once"


def test_a_quorum_delay_queue_is_never_deleted_with_messages_in_it():
    """RabbitMQ would, for it counts neither declaring nor publishing as use."""
    assert "x-expires" not in delay_queue_arguments("q", "quorum", 50)
