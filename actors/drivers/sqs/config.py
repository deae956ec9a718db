"""`queue.driver.sqs`: the fields of an entry.

Knows: fields, limits, what does not go together. Must not know: boto3.
"""

from attrs import frozen

from ....registry import Duration, Entry, EntryID, Registry, between, reference
from ...aws import check_endpoint
from ...driver import DriverConfig, check_driver
from ...lifecycle import Complaints
from .driver import SqsDriver

SHORTEST_RETENTION = 60
LONGEST_RETENTION = 1_209_600


@frozen(kw_only=True)
class SqsConfig(DriverConfig):
    """A driver for Amazon SQS, or what speaks its protocol."""

    driver = SqsDriver

    config: EntryID = reference("config.aws")
    endpoint: str = ""
    message_retention_period: Duration = between(0, LONGEST_RETENTION, default=0.0)
    default_delay_seconds: int = between(0, 900, default=0)
    disable_message_checksum_validation: bool = False
    use_fips: bool = False
    use_dual_stack: bool = False
    request_timeout: Duration = between(1, 60, default=10.0)


def check_sqs(entry: Entry, registry: Registry) -> Complaints:
    """What is wrong with an entry, besides its single fields."""
    yield from check_driver(entry, registry)
    config: SqsConfig = entry.config
    if 0 < config.message_retention_period < SHORTEST_RETENTION:
        yield (
            "message_retention_period",
            f"expected 0 (SQS's own four days), or a duration from {SHORTEST_RETENTION} to {LONGEST_RETENTION} seconds",
        )
    yield from check_endpoint("endpoint", config.endpoint)
    if config.endpoint or registry[config.config].config.endpoint:
        for name in ("use_fips", "use_dual_stack"):
            if getattr(config, name):
                yield name, "chooses one of AWS's own addresses, so it cannot stand beside an endpoint"
