"""A rabbitmq-server of one's own, with its own epmd.

Knows: the environment and the commands of RabbitMQ 3.8 and later. Must not know: an AMQP client library.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .certificates import Certificates
from .child import PATIENCE, Child, Server, eventually
from .ports import HOST, free_port

# Debian's command of this name changes to another user, who may not see our folder; the script behind it does not.
INNER_SCRIPTS = Path("/usr/lib/rabbitmq/bin")

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
CONNECTION_START = b"\x00\x0a\x00\x0a"
WATERMARK = "0.6"


def script(name: str) -> str | None:
    """The path of one of RabbitMQ's scripts, if it is installed."""
    inner = INNER_SCRIPTS / name
    return str(inner) if inner.exists() else shutil.which(name)


class RabbitServer(Server):
    """RabbitMQ on loopback; `guest` with the password `guest` may do everything.

    Args:
        folder: Where its data and its log are.
        tls: Listens on `tls_port` too, with `certificates`; it asks a client for a certificate and takes none as well.
        plugins: More of those that come with RabbitMQ.
        config: More lines of rabbitmq.conf.
    """

    name = "rabbitmq-server"

    def __init__(
        self, folder: Path, *, tls: bool = False, plugins: Sequence[str] = (), config: str = ""
    ) -> None:
        super().__init__(folder)
        self.port, self._node_port, self._name_port = free_port(), free_port(), free_port()
        self.tls_port = free_port() if tls else None
        self.certificates = Certificates(folder / "certificates") if tls else None
        self._names: Child | None = None
        (folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        (folder / "rabbitmq-env.conf").touch()
        (folder / "rabbitmq.conf").write_text(self._settings() + config)

    def _settings(self) -> str:
        lines = [
            f"listeners.tcp.1 = {HOST}:{self.port}",
            "log.console = true",
            "log.file = false",
            f"vm_memory_high_watermark.relative = {WATERMARK}",
            "disk_free_limit.absolute = 1MB",
        ]
        if self.certificates:
            lines += [
                f"listeners.ssl.1 = {HOST}:{self.tls_port}",
                f"ssl_options.cacertfile = {self.certificates.authority}",
                f"ssl_options.certfile = {self.certificates.server}",
                f"ssl_options.keyfile = {self.certificates.server_key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = false",
            ]
        return "\n".join([*lines, ""])

    @property
    def url(self) -> str:
        return self.url_for("guest", "guest")

    @property
    def tls_url(self) -> str:
        return f"amqps://guest:guest@localhost:{self.tls_port}/%2F"

    def url_for(self, name: str, password: str, vhost: str = "%2F") -> str:
        return f"amqp://{name}:{password}@{HOST}:{self.port}/{vhost}"

    def _environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),  # the cookie is there
            "RABBITMQ_NODENAME": f"noria{self.port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "ERL_EPMD_PORT": str(self._name_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # The script then becomes the server, instead of staying its parent and asking rabbitmqctl to stop it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _command(self) -> Sequence[str]:
        found = script("rabbitmq-server")
        assert found is not None, "rabbitmq-server is not installed"
        return [found]

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(PROTOCOL_HEADER)
            return CONNECTION_START in connection.recv(64)

    def start(self) -> None:
        """Returns when it takes connections.

        Raises:
            NotStarted: it ended, or said nothing for a minute.
        """
        if self._names is None or not self._names.is_running:
            self._start_names()
        super().start()

    def _start_names(self) -> None:
        """Starts epmd, where Erlang's nodes find each other; the one of the machine must not know of this server."""
        command = ["epmd", "-address", HOST, "-port", str(self._name_port)]
        with (self.folder / "epmd.log").open("ab") as log:
            self._names = Child(command, folder=self.folder, output=log)
        eventually(self._names_answer, "epmd")

    def _names_answer(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex((HOST, self._name_port)) == 0

    def stop(self) -> None:
        super().stop()
        if self._names is not None:
            self._names.stop()

    def settle(self) -> None:
        """It confirms a new queue before it has written that there is one: killed then, it forgets it and its messages."""
        self.rabbitmqctl("eval", "mnesia:sync_log().")

    def rabbitmqctl(self, *words: str) -> str:
        """What the command says; it takes a second or two."""
        found = script("rabbitmqctl")
        assert found is not None, "rabbitmqctl is not installed"
        finished = subprocess.run(
            [found, "--silent", *words],
            env={**os.environ, **self._environment()},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert finished.returncode == 0, f"rabbitmqctl {words[0]}\n{finished.stdout}\n{finished.stderr}"
        return finished.stdout

    def set_alarm(self) -> None:
        """Pretends that memory is short: connections that publish are blocked. Returns when it is in force."""
        self.rabbitmqctl("set_vm_memory_high_watermark", "0")
        eventually(lambda: "memory" in self._alarms(), "the alarm")

    def clear_alarm(self) -> None:
        """Returns when blocked connections go on."""
        self.rabbitmqctl("set_vm_memory_high_watermark", WATERMARK)
        eventually(lambda: "memory" not in self._alarms(), "the end of the alarm")

    def _alarms(self) -> str:
        return self.rabbitmqctl("eval", "rabbit_alarm:get_alarms().")

    def add_user(self, name: str, password: str, vhost: str = "/") -> None:
        """One who may do everything in `vhost`."""
        self.rabbitmqctl("add_user", name, password)
        self.allow(name, vhost)

    def add_vhost(self, name: str) -> None:
        """One where `guest` may do everything."""
        self.rabbitmqctl("add_vhost", name)
        self.allow("guest", name)

    def allow(
        self, user: str, vhost: str, configure: str = ".*", write: str = ".*", read: str = ".*"
    ) -> None:
        """What a user may do, as regular expressions over the names of queues and exchanges."""
        self.rabbitmqctl("set_permissions", "-p", vhost, user, configure, write, read)

    def close_all_connections(self, reason: str = "closed by a test") -> None:
        """As an operator would; the clients are told the reason."""
        self.rabbitmqctl("close_all_connections", reason)

    def queue(self, name: str, vhost: str = "/") -> dict[str, Any]:
        """What RabbitMQ knows of one queue: `durable`, `type`, `arguments`, `messages`, `consumers` and so on."""
        columns = ("name", "durable", "auto_delete", "type", "arguments", "messages", "consumers")
        listed = self.rabbitmqctl("list_queues", "-p", vhost, "--formatter", "json", *columns)
        found: dict[str, Any]
        for found in json.loads(listed):
            if found["name"] == name:
                return found
        raise KeyError(name)

    def queue_arguments(self, name: str, vhost: str = "/") -> dict[str, Any]:
        """The arguments a queue was declared with, as `{"x-max-length": 5}`."""
        return {argument: value for argument, _type, value in self.queue(name, vhost)["arguments"]}
