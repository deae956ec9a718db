"""A redis-server of one's own.

Knows: the options of redis-server. Must not know: redis-py.
"""

import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from .certificates import Certificates
from .child import Server
from .ports import HOST, free_port


class RedisServer(Server):
    """Redis on loopback.

    Args:
        folder: Where its data and its log are.
        durable: Every write is on the disk before it is confirmed, so that a killed server keeps what it confirmed.
        password: What clients have to know.
        replica_of: Copies this server, and refuses writes.
        tls: Speaks TLS only, with `certificates`.
        config: More lines of redis.conf.
    """

    name = "redis-server"

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        password: str | None = None,
        replica_of: "RedisServer | None" = None,
        tls: bool = False,
        config: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.password = password
        self.certificates = Certificates(folder / "certificates") if tls else None
        self._config = {"save": '""', **(config or {})}
        if durable:
            self._config |= {"appendonly": "yes", "appendfsync": "always"}
        if replica_of is not None:
            self._config |= {"replicaof": f"{HOST} {replica_of.port}", "repl-diskless-sync-delay": "0"}
            if replica_of.password:
                self._config["masterauth"] = replica_of.password

    @property
    def url(self) -> str:
        scheme = "rediss" if self.certificates else "redis"
        password = f":{self.password}@" if self.password else ""
        return f"{scheme}://{password}{HOST}:{self.port}/0"

    def _command(self) -> Sequence[str | Path]:
        settings = {"bind": HOST, "port": str(self.port), "dir": str(self.folder), **self._config}
        if self.password:
            settings["requirepass"] = self.password
        if self.certificates:
            settings |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(self.certificates.server),
                "tls-key-file": str(self.certificates.server_key),
                "tls-ca-cert-file": str(self.certificates.authority),
                "tls-auth-clients": "optional",
            }
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return ["redis-server", file]

    def _answers(self) -> bool:
        questions = "PING\r\n"
        if self.password:
            questions = f"AUTH {self.password}\r\n{questions}"
        with socket.create_connection((HOST, self.port), timeout=5) as raw:
            if self.certificates is None:
                return asked(raw, questions)
            context = ssl.create_default_context(cafile=str(self.certificates.authority))
            with context.wrap_socket(raw, server_hostname=HOST) as wrapped:
                return asked(wrapped, questions)


def asked(connection: socket.socket, questions: str) -> bool:
    connection.sendall(questions.encode())
    answers = b""
    while answers.count(b"\r\n") < questions.count("\r\n"):
        part = connection.recv(4096)
        if not part:
            break
        answers += part
    return answers.endswith(b"+PONG\r\n")
