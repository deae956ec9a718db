"""moto's server, which speaks SQS, in a thread.

Knows: moto. Must not know: boto3.
"""

import logging
import threading
import urllib.request
from typing import TYPE_CHECKING

from .atomic_sqs import make_atomic
from .ports import HOST, free_port

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


class MotoServer:
    """An AWS without any rights to check: any access key and secret do. What it keeps, it keeps in this process."""

    def __init__(self) -> None:
        # Each request would be a line in the log.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self.port = free_port()
        self._running: tuple[BaseWSGIServer, threading.Thread] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Not by moto's own class, which never closes the port it listened on."""
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        make_atomic()
        application = DomainDispatcherApplication(create_backend_app)
        server = make_server(HOST, self.port, application, threaded=True, request_handler=MotoRequestHandler)
        thread = threading.Thread(target=server.serve_forever, name="moto", daemon=True)
        thread.start()
        self._running = server, thread

    def stop(self) -> None:
        """Takes no more connections; what was stored is there again after `start`."""
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            thread.join()
            server.server_close()
            self._running = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def reset(self) -> None:
        """Forgets everything that is stored, of all tests."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30):
            pass
