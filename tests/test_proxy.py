"""The proxy of the tests breaks connections as it says."""

import contextlib
import os
import socket
import threading

import pytest
from servers import TcpProxy

PATIENCE = 20.0


class Echo:
    """A server that says again what it hears, as long as the test lasts."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionResetError):
            while text := connection.recv(65_536):
                connection.sendall(text)

    def close(self) -> None:
        # Shutting down is what wakes `accept`; closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy(proxy_to):
    echo = Echo()
    yield proxy_to(echo.port)
    echo.close()


@pytest.fixture
def caller(proxy):
    with connected(proxy) as connection:
        yield connection


def connected(proxy: TcpProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    proxy.wait_for_connections(1)
    return connection


def said_again(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return heard(connection, len(text))


def heard(connection: socket.socket, size: int) -> bytes:
    answer = b""
    while len(answer) < size:
        part = connection.recv(65_536)
        assert part, f"the connection ended after {len(answer)} of {size} bytes"
        answer += part
    return answer


def test_a_proxy_passes_everything_on_in_both_directions(proxy, caller):
    text = os.urandom(3_000_000)
    sender = threading.Thread(target=caller.sendall, args=(text,), daemon=True)
    sender.start()

    assert heard(caller, len(text)) == text
    sender.join()
    caller.shutdown(socket.SHUT_WR)
    assert caller.recv(1) == b""
    proxy.wait_for_connections(0)


def test_a_cut_resets_connections_and_new_ones_are_welcome(proxy, caller):
    assert said_again(caller, b"before") == b"before"
    proxy.cut()

    assert proxy.connections == 0
    with pytest.raises(ConnectionResetError):
        caller.recv(1)
    with connected(proxy) as other:
        assert said_again(other, b"after") == b"after"


def test_a_proxy_that_refuses_keeps_who_is_there_and_accepts_again_on_its_port(proxy, caller):
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    assert said_again(caller, b"still here") == b"still here"
    proxy.accept()

    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as other:
        assert said_again(other, b"back") == b"back"


def test_a_frozen_proxy_passes_nothing_until_it_thaws(proxy, caller):
    proxy.freeze()
    caller.sendall(b"held")
    caller.settimeout(0.05)
    with pytest.raises(TimeoutError):
        caller.recv(1)
    caller.settimeout(PATIENCE)
    proxy.thaw()

    assert heard(caller, 4) == b"held"


def test_a_frozen_connection_can_be_cut(proxy, caller):
    proxy.freeze()
    caller.sendall(b"lost")
    proxy.cut()

    with pytest.raises(ConnectionResetError):
        caller.recv(1)


def test_a_slow_proxy_delays_what_it_passes_on(proxy, caller):
    proxy.slow(3600)
    caller.sendall(b"late")
    caller.settimeout(0.05)

    with pytest.raises(TimeoutError):
        caller.recv(1)


def test_a_proxy_whose_target_is_gone_resets_who_connects(proxy_to):
    echo = Echo()
    proxy = proxy_to(echo.port)
    echo.close()

    caller = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    with caller, pytest.raises(ConnectionResetError):
        caller.recv(1)
