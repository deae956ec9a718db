"""From our headers to AMQP's properties and table, and back.

Knows: the mapping that docs/drivers/amqp.md shows. Must not know: pika, connections.

A text goes into the property of its name, where AMQP has one; everything else into the table as it is. What AMQP or
its client library cannot carry exactly (fractions, large integers, long names) goes into one text of JSON.
"""

import calendar
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import define

from ...delivery import Message, new_message_id

APPLICATION = "noria"
OURS = "x-noria-"
ATTEMPTS = "x-noria-attempts"
"""How many handler runs it has had."""
SUSPECT = "x-noria-suspect"
"""Its last run was put on record before it began, and never ended."""
EXPIRED = "x-noria-expired"
"""It waited longer than its queue's `message_ttl`, and could not be put elsewhere yet."""
DELAY_LEFT = "x-noria-delay-left"
"""Seconds, as a text, that it has to wait after it has come out of its delay queue."""
RUN = "x-noria-run"
"""The delivery whose place this copy takes."""
PACKED = "x-noria-packed"
"""The text of JSON. The message ID is there under a name that no header has, if it is too long for its property."""
ID = ""
KEPT_EXPIRATION = "x-noria-expiration"
"""The expiration of a message that waits in a delay queue, which would otherwise be too long for it."""

TEXT_PROPERTIES = {
    "correlation_id": "correlation_id",
    "reply_to": "reply_to",
    "message_type": "type",
    "content_type": "content_type",
    "encoding": "content_encoding",
    "amqp.content_encoding": "content_encoding",
}
NUMBER_PROPERTIES = {"amqp.priority": "priority", "amqp.delivery_mode": "delivery_mode"}
# Of the broker, which adds them when a message expires.
BROKERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
LONGEST_SHORT_TEXT = 255
PERSISTENT = 2
VALUE_SIZE = 16
MOST_ATTEMPTS = 2**31
INTEGERS = range(-(2**63), 2**63)


@define(kw_only=True)
class Letter:
    """A message as AMQP carries it: `properties` are pika's keyword arguments, `headers` among them."""

    properties: dict[str, Any]
    body: bytes

    @property
    def header_size(self) -> int:
        """About how many bytes the table takes."""
        return sum(
            VALUE_SIZE + len(name) + (len(value.encode()) if isinstance(value, str) else 0)
            for name, value in self.properties["headers"].items()
        )


def letter_of(
    message: Message,
    *,
    attempts: int = 0,
    content_type: str = "",
    expiration: str | None = None,
    **marks: Any,
) -> Letter:
    """As it is sent; `marks` are those of our own headers that say something."""
    table: dict[str, Any] = {}
    packed: dict[str, Any] = {}
    properties: dict[str, Any] = {"app_id": APPLICATION, "delivery_mode": PERSISTENT, "headers": table}
    if content_type:
        properties["content_type"] = content_type
    if expiration is not None:
        properties["expiration"] = expiration
    if _is_short_text(message.id):
        properties["message_id"] = message.id
    else:
        packed[ID] = message.id
    for name, value in message.headers.items():
        if not _set_property(properties, name, value):
            _put(name, value, table, packed)
    if packed:
        table[PACKED] = json.dumps(packed)
    if attempts:
        table[ATTEMPTS] = attempts
    table.update((f"{OURS}{name.replace('_', '-')}", value) for name, value in marks.items() if value)
    return Letter(properties=properties, body=message.body)


def keep_expiration(letter: Letter) -> Letter:
    """For a delay queue: the message must not expire there before its time."""
    expiration = letter.properties.pop("expiration", None)
    if expiration is not None:
        letter.properties["headers"][KEPT_EXPIRATION] = expiration
    return letter


