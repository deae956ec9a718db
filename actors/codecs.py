"""How a body becomes bytes and a value again.

Knows: formats by name. Must not know: queues, drivers.

Every driver stores encoded bodies, the memory driver too: that isolates the publisher's and the handlers' copies,
and an application behaves on every driver as it did on the first.
"""

import importlib
import importlib.util
import json
import json.encoder
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NoReturn, Protocol

from ..registry.wording import nearest

DEFAULT_CODEC = "json/plain"


class CodecError(ValueError):
    """A value that cannot be written, or bytes that cannot be read."""


class Codec(Protocol):
    """Writes and reads bodies. Thread-safe.

    Attributes:
        content_type: what a broker is told that the bodies are.
        requires: the library it imports when it is first used, and what to install for it.
    """

    @property
    def content_type(self) -> str:
        """Such as `application/json`."""

    @property
    def requires(self) -> tuple[str, str] | None:
        """The library, and the name under which it is installed: `("msgpack", "noria[msgpack]")`."""

    def encode(self, body: Any) -> bytes:
        """Raises CodecError for what the format cannot hold."""

    def decode(self, data: bytes) -> Any:
        """Raises CodecError for what is not of this format."""


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"{name} is not JSON")


class JsonCodec:
    """`json/plain`: UTF-8 JSON. NaN and infinities are refused; tuples become lists, keys become strings."""

    content_type = "application/json"
    requires = None

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


class MsgpackCodec:
    """`application/msgpack`: MessagePack, in which bytes stay bytes and keys need not be texts.

    Times that know their zone become timestamps, and UTC times again. Integers beyond 64 bits and other extension
    types are refused; tuples become lists.
    """

    content_type = "application/msgpack"
    requires = ("msgpack", "noria[msgpack]")

    def encode(self, body: Any) -> bytes:
        """Raises CodecError for values that MessagePack does not have, or that could not be read again."""
        try:
            data: bytes = self._pack(body)
            # A third of a microsecond, and no consumer meets what its publisher could have been told: a tuple as a
            # key, an extension type.
            self._unpack(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise CodecError(f"the body is not plain MessagePack data: {_said(error)}") from error
        return data

    def decode(self, data: bytes) -> Any:
        """Raises CodecError for bytes that are not MessagePack."""
        try:
            return self._unpack(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise CodecError(f"the body is not MessagePack: {_said(error)}") from error

    @cached_property
    def _pack(self) -> Callable[[Any], bytes]:
        return partial(importlib.import_module("msgpack").packb, datetime=True)

    @cached_property
    def _unpack(self) -> Callable[[bytes], Any]:
        as_utc_time = 3
        unpack = importlib.import_module("msgpack").unpackb
        return partial(unpack, timestamp=as_utc_time, strict_map_key=False, ext_hook=_refuse_extension)


def _refuse_extension(number: int, _data: bytes) -> NoReturn:
    raise CodecError(f"extension type {number}")


def _said(error: Exception) -> str:
    """What the library says, or at least what it calls it: some of its errors have no text."""
    return str(error) or {"StackError": "nested too deeply"}.get(type(error).__name__, "malformed")


CODECS: dict[str, Codec] = {DEFAULT_CODEC: JsonCodec(), "application/msgpack": MsgpackCodec()}


def what_is_wrong_with(name: str) -> str | None:
    """Why a codec of this name cannot be used, or None."""
    codec = CODECS.get(name)
    if codec is None:
        alike = [known for known in CODECS if name.lower() in known.split("/")]
        meant = alike[0] if len(alike) == 1 else nearest(name, CODECS)
        hint = f"; did you mean {meant}?" if meant else f", expected one of {', '.join(CODECS)}"
        return f"unknown codec {name!r}{hint}"
    if codec.requires is not None and importlib.util.find_spec(codec.requires[0]) is None:
        return f"{name} needs the library {codec.requires[0]}: pip install '{codec.requires[1]}'"
    return None
