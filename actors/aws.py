"""`config.aws`: which account, region and credentials a driver uses in AWS.

Knows: the fields, and which of them go together. Must not know: boto3, which reads them when a driver opens.
"""

from attrs import frozen

from ..registry import Entry, Kind, Registry, secret
from .lifecycle import Complaints


@frozen(kw_only=True)
class AwsConfig:
    """Who we are in AWS. What is not given, boto3 finds its own way: environment, profile files, the machine's role.

    Attributes:
        region: `eu-west-1`.
        profile: a profile of the shared configuration files; the way to assume a role or to use single sign-on.
        access_key_id: of fixed credentials; with `secret_access_key`.
        secret_access_key: never shown.
        session_token: of temporary credentials; never shown.
        endpoint: the address of something that speaks AWS's protocols, for every driver that uses this entry.
    """

    region: str = ""
    profile: str = ""
    access_key_id: str = ""
    secret_access_key: str = secret(default="")
    session_token: str = secret(default="")
    endpoint: str = ""


def check_aws(entry: Entry, registry: Registry) -> Complaints:  # noqa: ARG001  (it needs no other entry)
    """What does not go together."""
    config: AwsConfig = entry.config
    if config.access_key_id and not config.secret_access_key:
        yield "access_key_id", "needs secret_access_key beside it"
    if config.secret_access_key and not config.access_key_id:
        yield "secret_access_key", "needs access_key_id beside it"
    if config.session_token and not config.access_key_id:
        yield "session_token", "needs access_key_id and secret_access_key beside it"
    if config.profile and config.access_key_id:
        yield "profile", "give either a profile or an access key, not both"
    yield from check_endpoint("endpoint", config.endpoint)


def check_endpoint(path: str, endpoint: str) -> Complaints:
    """What is wrong with the address of a server; it is not repeated, for it may hold a password."""
    scheme, separator, rest = endpoint.partition("://")
    if endpoint and (not separator or scheme not in ("http", "https") or not rest):
        yield path, "expected an address that begins with http:// or https://"
    elif "@" in rest:
        yield path, "an address has no user or password in it: give an access key in config.aws"


AWS_KIND = Kind("config.aws", AwsConfig, check_aws)
