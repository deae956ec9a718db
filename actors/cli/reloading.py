"""Reading the application again while it runs.

Knows: one reload at a time, and how its end is told. Must not know: who asks.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from ...registry import NoriaError
from .application import from_here

if TYPE_CHECKING:
    from ..runtime import Runtime

# Seconds for what starts. A driver whose server cannot be reached would be tried for ever, with the old one stopped, and
# nobody could reload what is right.
PATIENCE: Final = 30.0

logger = logging.getLogger("noria.run")


class Reloading:
    """Reloads a runtime in a thread of its own, so that a stop need not wait for it.

    Args:
        runtime: what is reloaded.
        patience: seconds to wait for what starts; after that, what ran before runs again.
    """

    def __init__(self, runtime: Runtime, patience: float = PATIENCE) -> None:
        self._runtime = runtime
        self._patience = patience
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
            version = self._runtime.reload(self._patience)
        except NoriaError as error:
            for line in from_here(str(error)).splitlines():
                logger.log(logging.ERROR, "not reloaded: %s", line, extra={"event": "NotReloaded"})
            return
        if version is before:
            logger.info("reloaded: nothing has changed", extra={"event": "Reloaded"})
