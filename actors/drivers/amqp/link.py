"""Two connections to a RabbitMQ in one thread: one to publish, one for everything else.

Knows: pika's connections and loop, threads, who is to blame for an error. Must not know: queues, messages.

Two, because a broker that is short of memory stops reading from connections that publish, and what is acked has to
arrive all the same. pika's objects belong to the thread: others leave calls for it.
"""

import logging
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pika
from pika.adapters import select_connection
from pika.data import encode_table

from ...errors import DriverRefused, DriverUnavailable
from ..io_thread import Request
from ..tls import TlsRefused
from .config import AmqpConfig

CLOSE_PATIENCE = 2.0
# After so many errors in the loop, its connections are left to the kernel.
MOST_ERRORS = 10
# What a broker says that will say the same tomorrow: the reply codes of AMQP.
ACCESS_REFUSED, NOT_FOUND, NOT_ALLOWED, PRECONDITION_FAILED = 403, 404, 530, 406
TERMINAL = (ACCESS_REFUSED, NOT_ALLOWED, PRECONDITION_FAILED)

Call = Callable[[], None]


class AmqPlain(pika.PlainCredentials):  # type: ignore[misc]  # pika has no types
    """The mechanism of this name: the password in a table instead of a text."""

    TYPE = "AMQPLAIN"

    def response_for(self, start: Any) -> tuple[str | None, bytes | None]:
        """What pika sends; nothing if the broker does not offer it."""
        offered = start.mechanisms
        if self.TYPE not in (offered.decode() if isinstance(offered, bytes) else offered).split():
            return None, None
        pieces: list[bytes] = []
        encode_table(pieces, {"LOGIN": self.username, "PASSWORD": self.password})
        return self.TYPE, b"".join(pieces[1:])  # without the length, which is that of the whole answer


class _Connection(pika.SelectConnection):  # type: ignore[misc]  # pika has no types
    """One that can also be dropped without asking the other side, and sends a message in one piece."""

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        # pika makes a system call, and on an idle line a packet, for each part of a message.
        super()._output_marshaled_frames([b"".join(marshaled_frames)])

    def _on_connection_workflow_done(self, conn_or_exc: Any) -> None:
        # When it is dropped while it is opened, pika 1.4 hands over the class of the error, and stumbles over it.
        is_class = isinstance(conn_or_exc, type)
        super()._on_connection_workflow_done(conn_or_exc() if is_class else conn_or_exc)

    def abort(self) -> None:
        """Drop it."""
        if not self.is_closed:
            self._terminate_stream(pika.exceptions.ConnectionOpenAborted("dropped"))


