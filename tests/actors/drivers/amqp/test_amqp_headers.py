"""From our headers to AMQP's properties and table, and back (docs/drivers/amqp.md)."""

from datetime import UTC, datetime
from decimal import Decimal

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.delivery import Message
from noria.actors.drivers.amqp.headers import keep_expiration, letter_of, received
from noria.actors.queue import HEADER_TYPES


def over_the_wire(letter):
    """As pika writes and reads it."""
    properties = pika.BasicProperties(**letter.properties)
    read = pika.BasicProperties()
    read.decode(b"".join(properties.encode()))
    return read


def there(properties):
    read = pika.BasicProperties()
    read.decode(b"".join(properties.encode()))
    return received(read, b"")


def there_and_back(message, **marks):
    return received(over_the_wire(letter_of(message, **marks)), message.body)


TEXTS = {
    "correlation_id": "correlation_id",
    "reply_to": "reply_to",
    "message_type": "type",
    "content_type": "content_type",
    "encoding": "content_encoding",
}


@pytest.mark.parametrize(("header", "name"), TEXTS.items())
def test_texts_have_properties_of_their_own(header, name):
    letter = letter_of(Message("1", b"", {header: "text"}))

    assert letter.properties[name] == "text"
    assert letter.properties["headers"] == {}
    assert there_and_back(Message("1", b"", {header: "text"})).message.headers == {header: "text"}


@pytest.mark.parametrize("value", ["", 5, None, "x" * 256])
def test_what_the_property_cannot_hold_stays_in_the_table(value):
    letter = letter_of(Message("1", b"", {"correlation_id": value}))

    assert "correlation_id" not in letter.properties
    assert letter.properties["headers"] == {"correlation_id": value}


def test_a_driver_specific_encoding_comes_back_as_the_neutral_one():
    assert there_and_back(Message("1", b"", {"amqp.content_encoding": "gzip"})).message.headers == {
        "encoding": "gzip"
    }


def test_priority_mode_expiration_and_time_have_properties():
    headers = {
        "amqp.priority": 4,
        "amqp.delivery_mode": 1,
        "amqp.expiration": "5000",
        "timestamp": 1700000000,
    }

    letter = letter_of(Message("1", b"", headers))

    assert letter.properties["priority"] == 4
    assert letter.properties["delivery_mode"] == 1
    assert letter.properties["expiration"] == "5000"
    assert letter.properties["timestamp"] == 1700000000
    assert there_and_back(Message("1", b"", headers)).message.headers == headers


def test_messages_are_persistent_unless_they_say_otherwise():
    assert letter_of(Message("1", b"", {})).properties["delivery_mode"] == 2
    assert there_and_back(Message("1", b"", {"amqp.delivery_mode": 2})).message.headers == {
        "amqp.delivery_mode": 2
    }


def test_a_delay_header_is_for_plugins_and_mandatory_is_for_nobody():
    letter = letter_of(Message("1", b"", {"amqp.x_delay": 50, "amqp.mandatory": True, "priority": 3}))

    assert letter.properties["headers"] == {"x-delay": 50, "priority": 3}


def test_a_foreign_message_shows_its_priority_and_mode():
    properties = pika.BasicProperties(headers={"colour": "blue", "type": "x"}, content_type="text/plain")

    found = received(properties, b"body")

    assert found.message.headers == {
        "amqp.priority": 0,
        "amqp.delivery_mode": 1,
        "colour": "blue",
        "type": "x",
        "content_type": "text/plain",
    }
    assert found.message.id
    assert found.attempts == 0


def test_a_table_entry_wins_over_the_property_of_its_name():
    properties = pika.BasicProperties(
        app_id="noria", delivery_mode=2, reply_to="property", headers={"reply_to": "table"}
    )

    assert received(properties, b"").message.headers == {"reply_to": "table"}


def test_what_the_broker_adds_is_not_shown():
    properties = pika.BasicProperties(
        app_id="noria",
        delivery_mode=2,
        headers={"x-death": [{"count": 1}], "x-first-death-queue": "q", "x-delivery-count": 2},
    )

    assert received(properties, b"").message.headers == {}


def test_a_foreign_number_of_attempts_is_not_believed():
    assert received(pika.BasicProperties(headers={"x-noria-attempts": "many"}), b"").attempts == 0
    assert received(pika.BasicProperties(headers={"x-noria-packed": "{"}), b"").message.headers.keys() == {
        "amqp.priority",
        "amqp.delivery_mode",
    }


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-1", 5, [1], {"a": 1}, None, b"\xff"])
def test_a_foreign_delay_is_not_believed(value):
    assert received(pika.BasicProperties(headers={"x-noria-delay-left": value}), b"").delay_left == 0


def test_foreign_marks_and_values_become_a_message_that_can_be_sent_again_and_kept_anywhere():
    table = {
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "price": Decimal("1.5"),
        "list": [1, {"bytes": b"\xff", "big": 2**40}],
        "table": {"nested": None},
        "bytes": b"\xfe",
        "x-noria-attempts": 2**63 - 1,
        "x-noria-packed": '{"": 7, "packed": [1]}',
        "x-noria-expiration": [1],
    }
    found = there(pika.BasicProperties(headers=table))

    assert found.message.id == "7"
    assert found.attempts == 0
    kept = {name: found.message.headers[name] for name in ("time", "price", "table", "packed")}
    assert kept == {"time": 1767312000, "price": "1.5", "table": '{"nested": null}', "packed": "[1]"}
    assert all(isinstance(value, HEADER_TYPES) for value in found.message.headers.values())
    assert there_and_back(found.message).message.headers == found.message.headers


def test_an_expiration_waits_while_its_message_does():
    letter = keep_expiration(letter_of(Message("1", b"", {"amqp.expiration": "10"})))

    assert "expiration" not in letter.properties
    assert received(over_the_wire(letter), b"").message.headers == {"amqp.expiration": "10"}


def test_a_default_expiration_gives_way_to_the_message_s_own():
    assert letter_of(Message("1", b"", {}), expiration="99").properties["expiration"] == "99"
    own = Message("1", b"", {"amqp.expiration": "10"})
    assert letter_of(own, expiration="99").properties["expiration"] == "10"


def test_our_own_marks_are_told_apart_from_headers():
    found = there_and_back(Message("1", b"", {"a": 1}), attempts=3, suspect=True, expired=True, run="7")

    assert found.message.headers == {"a": 1}
    assert (found.attempts, found.is_suspect, found.is_expired, found.run) == (3, True, True, "7")


NAMES = st.one_of(
    st.text(min_size=1, max_size=300),
    st.sampled_from([*TEXTS, "timestamp", "amqp.priority", "amqp.expiration", "x-death", "x-noria-attempts"]),
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(st.text(min_size=1, max_size=300), st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=20))
def test_every_message_survives(id_, headers, body):
    found = there_and_back(Message(id_, body, headers)).message

    assert (found.id, found.body) == (id_, body)
    assert found.headers == headers
    assert {name: type(value) for name, value in found.headers.items()} == {
        name: type(value) for name, value in headers.items()
    }
