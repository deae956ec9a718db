"""Reading the application again while it runs.

Knows: one reload at a time, and how its end is told. Must not know: who asks.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ...registry import NoriaError
from .application import from_here

if TYPE_CHECKING:
    from ..runtime import Runtime

logger = logging.getLogger("noria.run")


class Reloading:
    """Reloads a runtime in a thread of its own, so that a stop need not wait for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._thread: threading.Thread | None = None

    def begin(self, asked: threading.Event) -> None:
        """Reload, unless that is going on: then `asked` stays set, for the next time."""
        if self._thread is None or not self._thread.is_alive():
            asked.clear()
            self._thread = threading.Thread(target=self._reload, name="reload", daemon=True)
            self._thread.start()

    def _reload(self) -> None:
        before = self._runtime.history.current
        try:
            version = self._runtime.reload()
        except NoriaError as error:
            for line in from_here(str(error)).splitlines():
                logger.log(logging.ERROR, "not reloaded: %s", line, extra={"event": "NotReloaded"})
            return
        if version is before:
            logger.info("reloaded: nothing has changed", extra={"event": "Reloaded"})
