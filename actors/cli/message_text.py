"""A stored message as a person reads it, and as data.

Knows: bodies of any codec, ages, headers. Must not know: queues, drivers. What a message holds is data of strangers:
it never reaches the terminal as anything but printable text.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...registry.wording import printable

if TYPE_CHECKING:
    from ..driver import StoredMessage

CUT: Final = 200
"""Characters of a body that are shown where it was not asked for in full."""

PUBLISHED: Final = "timestamp"


@attrs.frozen
class Shown:
    """A message, its body decoded if that can be done."""

    stored: StoredMessage
    body: Any
    problem: str | None

    @property
    def age(self) -> float | None:
        """Seconds since it was published, where that is known."""
        since = self.stored.message.headers.get(PUBLISHED)
        if isinstance(since, bool) or not isinstance(since, int | float) or not abs(since) < math.inf:
            return None
        return max(0.0, time.time() - since)

    def as_data(self) -> dict[str, Any]:
        """What `--json` prints. A body that cannot be decoded is Base64."""
        message = self.stored.message
        data = {
            "id": message.id,
            "state": self.stored.state,
            "attempts": self.stored.attempts,
            "headers": plain(message.headers),
        }
        if self.problem is None:
            return {**data, "body": plain(self.body)}
        return {**data, "undecodable": self.problem, "bytes": base64.b64encode(message.body).decode()}

    def title(self) -> str:
        """Its ID, state, attempts and age on one line."""
        attempts = self.stored.attempts
        parts = [self.stored.state.replace("_", " ")]
        if attempts:
            parts.append(f"{attempts} {'attempt' if attempts == 1 else 'attempts'}")
        if self.age is not None:
            parts.append(f"published {spoken(self.age)} ago")
        return f"{printable(self.stored.message.id)}  {', '.join(parts)}"

    def header_lines(self, *left_out: str) -> Iterator[str]:
        """`name=value` of each header, but for those that are told elsewhere."""
        for name, value in sorted(self.stored.message.headers.items()):
            if name not in left_out:
                text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
                yield f"{printable(name)}={printable(text)}"

    def body_lines(self, *, full: bool) -> list[str]:
        """The body as JSON, or its bytes as Python writes them where they do not decode."""
        if self.problem is not None:
            text = repr(self.stored.message.body)[1:]
            return [f"undecodable: {printable(self.problem)}", _cut(text, full=full)]
        if full:
            text = json.dumps(plain(self.body), ensure_ascii=False, indent=2)
            return [printable(line) for line in text.splitlines()]
        return [_cut(printable(json.dumps(plain(self.body), ensure_ascii=False)), full=False)]


def shown(stored: StoredMessage, decode: Callable[[bytes], Any]) -> Shown:
    """A message with its body decoded."""
    from ..codecs import CodecError

    try:
        return Shown(stored, decode(stored.message.body), None)
    except CodecError as error:
        return Shown(stored, None, str(error))


def plain(value: Any) -> Any:
    """What JSON can hold: bytes as Base64, times as ISO 8601, keys as texts."""
    match value:
        case bytes():
            return f"base64:{base64.b64encode(value).decode()}"
        case dt.datetime():
            return value.isoformat()
        case Mapping():
            return {_key(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return value


def _key(key: Any) -> str:
    made = plain(key)
    return made if isinstance(made, str) else json.dumps(made)


def _cut(text: str, *, full: bool) -> str:
    return text if full or len(text) <= CUT else f"{text[:CUT]}… ({len(text)} characters; --full shows all)"


def spoken(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h`, `2 days`: no more exact than a person needs."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"
