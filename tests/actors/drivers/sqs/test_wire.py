"""Messages as SQS can carry them."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.delivery import Message
from noria.actors.drivers.sqs.wire import ENCODING, MOST_ATTRIBUTES, PACKED, pack, unpack

VALUES = (
    st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
)
NAMES = st.text(string.ascii_letters + "._-", min_size=1) | st.text(min_size=1)


def received(message: Message) -> dict:
    parcel = pack(message)
    return {"MessageId": "sqs-id", "Body": parcel.body, "MessageAttributes": parcel.attributes}


@given(st.binary(), st.dictionaries(NAMES, VALUES, max_size=25))
def test_every_body_and_every_header_comes_back_exactly(body, headers):
    message = Message("m-1", body, headers)

    parcel = pack(message)
    back = unpack({"MessageId": "x", "Body": parcel.body, "MessageAttributes": parcel.attributes})

    assert (back.id, back.body, back.headers) == ("m-1", body, headers)
    assert {name: type(value) for name, value in back.headers.items()} == {
        name: type(value) for name, value in headers.items()
    }
    assert parcel.body
    assert len(parcel.attributes) <= MOST_ATTRIBUTES


def test_texts_go_as_they_are_and_headers_as_attributes_of_their_own():
    """So that other programs can read them. Specification: the types of attributes."""
    parcel = pack(Message("m-1", b'{"a": "\xc3\xb1"}', {"text": "t", "yes": True, "count": 3, "ratio": 0.5}))

    assert parcel.body == '{"a": "ñ"}'
    assert parcel.attributes == {
        "text": {"DataType": "String", "StringValue": "t"},
        "yes": {"DataType": "String.bool", "StringValue": "true"},
        "count": {"DataType": "Number", "StringValue": "3"},
        "ratio": {"DataType": "Number.float", "StringValue": "0.5"},
        "noria.id": {"DataType": "String", "StringValue": "m-1"},
    }


def test_more_headers_than_sqs_has_room_for_share_one_attribute():
    headers = {f"h{number}": number for number in range(12)}

    attributes = pack(Message("m-1", b"x", headers)).attributes

    assert len(attributes) == MOST_ATTRIBUTES
    assert json.loads(attributes[PACKED]["StringValue"]) == {"h8": 8, "h9": 9, "h10": 10, "h11": 11}


@pytest.mark.parametrize(
    "name", ["AWS.x", "amazon.x", ".x", "x.", "a..b", "ñ", "a b", "noria.id", "noria.headers"]
)
def test_names_that_sqs_refuses_are_packed(name):
    message = Message("m-1", b"x", {name: "value"})

    assert PACKED in pack(message).attributes
    assert unpack(received(message)).headers == {name: "value"}


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"DataType": "Number", "StringValue": "7"}, 7),
        ({"DataType": "Number", "StringValue": "7.5"}, 7.5),
        ({"DataType": "Number.price", "StringValue": "1e400"}, "1e400"),
        ({"DataType": "String.xml", "StringValue": "<a/>"}, "<a/>"),
        ({"DataType": "Binary", "BinaryValue": b"\x00"}, b"\x00"),
    ],
)
def test_what_other_programs_send_is_understood(attribute, value):
    """Specification: 'Number->int else float, String.bool->bool'."""
    back = unpack({"MessageId": "theirs", "Body": "plain", "MessageAttributes": {"h": attribute}})

    assert (back.id, back.body, back.headers) == ("theirs", b"plain", {"h": value})
    assert unpack(received(back)).headers == {"h": value}


@pytest.mark.parametrize("packed", ["not json", "[1]", "[" * 100_000])
def test_a_packed_attribute_that_is_not_ours_is_a_header(packed):
    attributes = {PACKED: {"DataType": "String", "StringValue": packed}}

    back = unpack({"MessageId": "theirs", "Body": "plain", "MessageAttributes": attributes})

    assert back.headers == {PACKED: packed}


@pytest.mark.parametrize("body", ["!", "ñ"])
def test_a_body_that_only_claims_to_be_base64_stays_as_it_is(body):
    attributes = {ENCODING: {"DataType": "String", "StringValue": "base64"}}

    back = unpack({"MessageId": "theirs", "Body": body, "MessageAttributes": attributes})

    assert back.body == body.encode()


@pytest.mark.parametrize("value", [{"base64": "not base64"}, {"base64": 7}, {"base64": None}, ["base64"], {}])
def test_a_packed_value_that_is_not_ours_stays_as_it_is(value):
    attributes = {PACKED: {"DataType": "String", "StringValue": json.dumps({"h": value})}}

    back = unpack({"MessageId": "theirs", "Body": "plain", "MessageAttributes": attributes})

    assert back.headers == {"h": value}


def test_the_size_counts_everything():
    plain, with_header = pack(Message("m", b"abc", {})), pack(Message("m", b"abc", {"name": "value"}))

    assert plain.size == len("abc") + len("noria.id") + len("String") + len("m")
    assert with_header.size - plain.size == len("name") + len("String") + len("value")
