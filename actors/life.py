"""Starting and stopping what a runtime stands for.

Knows: functions are loaded first and closed last, and what a stop has to report. Must not know: what is declared, how
services are supervised.
"""

import threading
import time
from typing import TYPE_CHECKING

from .change import Seat
from .drain_report import DrainReport
from .errors import NotRunning, StopIncomplete
from .events import ConsumerDrained
from .supervision import supervise
from .supervision.errors import StopTimeout, SupervisorStopping

if TYPE_CHECKING:
    from .runtime import Runtime


class Life:
    """The life of a runtime, or one after the other. Thread-safe.

    Attributes:
        is_stopping: somebody has asked it to stop, and it has not ended yet.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._lock = threading.RLock()
        self.is_stopping = False

    @property
    def is_running(self) -> bool:
        """Started, and nobody has asked it to stop."""
        return self._seat.supervision is not None and not self.is_stopping

    def start(self, runtime: "Runtime", timeout: float | None) -> None:
        """See `Runtime.start`."""
        with self._lock:
            if self.is_stopping:
                raise NotRunning(is_stopping=True)
            if self._seat.supervision is not None:
                return
            topology = self._seat.topology
            try:
                topology.load_functions()
            except BaseException:
                topology.close()
                raise
            children = topology.children(runtime)
            supervision = self._seat.supervision = supervise(children, bus=runtime.bus, name="runtime")
        try:
            supervision.wait_started(timeout)
        except SupervisorStopping as error:
            raise NotRunning(is_stopping=True) from error
        except BaseException:
            self._stop_quietly(runtime)
            raise

    def _stop_quietly(self, runtime: "Runtime") -> None:
        try:
            runtime.stop()
        except StopIncomplete:
            return  # The failed start is what the caller has to hear about.

    def stop(self, runtime: "Runtime", timeout: float) -> DrainReport:
        """See `Runtime.stop`."""
        with self._lock:
            supervision = self._seat.supervision
            self.is_stopping = supervision is not None
        if supervision is None:
            return DrainReport.of((), 0.0)
        began = time.monotonic()
        drains: list[ConsumerDrained] = []
        unsubscribe = runtime.bus.subscribe(drains.append, ConsumerDrained)
        left: tuple[str, ...] = ()
        try:
            supervision.stop(timeout)
        except StopTimeout as error:
            left = error.unfinished
        finally:
            unsubscribe()
            with self._lock:
                if self._seat.supervision is supervision:
                    self._seat.supervision, self.is_stopping = None, False
                    self._seat.topology.close()
        report = DrainReport.of(drains, time.monotonic() - began)
        unfinished = tuple(dict.fromkeys((*report.unfinished, *left)))
        if unfinished or report.abandoned:
            raise StopIncomplete(report, unfinished)
        return report
