"""`queue.driver.redis`: what its entry may say.

Knows: fields and their limits. Must not know: redis-py, how anything works.
"""

import re
from urllib.parse import urlsplit

from attrs import field, frozen

from ....registry import Duration, Entry, Registry, between
from ...driver import DriverConfig, check_driver
from ...lifecycle import Complaints
from ..tls import TlsConfig, check_tls
from .driver import RedisDriver

SCHEMES = ("redis", "rediss", "unix")
DATABASE = re.compile(r"/?|/\d{1,9}")
DATABASE_IN_QUERY = re.compile(r"|db=\d{1,9}")


@frozen(kw_only=True)
class RedisConfig(DriverConfig):
    """Where the server is, and how long to wait for it.

    Attributes:
        url: `redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:///path.sock`.
        prefix: every key begins with it: two applications on one server do not meet.
        tls: certificates.
        socket_timeout: seconds for one answer. Whoever does not answer in time is lost.
        connect_timeout: seconds for a connection.
        lease: seconds after which a process that shows no sign of life has lost what it held.
        replicas: how many replicas have to have a message before `publish` returns.
    """

    driver = RedisDriver
    url: str = field(default="redis://localhost:6379/0", repr=False)
    prefix: str = "noria"
    tls: TlsConfig = field(factory=TlsConfig)
    socket_timeout: Duration = between(0.1, 600, default=5.0)
    connect_timeout: Duration = between(0.1, 600, default=5.0)
    lease: Duration = between(0.1, 86400, default=30.0)
    replicas: int = between(0, 100, default=0)


def check_redis(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with the entry of a Redis driver; never says the URL, which may hold a password."""
    yield from check_driver(entry, registry)
    config = entry.config
    yield from check_tls(config.tls)
    try:
        url = urlsplit(config.url)
        port = url.port
    except ValueError:
        yield "url", "expected a URL as redis://host:6379/0, its port a number from 0 to 65535"
        return
    if url.scheme not in SCHEMES:
        yield "url", "expected a URL that begins with redis://, rediss:// or unix://"
    elif url.scheme == "unix":
        if port is not None or config.tls.enabled:
            yield "url", "a unix:// URL has neither a port nor TLS"
    elif not DATABASE.fullmatch(url.path):
        yield "url", "expected the number of a database after the host, as in redis://host:6379/0"
    if url.fragment:
        yield "url", "a # in a password is written as %23"
    if not DATABASE_IN_QUERY.fullmatch(url.query):
        yield "url", "nothing but ?db=0 may follow a ?: what else there is to say has a field of its own"
    if not config.prefix:
        yield "prefix", "expected a text that is not empty"
