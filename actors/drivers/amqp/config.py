"""What may stand in the entry of a RabbitMQ.

Knows: fields, limits, the parts of a URL. Must not know: pika, connections.
"""

from typing import Literal
from urllib.parse import unquote, urlsplit

from attrs import evolve, field, frozen

from ....registry import Duration, Entry, Registry, between
from ...driver import DriverConfig, check_driver
from ...lifecycle import Complaints, RestartConfig
from ..tls import TlsConfig, check_tls
from .driver import AmqpDriver

PORTS = {"amqp": 5672, "amqps": 5671}
URL_RULE = "expected amqp://user:password@host:port/vhost, or amqps: for TLS"
# A RabbitMQ on this machine as it is installed; it lets this user in from the machine itself only.
DEFAULT_URL = "amqp://guest:guest@localhost:5672/"


@frozen(kw_only=True)
class Address:
    """Where the broker is, and as whom to come."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    vhost: str
    uses_tls: bool


@frozen(kw_only=True)
class AmqpConfig(DriverConfig):
    """`queue.driver.amqp`.

    Attributes:
        url: `amqp://user:password@host:port/vhost`, or `amqps:` for TLS.
        vhost: the virtual host, instead of the URL's.
        connection_name: what RabbitMQ's tools call our connections; by default `noria` and the entry's ID.
        frame_size: the largest frame, in bytes.
        channel_max: the most channels of a connection; each consumer has one.
        auth_mechanism: how we say who we are.
        heartbeat: a connection on which nothing arrives for so long, and a little longer, is lost. 0: it never is.
        connection_timeout: how long connecting may take.
        default_message_ttl: the `expiration` of messages that have none.
        default_queue_ttl: the `message_ttl` of queues that have none.
        default_queue_expiry: the `queue_expiry` of queues that have none.
        reconnect_delay: another name for `lifecycle.restart.initial_delay`, which wins.
        reconnect_max_delay: another name for `lifecycle.restart.max_delay`, which wins.
        prefetch_count: nothing but 0, for every consumer has a `prefetch`.
        tls: certificates.
    """

    driver = AmqpDriver

    url: str = field(default=DEFAULT_URL, repr=False)
    vhost: str = ""
    connection_name: str = ""
    frame_size: int = between(4096, 131072, default=131072)
    channel_max: int = between(4, 65535, default=2047)
    auth_mechanism: Literal["PLAIN", "EXTERNAL", "AMQPLAIN"] = "PLAIN"
    heartbeat: Duration = between(0, 65535, default=10.0)
    connection_timeout: Duration = between(0.1, 3600, default=5.0)
    default_message_ttl: Duration | None = between(0.001, default=None)
    default_queue_ttl: Duration | None = between(0.001, default=None)
    default_queue_expiry: Duration | None = between(0.001, default=None)
    reconnect_delay: Duration = between(0, default=1.0)
    reconnect_max_delay: Duration = between(0, default=30.0)
    prefetch_count: int = between(0, default=0)
    tls: TlsConfig = TlsConfig()  # noqa: RUF009  (it is frozen)

    def __attrs_post_init__(self) -> None:
        if self.lifecycle.restart == RestartConfig():
            restart = RestartConfig(initial_delay=self.reconnect_delay, max_delay=self.reconnect_max_delay)
            # It is frozen for everybody else.
            object.__setattr__(self, "lifecycle", evolve(self.lifecycle, restart=restart))

    def address(self) -> Address:
        """The parts of the URL, with what stands in fields of their own.

        Raises:
            ValueError: it is no such URL; does not say what stands in it, for that may be a password.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(URL_RULE)
        try:
            port = parts.port or PORTS["amqps" if self.tls.enabled else parts.scheme]
        except ValueError:
            raise ValueError(URL_RULE) from None
        return Address(
            host=parts.hostname,
            port=port,
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            vhost=self.vhost or unquote(parts.path[1:]) or "/",
            uses_tls=parts.scheme == "amqps" or self.tls.enabled,
        )


def check_amqp(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with a RabbitMQ's entry."""
    yield from check_driver(entry, registry)
    config: AmqpConfig = entry.config
    yield from check_tls(config.tls)
    try:
        uses_tls = config.address().uses_tls
    except ValueError as error:
        yield "url", str(error)
        return
    if not uses_tls and config.tls != TlsConfig():
        yield "tls", "it is not used: set enabled, or begin the URL with amqps:"
    if config.auth_mechanism == "EXTERNAL" and not (uses_tls and (config.tls.cert or config.tls.cert_env)):
        yield "auth_mechanism", "EXTERNAL is to show a certificate: give tls.cert and tls.key"
    if config.prefetch_count:
        yield "prefetch_count", "every consumer has a prefetch of its own: set it there"
