"""A process that publishes numbers and says which were accepted: `publisher.py APPLICATION QUEUE COUNT BATCH`.

A line `[first, behind the last]` for each batch, after its publish returned. What a refused batch had accepted is told,
too; the rest of it is published again.
"""

import json
import sys

from noria.actors import Runtime
from noria.actors.errors import QueueFull, QueueUnavailable


def main(application: str, queue: str, count: int, batch: int) -> None:
    with Runtime.load(application, consuming=False) as runtime:
        done = 0
        while done < count:
            numbers = range(done, min(done + batch, count))
            try:
                runtime.publish_many(queue, numbers, timeout=5)
                accepted = len(numbers)
            except (QueueFull, QueueUnavailable) as error:
                accepted = error.accepted
            print(json.dumps([done, done + accepted]), flush=True)
            done += accepted


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
