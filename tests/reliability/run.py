"""`make reliability`: campaigns of kills, many more than in the test suite; the figures of docs/reliability.md."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import RabbitServer, RedisServer

from reliability import backends
from reliability.campaign import Campaign


def entry(name: str, folder: Path, stack: ExitStack) -> str:
    """The driver's entry, its server started."""
    if name == "sqlite":
        return backends.sqlite(folder)
    server = (
        RedisServer(folder / "server", durable=True) if name == "redis" else RabbitServer(folder / "server")
    )
    server.start()
    stack.callback(server.stop)
    return (backends.redis if name == "redis" else backends.amqp)(server.url)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="campaigns for each driver")
    parser.add_argument("--kills", type=int, default=20, help="in each campaign")
    parser.add_argument("--messages", type=int, default=10_000, help="in each campaign")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("sqlite", "redis", "amqp"))
    given = parser.parse_args()
    lost = 0
    print("| driver | kills | messages | lost | duplicates | bound | most runs of one message |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in ("sqlite", "redis", "amqp") if given.only is None else (given.only,):
        found = []
        for number in range(given.rounds):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                campaign = Campaign(folder, entry(name, folder, stack), f"kills{number}", given.seed + number)
                found.append(campaign.run(count=given.messages, kills=given.kills))
        totals = {
            field: sum(getattr(books, field) for books in found)
            for field in ("kills", "accepted", "lost", "duplicates", "bound")
        }
        most = max(books.runs_by_message for books in found)
        print(f"| {name} | {' | '.join(f'{value:,}' for value in totals.values())} | {most} |", flush=True)
        lost += totals["lost"]
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
