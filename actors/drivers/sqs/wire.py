"""A message as SQS can carry it: a text of certain characters, and at most ten attributes of three types.

Knows: what SQS allows in bodies and attributes. Must not know: boto3, queues, threads.

Text bodies go as they are, so that others can read them; other bytes as base64. Headers go as attributes as long as
SQS keeps them exactly and there is room; the rest goes together into one attribute. None is dropped.
"""

import base64
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from ...delivery import Headers, Message

# docs.aws.amazon.com: SendMessage, "Message attributes" and "Quotas".
MOST_ATTRIBUTES = 10
MOST_DIGITS = 38
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-127, 1e125
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAME = re.compile(r"(?!\.)(?!.*\.\.)(?!(?i:aws|amazon)\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")

ID = "noria.id"
PACKED = "noria.headers"
ENCODING = "noria.encoding"
OURS = (ID, PACKED, ENCODING)
BASE64, EMPTY = "base64", "empty"

# Headers that are parameters of SQS.
GROUP = "sqs.message_group_id"
DEDUPLICATION = "sqs.message_deduplication_id"
DELAY = "sqs.delay_seconds"
PARAMETERS_OF_FIFO = (GROUP, DEDUPLICATION)
PARAMETERS = (GROUP,)

Attribute = dict[str, Any]


@frozen
class Parcel:
    """A body and attributes, ready to be sent.

    Attributes:
        size: as SQS counts it: the body, and names, types and values of the attributes.
    """

    body: str
    attributes: dict[str, Attribute]
    size: int


def pack(message: Message, parameters: Collection[str] = PARAMETERS) -> Parcel:
    """What SQS is to store for a message; headers that are parameters of the call are left to the caller."""
    body, encoding = _body_as_text(message.body)
    ours = {ID: _text(message.id)} if message.id else {}
    if encoding:
        ours[ENCODING] = _text(encoding)
    headers = {
        name: value
        for name, value in message.headers.items()
        if not (name in parameters and is_parameter(value))
    }
    native, packed = _split(headers, MOST_ATTRIBUTES - len(ours))
    if packed:
        ours[PACKED] = _text(json.dumps(packed, separators=(",", ":")))
    attributes = {**native, **ours}
    return Parcel(body, attributes, len(body.encode()) + sum(map(_size, attributes.items())))


def unpack(received: Mapping[str, Any]) -> Message:
    """The message that `pack` was given, or whatever another program has sent, as well as it can be told."""
    attributes: dict[str, Attribute] = dict(received.get("MessageAttributes", {}))
    system: Mapping[str, str] = received.get("Attributes", {})
    message_id = _taken(attributes, ID) or str(received["MessageId"])
    body = _body_as_bytes(str(received["Body"]), _taken(attributes, ENCODING))
    headers: Headers = {}
    if "MessageGroupId" in system:
        headers[GROUP] = system["MessageGroupId"]
    if system.get("MessageDeduplicationId", message_id) != message_id:
        headers[DEDUPLICATION] = system["MessageDeduplicationId"]
    packed = _taken(attributes, PACKED)
    headers |= {name: _value(attribute) for name, attribute in attributes.items()}
    headers |= _unpacked(packed)
    return Message(message_id, body, headers)


def _body_as_text(body: bytes) -> tuple[str, str]:
    if not body:
        return EMPTY, EMPTY
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), BASE64
    if FORBIDDEN.search(text):
        return base64.b64encode(body).decode(), BASE64
    return text, ""


def _body_as_bytes(text: str, encoding: str) -> bytes:
    if encoding == EMPTY:
        return b""
    if encoding == BASE64:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:  # not ours after all; its codec will say what it thinks of it
            return text.encode()
    return text.encode()


def _split(headers: Mapping[str, Any], room: int) -> tuple[dict[str, Attribute], Headers]:
    """Which headers become attributes of their own, and which share one."""
    native: dict[str, Attribute] = {}
    packed: Headers = {}
    for name, value in headers.items():
        attribute = _attribute(value) if name not in OURS and NAME.fullmatch(name) else None
        if attribute is None:
            packed[name] = value
        else:
            native[name] = attribute
    room -= 1 if packed else 0
    if len(native) > room:
        # From now on one of the places is for what is packed.
        for name in list(native)[room if packed else room - 1 :]:
            del native[name]
            packed[name] = headers[name]
    return native, {name: _packable(value) for name, value in packed.items()}


def is_parameter(value: Any) -> bool:
    """Whether SQS keeps it for us: as a text, and not an empty one."""
    return isinstance(value, str) and bool(value)


def _packable(value: Any) -> Any:
    return {BASE64: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _unpacked(text: str) -> Headers:
    if not text:
        return {}
    try:
        packed = json.loads(text)
    except (ValueError, RecursionError):  # the latter where somebody nests a thousand lists
        packed = None
    if not isinstance(packed, dict):
        return {PACKED: text}
    return {name: _unpackable(value) for name, value in packed.items()}


def _unpackable(value: Any) -> Any:
    """What `_packable` made of bytes as bytes; whatever else somebody put there, as it is."""
    try:
        return base64.b64decode(value[BASE64], validate=True)
    except (KeyError, TypeError, ValueError):
        return value


def _text(value: str) -> Attribute:
    return {"DataType": "String", "StringValue": value}


def _attribute(value: Any) -> Attribute | None:
    """None for what SQS would refuse, or change on the way: it trims zeros, so 1.0 needs to be told from 1."""
    match value:
        case bool():
            return {"DataType": "String.bool", "StringValue": "true" if value else "false"}
        case int() if abs(value) < 10**MOST_DIGITS:
            return {"DataType": "Number", "StringValue": str(value)}
        case float() if SMALLEST_NUMBER < abs(value) < LARGEST_NUMBER:
            return {"DataType": "Number.float", "StringValue": repr(value)}
        case str() if value and not FORBIDDEN.search(value):
            return _text(value)
        case bytes() if value:
            return {"DataType": "Binary", "BinaryValue": value}
        case _:
            return None


def _value(attribute: Attribute) -> Any:
    kind, text = attribute["DataType"], attribute.get("StringValue", "")
    if "BinaryValue" in attribute:
        return attribute["BinaryValue"]
    if kind == "String.bool":
        return text == "true"
    if kind.startswith("Number"):
        return _number(text, is_float=kind == "Number.float")
    return text


def _number(text: str, *, is_float: bool) -> Any:
    try:
        return float(text) if is_float else int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _taken(attributes: dict[str, Attribute], name: str) -> str:
    return str(attributes.pop(name, {}).get("StringValue", ""))


def _size(item: tuple[str, Attribute]) -> int:
    name, attribute = item
    value = attribute.get("BinaryValue", b"") or attribute.get("StringValue", "").encode()
    return len(name) + len(attribute["DataType"]) + len(value)
