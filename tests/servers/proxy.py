"""A TCP proxy that breaks connections the way networks do.

Knows: sockets. Must not know: what is spoken through it.
"""

import select
import socket
import struct
import threading

from .ports import HOST, free_port

CHUNK = 65_536
PATIENCE = 20.0

# Closing with this setting resets the connection: the other side gets an error instead of a polite end.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Listens on `port` of loopback and passes everything on to a target. Thread-safe."""

    def __init__(self, target_port: int, target_host: str = HOST) -> None:
        self.port = free_port()
        self.target = (target_host, target_port)
        self._changed = threading.Condition()
        self._frozen = False
        self._delay = 0.0
        self._links: set[_Link] = set()
        self._listener: _Listener | None = None
        self.accept()

    @property
    def connections(self) -> int:
        """How many pass through now."""
        with self._changed:
            return len(self._links)

    def wait_for_connections(self, count: int) -> None:
        """Returns when exactly `count` pass through."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self._links) == count, PATIENCE)
            assert arrived, f"waited {PATIENCE:g} s for {count} connections, there are {len(self._links)}"

    def cut(self) -> None:
        """Resets every connection that passes through now, for both sides; new ones are welcome."""
        with self._changed:
            links = list(self._links)
            for link in links:
                link.stop.set()
            self._changed.notify_all()
        for link in links:
            link.join()

    def refuse(self) -> None:
        """New connections are refused, as if nobody listened; those that are there stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def accept(self) -> None:
        """New connections are welcome again."""
        if self._listener is None:
            self._listener = _Listener(self)

    def freeze(self) -> None:
        """Half-open: nothing passes and nothing is closed; who connects now is heard by nobody."""
        with self._changed:
            self._frozen = True

    def thaw(self) -> None:
        """Passes on what was held back."""
        with self._changed:
            self._frozen = False
            self._changed.notify_all()

    def slow(self, seconds_per_chunk: float) -> None:
        """Each piece of up to 64 KiB takes this long, in both directions; 0 ends it."""
        with self._changed:
            self._delay = seconds_per_chunk

    def close(self) -> None:
        """Refuses, cuts, and ends its threads."""
        self.refuse()
        self.cut()

    def connect(self, client: socket.socket) -> None:
        """Passes on what this client says. For the listener."""
        link = _Link(self, client)
        with self._changed:
            link.start()  # whoever finds it among the links may join it
            self._links.add(link)
            self._changed.notify_all()

    def forget(self, link: "_Link") -> None:
        """It has ended. For the link."""
        with self._changed:
            self._links.discard(link)
            self._changed.notify_all()

    def hold(self, stop: "_Stop") -> None:
        """Holds a chunk as long as the proxy is slow or frozen, and the link is not cut. For the link."""
        with self._changed:
            delay = self._delay
        stop.event.wait(delay)
        with self._changed:
            self._changed.wait_for(lambda: stop.event.is_set() or not self._frozen)


class _Stop:
    """An event that also ends the wait for a socket."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._reader, self._writer = socket.socketpair()

    def set(self) -> None:
        if not self.event.is_set():
            self.event.set()
            self._writer.send(b"!")

    def until_ready(self, waited_for: socket.socket, event: int) -> bool:
        """Whether the socket is ready; False when it is time to stop."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        poll.register(waited_for, event)
        poll.poll()
        return not self.event.is_set()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class _Listener(threading.Thread):
    """Takes connections until it is closed."""

    def __init__(self, proxy: TcpProxy) -> None:
        super().__init__(name=f"proxy-listener-{proxy.port}", daemon=True)
        self._proxy = proxy
        self._stop_listening = _Stop()
        self._socket = socket.create_server((HOST, proxy.port))
        self._socket.settimeout(0)
        self.start()

    def run(self) -> None:
        while self._stop_listening.until_ready(self._socket, select.POLLIN):
            try:
                client, _address = self._socket.accept()
            except OSError:  # gone again before it was taken
                continue
            self._proxy.connect(client)

    def close(self) -> None:
        self._stop_listening.set()
        self.join()
        self._socket.close()
        self._stop_listening.close()


class _Link(threading.Thread):
    """One client and its connection to the target."""

    def __init__(self, proxy: TcpProxy, client: socket.socket) -> None:
        super().__init__(name=f"proxy-link-{proxy.port}", daemon=True)
        self.stop = _Stop()
        self._proxy = proxy
        self._client = client

    def run(self) -> None:
        try:
            with self._client:
                self._serve()
        finally:
            self._proxy.forget(self)
            # Only now: who cuts finds links and sets their stop under the lock that `forget` takes.
            self.stop.close()

    def _serve(self) -> None:
        try:
            target = socket.create_connection(self._proxy.target, PATIENCE)
        except OSError:
            reset_on_close(self._client)
            return
        with target:
            ends = self._client, target
            for end in ends:
                end.settimeout(0)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = threading.Thread(target=self._pass_on, args=(target, self._client), daemon=True)
            answers.start()
            self._pass_on(self._client, target)
            answers.join()
            if self.stop.event.is_set():
                for end in ends:
                    reset_on_close(end)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Until `source` ends, or the link is cut; a connection that breaks breaks the link."""
        try:
            while self.stop.until_ready(source, select.POLLIN):
                chunk = source.recv(CHUNK)
                self._proxy.hold(self.stop)
                if not chunk:
                    sink.shutdown(socket.SHUT_WR)
                    return
                while chunk and self.stop.until_ready(sink, select.POLLOUT):
                    chunk = chunk[sink.send(chunk) :]
        except OSError:
            self.stop.set()


def reset_on_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
