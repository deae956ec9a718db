"""Real servers for the tests: Redis, RabbitMQ, moto's SQS, a proxy that breaks connections, child processes.

`tests/conftest.py` makes this folder importable as `servers`, and `fixtures.py` hands everything out as fixtures.

Knows: how each server is started, asked and stopped on this machine. Must not know: noria.
"""

from .child import Child, NotStarted
from .moto import MotoServer
from .process import Process
from .proxy import TcpProxy
from .rabbit import RabbitServer
from .redis import RedisServer

__all__ = ["Child", "MotoServer", "NotStarted", "Process", "RabbitServer", "RedisServer", "TcpProxy"]