class Link:
    """The thread and its connections. Made for one life: opened once, closed once.

    Args:
        name: the driver's, for errors and the thread.
        config: where to connect to.
        lost: called once, in the thread, when a connection ends that nobody closed, and never before `open` returns.

    Attributes:
        publishing: the connection to publish on, after `open`.
        consuming: the other one.
    """

    def __init__(self, name: str, config: AmqpConfig, lost: Callable[[DriverUnavailable], None]) -> None:
        self._name = name
        self._config = config
        self._lost = lost
        self._loop = select_connection.IOLoop()
        self._thread = threading.Thread(target=self._run, name=f"amqp-{name}", daemon=True)
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque()
        self._is_rung = False
        self._is_over = False
        self._is_closing = False
        self._opened = Request()
        self._connections: list[_Connection] = []
        self.publishing: Any = None
        self.consuming: Any = None

    # ---- from any thread -----------------------------------------------------------------------------

    def open(self) -> None:
        """Connect.

        Raises:
            DriverUnavailable: not now.
            DriverRefused: never like this.
        """
        try:
            parameters = parameters_of(self._config, self._name)
        except TlsRefused as error:
            self._loop.close()
            raise DriverRefused(self._name, str(error)) from None
        quiet_the_library()
        self.call(lambda: self._connect(parameters))
        self.call(lambda: self.later(self._config.connection_timeout, self._give_up_connecting))
        self._thread.start()
        if not self._opened.wait(self._config.connection_timeout + CLOSE_PATIENCE):
            self.close()
            raise DriverUnavailable(self._name, "connecting took too long")
        if self._opened.error is not None:
            self._thread.join(CLOSE_PATIENCE)
        self._opened.outcome()

    def call(self, call: Call) -> bool:
        """Let the thread call this soon, in the order of asking; False if it has ended."""
        self._calls.append(call)
        if self._is_rung:
            return True
        with self._lock:
            if self._is_over:
                return False
            self._is_rung = True
            self._loop.add_callback_threadsafe(self._work)
        return True

    def close(self) -> None:
        """Disconnect and end the thread, within a few seconds."""
        self.call(self._close)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(2 * CLOSE_PATIENCE)

    # ---- in the thread -------------------------------------------------------------------------------

    def later(self, seconds: float, call: Call) -> None:
        """Call this in so many seconds."""
        self._loop.call_later(seconds, call)

    def open_channel(self, opened: Callable[[Any], None], refused: Callable[[str], None]) -> None:
        """Open a channel to consume on; `refused` hears of it if there are too many."""
        try:
            self.consuming.channel(on_open_callback=opened)
        except pika.exceptions.NoFreeChannels:
            refused(
                f"no channel is left of {self.consuming.params.channel_max}, and each consumer needs one:"
                " raise channel_max, or channel_max of the broker"
            )

    def fail(self, problem: str) -> None:
        """Something is wrong that only a new life can mend."""
        self._end(DriverUnavailable(self._name, problem))

    def _run(self) -> None:
        for _ in range(MOST_ERRORS):
            try:
                self._loop.start()
                break
            except Exception as error:  # ours or pika's: whatever it is, somebody has to hear of it
                self._end(DriverUnavailable(self._name, first_line(f"{type(error).__name__}: {error}")))
        with self._lock:
            self._is_over = True
        self._loop.close()

    def _work(self) -> None:
        self._is_rung = False
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        if self._calls and not self._is_rung:
            self._is_rung = True
            self._loop.add_callback_threadsafe(self._work)

    def _connect(self, parameters: pika.ConnectionParameters) -> None:
        """One after the other: what is wrong with the first one need not be told twice."""
        self._connections.append(
            _Connection(
                parameters,
                on_open_callback=lambda _connection: self._on_open(parameters),
                on_open_error_callback=self._on_end,
                on_close_callback=self._on_end,
                custom_ioloop=self._loop,
            )
        )

    def _on_open(self, parameters: pika.ConnectionParameters) -> None:
        if self._is_closing:
            return
        if len(self._connections) == 1:
            self._connect(parameters)
        else:
            self.publishing, self.consuming = self._connections
            self._opened.finish()

    def _give_up_connecting(self) -> None:
        if not self._opened.is_done:
            seconds = self._config.connection_timeout
            self._end(DriverUnavailable(self._name, f"no connection within {seconds:g} s"))

    def _on_end(self, _connection: Any, reason: BaseException) -> None:
        self._end(problem_of(self._name, reason))
        if all(connection.is_closed for connection in self._connections):
            self._loop.stop()

    def _end(self, error: DriverUnavailable | DriverRefused) -> None:
        """The first one to call this says why; everything is dropped."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._opened.is_done:
            self._lost(DriverUnavailable(self._name, error.problem))
        else:
            self._opened.finish(error=error)
        self._drop()

    def _drop(self) -> None:
        for connection in self._connections:
            connection.abort()
        if all(connection.is_closed for connection in self._connections):
            self._loop.stop()
        else:
            self.later(CLOSE_PATIENCE, self._loop.stop)

    def _close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        for connection in self._connections:
            if connection.is_open:
                connection.close()
            else:
                connection.abort()
        self.later(CLOSE_PATIENCE, self._drop)
        if all(connection.is_closed for connection in self._connections):
            self._loop.stop()


def quiet_the_library() -> None:
    """Pika logs each lost connection several times, with tracebacks; noria tells it once, by its supervisors."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def parameters_of(config: AmqpConfig, name: str) -> pika.ConnectionParameters:
    """What pika wants to know.

    Raises:
        TlsRefused: certificates that cannot be used.
    """
    address = config.address()
    options = None
    if address.uses_tls:
        options = pika.SSLOptions(config.tls.context(), config.tls.server_name or address.host)
    credentials: Any = pika.PlainCredentials(address.user, address.password)
    if config.auth_mechanism == "AMQPLAIN":
        credentials = AmqPlain(address.user, address.password)
    elif config.auth_mechanism == "EXTERNAL":
        credentials = pika.credentials.ExternalCredentials()
    return pika.ConnectionParameters(
        host=address.host,
        port=address.port,
        virtual_host=address.vhost,
        credentials=credentials,
        channel_max=config.channel_max,
        frame_max=config.frame_size,
        heartbeat=round(config.heartbeat),
        ssl_options=options,
        socket_timeout=config.connection_timeout,
        stack_timeout=config.connection_timeout,
        client_properties={"connection_name": config.connection_name or f"noria {name}"},
    )


def problem_of(driver: str, reason: BaseException) -> DriverUnavailable | DriverRefused:
    """What ended a connection, and whether it makes sense to try again. pika wraps errors in errors."""
    causes = list(_causes(reason))
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return DriverRefused(driver, f"the server's certificate: {cause.verify_message}")
            case pika.exceptions.AuthenticationError() | pika.exceptions.ProbableAuthenticationError():
                return DriverRefused(
                    driver, "wrong user or password, or an auth_mechanism that is not offered"
                )
            case pika.exceptions.ConnectionClosed(reply_code=code, reply_text=text) if code in TERMINAL:
                return DriverRefused(driver, f"{code} {text}")
            case pika.exceptions.ConnectionClosed(reply_code=code, reply_text=text):
                return DriverUnavailable(driver, f"{code} {text}")
            case pika.exceptions.ProbableAccessDeniedError():
                return DriverRefused(driver, _broker_said(str(cause)))
    last = causes[-1]
    return DriverUnavailable(driver, first_line(f"{type(last).__name__}: {last}"))


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    inner = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
    for each in inner:
        if isinstance(each, BaseException):
            yield from _causes(each)


def _broker_said(text: str) -> str:
    """Pika gives the broker's words as the repr of an error inside a text."""
    _, found, rest = text.partition("(530)")
    return first_line(f"{NOT_ALLOWED}{rest}" if found else text)


def first_line(text: str) -> str:
    """As much as fits into a line of a log."""
    return text.partition("\n")[0][:300]