def _set_property(properties: dict[str, Any], name: str, value: Any) -> bool:
    """Whether the header went into a property, or is for the driver and not for the wire."""
    if name in TEXT_PROPERTIES:
        fits = _is_short_text(value) and value != ""
        if fits:
            properties[TEXT_PROPERTIES[name]] = value
        return fits
    match name:
        case "timestamp" if type(value) is int and 0 <= value < 1 << 64:
            properties["timestamp"] = value
        case "amqp.expiration" if isinstance(value, str) and value.isascii() and value.isdecimal():
            properties["expiration"] = value
        case "amqp.priority" if type(value) is int and 0 <= value <= 255:
            properties["priority"] = value
        case "amqp.delivery_mode" if type(value) is int and value in (1, 2):
            properties["delivery_mode"] = value
            return value != PERSISTENT  # which says nothing by itself, so it goes into the table, too
        case "amqp.mandatory":
            return True  # every message is
        case _:
            return False
    return True


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and _is_utf8(value) and len(value.encode()) <= LONGEST_SHORT_TEXT


def _is_utf8(text: str) -> bool:
    """Not so for half a character, which Python's texts may hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _put(name: str, value: Any, table: dict[str, Any], packed: dict[str, Any]) -> None:
    if name == "amqp.x_delay" and type(value) is int:
        name = "x-delay"
    if _is_internal(name) or not _is_short_text(name) or not _is_exact(value):
        packed[name] = value
    else:
        table[name] = value


def _is_exact(value: Any) -> bool:
    """Whether the client library writes and reads it as it is."""
    match value:
        case float():
            return False
        case str():
            return _is_utf8(value)
        case int():
            return value in INTEGERS
    return True


@define(kw_only=True)
class Received:
    """A message as it came, and what our own headers say of it."""

    message: Message
    attempts: int
    is_suspect: bool
    is_expired: bool
    delay_left: float
    run: str


def received(properties: Any, body: bytes) -> Received:
    """What a delivery says; `properties` are pika's."""
    table: Mapping[str, Any] = properties.headers or {}
    packed = _unpacked(table.get(PACKED))
    id_ = str(packed.pop(ID, None) or properties.message_id or new_message_id())
    headers = _headers_of(properties, is_ours=properties.app_id == APPLICATION)
    if KEPT_EXPIRATION in table:
        headers["amqp.expiration"] = _plain(table[KEPT_EXPIRATION])
    headers.update((name, _plain(value)) for name, value in table.items() if not _is_internal(name))
    headers.update((name, _plain(value)) for name, value in packed.items())
    return Received(
        message=Message(id_, body, headers),
        attempts=_count(table.get(ATTEMPTS)),
        is_suspect=bool(table.get(SUSPECT)),
        is_expired=bool(table.get(EXPIRED)),
        delay_left=_seconds(table.get(DELAY_LEFT)),
        run=str(table.get(RUN) or ""),
    )


def _headers_of(properties: Any, *, is_ours: bool) -> dict[str, Any]:
    texts = {
        "correlation_id": properties.correlation_id,
        "reply_to": properties.reply_to,
        "message_type": properties.type,
        "content_type": properties.content_type,
        "encoding": properties.content_encoding,
        "amqp.expiration": properties.expiration,
    }
    headers: dict[str, Any] = {name: text for name, text in texts.items() if text}
    if properties.timestamp is not None:
        headers["timestamp"] = int(properties.timestamp)
    if not is_ours:
        headers["amqp.priority"] = int(properties.priority or 0)
        headers["amqp.delivery_mode"] = int(properties.delivery_mode or 1)
        return headers
    if properties.priority is not None:
        headers["amqp.priority"] = properties.priority
    if properties.delivery_mode != PERSISTENT:
        headers["amqp.delivery_mode"] = properties.delivery_mode
    return headers


def _is_internal(name: str) -> bool:
    return name.startswith((OURS, *BROKERS))


def _plain(value: Any) -> Any:
    """As a header is: the client library has an integer type of its own, and AMQP has lists, tables, times and more."""
    match value:
        case bool() | float() | str() | None:
            return value
        case int():
            return int(value)
        case datetime():
            return calendar.timegm(value.utctimetuple())
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case list() | dict():
            return json.dumps(value, default=_plain)
    return str(value)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < MOST_ATTEMPTS else 0


def _seconds(value: Any) -> float:
    try:
        found = float(value) if isinstance(value, str) else 0.0
    except ValueError:
        return 0.0
    return found if 0 < found < math.inf else 0.0


def _unpacked(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
