"""One connection to the server, and what can go wrong with it.

Knows: redis-py; nobody else here does. Must not know: queues, messages, who asks.
"""

import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.exceptions import (
    AskError,
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from ...errors import DriverRefused, DriverUnavailable
from . import scripts
from .config import RedisConfig

Command = Sequence[str | bytes | int]

# What the server says to refuse a command that it may take later; the connection is as good as before.
FOR_NOW = ("MISCONF", "NOREPLICAS", "BUSY ")
# What no new connection will change: the wrong password, missing rights, no such database, somebody else's keys.
FOR_EVER = (
    "WRONGPASS",
    "NOAUTH",
    "NOPERM",
    "WRONGTYPE",
    "DB index",
    "invalid DB",
    "ACL failure",
    "unknown command",
)


class Socket(Protocol):
    """What is used of a connection of redis-py, whose own types say nothing."""

    def connect(self) -> None:
        """Connect, log in, choose the database."""

    def disconnect(self) -> None:
        """Shut the socket down, also under somebody who reads from it."""

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        """As bytes."""

    def send_packed_command(self, command: list[bytes], check_health: bool) -> None:  # noqa: FBT001  (theirs)
        """Write them."""

    def read_response(self) -> Any:
        """Raises what the server refused."""


class Link:
    """A connection for one thread at a time; `close` may come from any other.

    Args:
        config: where to connect, and how long to wait.
        name: what the server calls it in `CLIENT LIST`.
        patience: seconds to wait for an answer beyond the usual, for commands that block.

    Raises:
        RedisError, OSError: no connection (`unavailable` says which of our errors that is).
    """

    def __init__(self, config: RedisConfig, *, name: str, patience: float = 0.0) -> None:
        self._socket = _socket(config, name, patience)
        self.is_closed = False
        self._socket.connect()
        self._load_scripts()

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send them all in one go; the answers, each of which may be a ResponseError.

        Raises:
            RedisError, OSError: the connection is lost. What was sent may have been done.
        """
        replies = self._exchange(commands)
        unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # the server was restarted, or its scripts were flushed
            self._load_scripts()
            again = self._exchange([commands[place] for place in unknown])
            for place, reply in zip(unknown, again, strict=True):
                replies[place] = reply
        return replies

    def ask(self, command: Command) -> Any:
        """Send one; its answer.

        Raises:
            RedisError, OSError: refused, or the connection is lost.
        """
        [reply] = self.run([command])
        return checked(reply)

    def close(self) -> None:
        """Whoever waits for an answer hears of it at once."""
        self.is_closed = True
        self._socket.disconnect()

    def _load_scripts(self) -> None:
        for reply in self._exchange([("SCRIPT", "LOAD", script.source) for script in scripts.ALL]):
            checked(reply)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        if self.is_closed:
            raise ConnectionAbortedError("the connection was closed")
        replies: list[Any] = []
        try:
            self._socket.send_packed_command(self._socket.pack_commands(commands), False)  # noqa: FBT003
            while len(replies) < len(commands):
                try:
                    replies.append(self._socket.read_response())
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            # Also the interrupt of whoever asks: the next one must not take what is still to come for its own answers.
            self.close()
            raise
        return replies


def checked(reply: Any) -> Any:
    """The answer; raises the error that it is."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def is_for_now(error: BaseException) -> bool:
    """Whether the server only refused a command, and the connection lives on."""
    return isinstance(error, OutOfMemoryError | TryAgainError) or (
        isinstance(error, ResponseError) and str(error).startswith(FOR_NOW)
    )


def translated(driver: str, error: BaseException) -> DriverRefused | DriverUnavailable:
    """Which of our errors it is."""
    problem = problem_of(error)
    cause = error.__cause__ or error.__context__
    if (
        isinstance(error, AuthenticationError | NoPermissionError | ValueError)  # a URL, a certificate
        or isinstance(cause, ssl.SSLCertVerificationError)
        or (isinstance(error, ResponseError) and any(sign in str(error) for sign in FOR_EVER))
    ):
        return DriverRefused(driver, problem)
    return DriverUnavailable(driver, problem)


def problem_of(error: BaseException) -> str:
    """What the server or the network said. redis-py puts no password into its errors."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OutOfMemoryError):
        return f"Redis is out of memory: {text}"
    if isinstance(error, AskError):
        return f"the cluster has moved a queue (slot, node: {text})"
    return text


LOST = (RedisError, OSError, ValueError)


def _socket(config: RedisConfig, name: str, patience: float) -> Socket:
    options: dict[str, Any] = parse_url(config.url)  # type: ignore[no-untyped-call]
    kind = options.pop("connection_class", Connection)
    made: Callable[..., Any] = kind
    if config.tls.enabled or kind is SSLConnection:
        made = _tls_connection(config)
        options = {name: value for name, value in options.items() if not name.startswith("ssl_")}
    options |= {
        "socket_connect_timeout": config.connect_timeout,
        "socket_timeout": config.socket_timeout + patience,
        "client_name": name,
        "protocol": 2,
    }
    if kind is not UnixDomainSocketConnection:
        options["socket_keepalive"] = True
    else:
        del options["socket_connect_timeout"]
    return cast("Socket", made(**options))


def _tls_connection(config: RedisConfig) -> Callable[..., Any]:
    context = config.tls.context()

    class TlsConnection(SSLConnection):
        """With a context of our making, and perhaps another name than the host's."""

        def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
            return context.wrap_socket(sock, server_hostname=config.tls.server_name or self.host)

    return TlsConnection
