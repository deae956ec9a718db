"""How a body becomes bytes and a value again.

Knows: formats by name. Must not know: queues, drivers.

Every driver stores encoded bodies, the memory driver too: that isolates the publisher's and the handlers' copies,
and an application behaves on every driver as it did on the first.
"""

import json
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
        self._encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
        self._decode = json.JSONDecoder(parse_constant=_refuse_constant).decode

    def encode(self, body: Any) -> bytes:
        """Raises CodecError for values that JSON does not have."""
        try:
            return self._encode(body).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(f"the body is not plain JSON data: {error}") from error

    def decode(self, data: bytes) -> Any:
        """Raises CodecError for bytes that are not UTF-8 JSON."""
        try:
            return self._decode(data.decode())
        except (ValueError, RecursionError) as error:
            raise CodecError(f"the body is not JSON: {error}") from error


CODECS: dict[str, Codec] = {DEFAULT_CODEC: JsonCodec()}
