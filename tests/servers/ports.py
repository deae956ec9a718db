"""Free ports on loopback.

Knows: which ports the kernel gives to outgoing connections, and how pytest-xdist numbers its processes. Must not know:
what will listen.
"""

import os
import random
import socket

HOST = "127.0.0.1"

# Below the range from which Linux takes ports for outgoing connections: a server that is down for a moment
# finds its port free when it comes back.
FIRST, LAST = 20_000, 29_999
# Each of the processes that run the tests together has ports of its own: between finding a port free and listening on
# it, another one must not find it, too.
SHARE = 1_000

_given: set[int] = set()


def free_port() -> int:
    """A port on loopback that nobody listens on; by chance, for test runs on one machine know nothing of each other.

    No port is given twice before all have been given: whoever asked for it may not listen on it yet.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + number * SHARE % (LAST + 1 - FIRST)
    mine = set(range(first, first + SHARE))
    if mine <= _given:
        _given.clear()
    for port in random.sample(sorted(mine - _given), len(mine - _given)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise RuntimeError(f"no free port between {first} and {first + SHARE}")
