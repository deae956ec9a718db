"""A campaign of kills: workers under load die by SIGKILL again and again; then the books are compared.

Knows: processes, logs, what may be lost (nothing) and doubled (what was in flight). Must not know: drivers.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import frozen
from servers import Process

from . import backends

HERE = Path(__file__).parent
PATIENCE = 120.0

# The publisher loads it too, and has no journal.
HANDLERS = "def handler(body):\n    import journal\n\n    journal.write(body)\n"


@frozen(kw_only=True)
class Books:
    """What a campaign found.

    Attributes:
        accepted: messages whose publish had returned.
        kills: SIGKILLs.
        lost: accepted, and never handled.
        duplicates: handler runs beyond the first of each message.
        bound: as many as were in flight at the kills, at most.
        runs_by_message: the most runs that one message had.
    """

    accepted: int
    kills: int
    lost: int
    duplicates: int
    bound: int
    runs_by_message: int


class Campaign:
    """One application, one publisher, and workers that are killed.

    Args:
        folder: for the application and the logs.
        driver: the driver's entry, as YAML.
        queue: the backend's name of the queue.
        seed: of the moments of the kills.
    """

    def __init__(self, folder: Path, driver: str, queue: str, seed: int) -> None:
        self._folder = folder
        self._application = folder / "application"
        self._application.mkdir(parents=True)
        (self._application / "app.yaml").write_text(backends.application(driver, queue))
        (self._application / "handlers.py").write_text(HANDLERS)
        self._random = random.Random(seed)
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._workers: list[Process] = []
        self._started = 0

    def run(self, *, count: int, kills: int, workers: int = 2, batch: int = 50) -> Books:
        """Publish `count` messages while workers are killed, then let the last ones finish."""
        self._publisher = publisher = Process(
            HERE / "publisher.py",
            self._application,
            "app:tasks",
            count,
            batch,
            folder=self._folder / "publisher",
        )
        try:
            for _ in range(workers):
                self._start_worker()
            for number in range(kills):
                self._wait_for_progress(count, left=kills - number)
                self._kill_one()
            assert publisher.wait(PATIENCE) == 0
            accepted = {number for first, behind in publisher.lines for number in range(first, behind)}
            self._until(lambda: accepted <= set(self._handled()), "every accepted message to be handled")
            for worker in self._workers:
                worker.wait_for_line("running")
                worker.terminate()
            for worker in self._workers:
                assert worker.wait() == 0
        finally:
            for process in (publisher, *self._workers):
                process.kill()
        return self._books(accepted, kills)

    def _start_worker(self) -> None:
        self._started += 1
        log = self._logs / str(self._started)
        folder = self._folder / f"worker{self._started}"
        self._workers.append(Process(HERE / "worker.py", self._application, log, folder=folder))

    def _wait_for_progress(self, count: int, left: int) -> None:
        """Until a random number of messages more were handled: often few, so that kills come close together."""
        handled = sum(self._handled().values())
        room = max(1, (count - handled) // (left + 1))
        wanted = min(handled + self._random.randint(1, room), count)
        self._until(lambda: sum(self._handled().values()) >= wanted, f"{wanted} handler runs")

    def _kill_one(self) -> None:
        victim = self._workers.pop(self._random.randrange(len(self._workers)))
        victim.kill()
        self._start_worker()

    def _handled(self) -> Counter[int]:
        runs: Counter[int] = Counter()
        for log in self._logs.iterdir():
            for line in log.read_text().splitlines():
                runs[int(line.split()[0])] += 1
        return runs

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            if condition():
                return
            assert all(worker.is_running for worker in self._workers), f"a worker ended; waited for {what}"
            assert self._publisher.is_running or self._publisher.wait() == 0, f"it failed; waited for {what}"
            pause.wait(0.02)
        raise AssertionError(f"waited in vain for {what}")

    def _books(self, accepted: set[int], kills: int) -> Books:
        runs = self._handled()
        return Books(
            accepted=len(accepted),
            kills=kills,
            lost=len(accepted - set(runs)),
            duplicates=sum(runs.values()) - len(runs),
            bound=kills * backends.PREFETCH,
            runs_by_message=max(runs.values(), default=0),
        )
