"""Messages as entries of a stream, there and back.

Knows: the fields of an entry, JSON. Must not know: connections, scripts, subscriptions.

    id         the message ID
    headers    a JSON object
    body       the body's bytes
    attempts   handler runs so far, on an entry that was put back behind the others
    published  milliseconds, likewise: when the message first came; elsewhere the entry's own ID says it
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define

from ...delivery import Message

# Of a number that we have written. Somebody else's may have any, and Python refuses to read more than some thousands.
MOST_DIGITS = 18


@define(eq=False)
class Entry:
    """A message as the stream has it.

    Attributes:
        id: of the entry.
        message: what it carries.
        attempts: how many handler runs it has had.
        is_suspect: a process died with it in its hands.
        published: milliseconds of the server's clock.
    """

    id: bytes
    message: Message
    attempts: int
    is_suspect: bool
    published: int


def arguments_of(messages: Sequence[Message]) -> Iterator[str | bytes]:
    """Three arguments for each message, as the scripts expect them."""
    headers: Mapping[str, Any] | None = None
    text = ""
    for message in messages:
        if message.headers is not headers:  # the messages of a batch share theirs
            headers = message.headers
            text = json.dumps(headers, separators=(",", ":"))
        yield message.id
        yield text
        yield message.body


# How every entry looks that this driver has just published.
NAMES = [b"id", b"headers", b"body"]


def entry_of(entry_id: bytes, fields: Sequence[bytes], note: bytes = b"") -> Entry:
    """An entry, with what is noted of it: `2`, `2!` or `!`, attempts and suspicion."""
    return next(entries_of([(entry_id, fields, note)]))


def entries_of(found: Iterable[Sequence[Any]]) -> Iterator[Entry]:
    """Entries as the server lists them: ID, fields, and perhaps a note of each."""
    text, headers = b"{}", {}
    for entry_id, fields, *notes in found:
        if fields[::2] == NAMES and not notes:
            _, message_id, _, its_text, _, body = fields
            if its_text != text:  # those that were published together share theirs
                text, headers = its_text, headers_of(its_text)
            published = int(entry_id.partition(b"-")[0])
            message = Message(message_id.decode(errors="replace"), body, headers)
            yield Entry(entry_id, message, 0, False, published)  # noqa: FBT003
        else:
            yield _unusual_entry(entry_id, fields, notes[0] if notes else b"")


def _unusual_entry(entry_id: bytes, fields: Sequence[bytes], note: bytes) -> Entry:
    """One that was put back or given back; or that somebody made by hand, and that may lack everything."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    message_id = values.get(b"id", entry_id).decode(errors="replace")
    message = Message(message_id, values.get(b"body", b""), headers_of(values.get(b"headers", b"")))
    attempts = _number(note.rstrip(b"!") or values.get(b"attempts", b""), default=0)
    published = _number(values.get(b"published", b""), default=int(entry_id.partition(b"-")[0]))
    return Entry(entry_id, message, attempts, note.endswith(b"!"), published)


def _number(text: bytes, *, default: int) -> int:
    return int(text) if len(text) <= MOST_DIGITS and text.isdigit() else default


def headers_of(text: bytes) -> dict[str, Any]:
    """The headers; what is no JSON object is kept under a name of its own."""
    if not text:
        return {}
    try:
        headers = json.loads(text)
    except (ValueError, RecursionError):  # the latter where somebody nests a thousand lists
        headers = text.decode(errors="replace")
    return headers if isinstance(headers, dict) else {"headers": headers}
