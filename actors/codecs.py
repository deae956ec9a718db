"""How a body becomes bytes and a value again.

Knows: formats by name. Must not know: queues, drivers.

Every driver stores encoded bodies, the memory driver too: that isolates the publisher's and the handlers' copies,
and an application behaves on every driver as it did on the first.
"""

import json
import json.encoder
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

DEFAULT_CODEC = "json/plain"


class CodecError(ValueError):
    """A value that cannot be written, or bytes that cannot be read."""


class Codec(Protocol):
    """Writes and reads bodies. Thread-safe."""

    def encode(self, body: Any) -> bytes:
        """Raises CodecError for what the format cannot hold."""

    def decode(self, data: bytes) -> Any:
        """Raises CodecError for what is not of this format."""


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"{name} is not JSON")


class JsonCodec:
    """`json/plain`: UTF-8 JSON. NaN and infinities are refused; tuples become lists, keys become strings."""

    def __init__(self) -> None:
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._encode = _prepared(encoder) or encoder.encode
        decoder = json.JSONDecoder(parse_constant=_refuse_constant)
        self._decode = decoder.decode
        self._decode_prefix = decoder.raw_decode

    def encode(self, body: Any) -> bytes:
        """Raises CodecError for values that JSON does not have."""
        try:
            return self._encode(body).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(f"the body is not plain JSON data: {error}") from error

    def decode(self, data: bytes) -> Any:
        """Raises CodecError for bytes that are not UTF-8 JSON."""
        try:
            text = data.decode()
            # What we wrote ourselves has no white space around it, so the quick way reads it to the end.
            body, end = self._decode_prefix(text)
            return body if end == len(text) else self._decode(text)
        except (ValueError, RecursionError) as error:
            raise CodecError(f"the body is not JSON: {error}") from error


def _prepared(encoder: json.JSONEncoder) -> Callable[[Any], str] | None:
    """The encoder's C half, made once: `JSONEncoder.encode` makes it anew for each value, half of its time."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return None
    # Without its table of open containers a circular value ends in a RecursionError, which is refused as well.
    open_containers = indent = None
    sort_keys = skip_keys = allow_nan = False
    text = json.encoder.encode_basestring
    write = make(open_containers, encoder.default, text, indent, ":", ",", sort_keys, skip_keys, allow_nan)
    return lambda body: "".join(write(body, 0))


CODECS: dict[str, Codec] = {DEFAULT_CODEC: JsonCodec()}
