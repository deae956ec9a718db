"""SQS as boto3 speaks to it: one method for each call, one exception for whatever goes wrong.

Knows: boto3, its errors and what they mean. Must not know: messages of ours, drivers, threads. Only what opens a
driver imports it, for boto3 may not be there.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
from attrs import frozen
from botocore import exceptions
from botocore.config import Config

from ...aws import AwsConfig
from .config import SqsConfig
from .failures import CallFailed, Failure, Fate

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

LONGEST_POLL = 20
CONNECTIONS = 64
LONGEST_PROBLEM = 300
# A Date header tells whole seconds; as long as our clock agrees with it that far, it tells the time more exactly.
CLOCK_TOLERANCE = 2.0

MISSING_QUEUE = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
DENIED = ("AccessDenied", "AccessDeniedException")
LATER = {
    "InternalError",
    "InternalFailure",
    "KMS.ThrottlingException",
    "KmsThrottled",
    "OverLimit",
    "PurgeQueueInProgress",
    "QueueDeletedRecently",
    "AWS.SimpleQueueService.QueueDeletedRecently",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
LOST = {
    *MISSING_QUEUE,
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeoutException",
}
# What boto3 may not find or reach now, and may a moment later.
PASSING = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.CredentialRetrievalError,
    exceptions.MetadataRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.UnauthorizedSSOTokenError,
    exceptions.SSOTokenLoadError,
)


@frozen
class Received:
    """What a call of `receive` brought.

    Attributes:
        messages: as boto3 returns them.
        server_time: what time it is there, in seconds since 1970.
    """

    messages: Sequence[Any]
    server_time: float


class SqsClient:
    """Speaks to SQS. Thread-safe. Every method raises CallFailed, and nothing else.

    Attributes:
        patience: seconds that one call may take.

    Two clients of boto3: an answer to a long poll may take its time, another one may not.

    Raises:
        CallFailed: there is no region, no such profile, or what else boto3 needs.
    """

    def __init__(self, config: SqsConfig, aws: AwsConfig) -> None:
        self.patience = float(config.request_timeout)
        self._checks_digests = not config.disable_message_checksum_validation
        try:
            session = boto3.Session(
                region_name=aws.region or None,
                profile_name=aws.profile or None,
                aws_access_key_id=aws.access_key_id or None,
                aws_secret_access_key=aws.secret_access_key or None,
                aws_session_token=aws.session_token or None,
            )
            self._region = session.region_name or ""
            self._known_regions = {
                region
                for partition in session.get_available_partitions()
                for region in session.get_available_regions("sqs", partition)
            }
            self._endpoint = config.endpoint or aws.endpoint
            self._calls = self._client(session, config, config.request_timeout)
            self._polls = self._client(session, config, config.request_timeout + LONGEST_POLL)
        except exceptions.BotoCoreError as error:
            raise self._failed(error) from error

    def _client(self, session: boto3.Session, config: SqsConfig, read_timeout: float) -> "SQSClient":
        client: SQSClient = session.client(
            "sqs",
            endpoint_url=self._endpoint or None,
            config=Config(
                connect_timeout=min(config.request_timeout, 5.0),
                read_timeout=read_timeout,
                # Whoever calls knows better how long it may take. One exception: `_call`.
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
                use_fips_endpoint=config.use_fips or None,
                use_dualstack_endpoint=config.use_dual_stack or None,
                parameter_validation=False,
            ),
        )
        return client

    def close(self) -> None:
        """Let go of the connections that nobody uses right now."""
        self._calls.close()
        self._polls.close()

    # ---- queues --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Reach the server, and find out whether it knows our credentials; they need not be allowed to list queues."""
        try:
            self._call(lambda: self._calls.list_queues(MaxResults=1))
        except CallFailed as failure:
            if failure.code not in DENIED:
                raise

    def url(self, name: str) -> str | None:
        """Where a queue is, or None if there is none."""
        try:
            return str(self._call(lambda: self._calls.get_queue_url(QueueName=name))["QueueUrl"])
        except CallFailed as failure:
            if failure.code in MISSING_QUEUE:
                return None
            raise

    def create(self, name: str, attributes: dict[str, str]) -> str:
        """Make a queue."""
        create: Any = self._calls.create_queue
        return str(self._call(lambda: create(QueueName=name, Attributes=attributes))["QueueUrl"])

    def attributes(self, url: str, names: Sequence[str]) -> dict[str, str]:
        """What the queue says of itself."""
        get: Any = self._calls.get_queue_attributes
        answer = self._call(lambda: get(QueueUrl=url, AttributeNames=list(names)))
        return dict(answer.get("Attributes", {}))

    # ---- messages ------------------------------------------------------------------------------------

    def send(self, url: str, entries: Sequence[dict[str, Any]]) -> dict[int, Failure]:
        """Send up to ten entries; which of them failed, by their place."""
        numbered: Any = [{**entry, "Id": str(number)} for number, entry in enumerate(entries)]
        answer = self._call(lambda: self._calls.send_message_batch(QueueUrl=url, Entries=numbered))
        failed = _failures(answer)
        for sent in answer.get("Successful", []):
            number = int(sent["Id"])
            if not self._is_intact(entries[number]["MessageBody"], sent.get("MD5OfMessageBody")):
                failed[number] = Failure("the body arrived damaged", is_final=False)
        return failed

    def receive(self, url: str, count: int, *, wait: int, visibility: int) -> Received:
        """Take up to ten messages, waiting up to 20 seconds for the first; others do not see them for a while."""
        receive: Any = self._polls.receive_message
        answer = self._call(
            lambda: receive(
                QueueUrl=url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait,
                VisibilityTimeout=visibility,
                MessageAttributeNames=["All"],
                # The older name of the two parameters, which every server of this protocol understands.
                AttributeNames=["All"],
            )
        )
        messages = answer.get("Messages", [])
        for message in messages:
            if not self._is_intact(message["Body"], message.get("MD5OfBody")):
                raise CallFailed(Fate.LOST, f"the body of message {message['MessageId']} arrived damaged")
        return Received(messages, _server_time(answer))

    def delete(self, url: str, handles: Sequence[str]) -> dict[int, Failure]:
        """Remove up to ten messages; which of them failed, by their place."""
        entries: Any = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
        return _failures(self._call(lambda: self._calls.delete_message_batch(QueueUrl=url, Entries=entries)))

    def hide(self, url: str, handles: Sequence[str], seconds: Sequence[int]) -> dict[int, Failure]:
        """Let up to ten messages be seen in so many seconds from now; which of them failed, by their place."""
        entries: Any = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": each}
            for number, (handle, each) in enumerate(zip(handles, seconds, strict=True))
        ]
        change = self._calls.change_message_visibility_batch
        return _failures(self._call(lambda: change(QueueUrl=url, Entries=entries)))

    # ---- errors --------------------------------------------------------------------------------------

    def _call(self, call: Callable[[], Any]) -> Any:
        """The answer. A connection that the server had closed while nobody used it costs a second try, no error."""
        try:
            try:
                return call()
            except exceptions.ConnectionClosedError:
                return call()
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> CallFailed:
        problem = str(error)[:LONGEST_PROBLEM]
        if isinstance(error, exceptions.ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
            return CallFailed(_fate(code, status), problem, code)
        if isinstance(error, exceptions.EndpointConnectionError) and self._is_unknown_region():
            return CallFailed(Fate.NEVER, f"there is no region {self._region}: {problem}")
        return CallFailed(Fate.LOST if isinstance(error, PASSING) else Fate.NEVER, problem)

    def _is_unknown_region(self) -> bool:
        """A new region may be unknown to an old boto3, but then it would have answered."""
        return not self._endpoint and self._region not in self._known_regions

    def _is_intact(self, body: str, digest: str | None) -> bool:
        if digest is None or not self._checks_digests:
            return True
        return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest() == digest


def _fate(code: str, status: int) -> Fate:
    if code in LOST:
        return Fate.LOST
    if code in LATER or status >= 500 or status == 429:
        return Fate.LATER
    return Fate.NEVER


def _failures(answer: Any) -> dict[int, Failure]:
    return {
        int(failed["Id"]): Failure(
            f"{failed.get('Code', '')}: {failed.get('Message', '')}"[:LONGEST_PROBLEM],
            is_final=bool(failed.get("SenderFault")) and _fate(str(failed.get("Code")), 400) is Fate.NEVER,
        )
        for failed in answer.get("Failed", [])
    }


def _server_time(answer: Any) -> float:
    """Our clock's time as long as it agrees with the server's; the server's otherwise."""
    ours = time.time()
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (TypeError, ValueError):
        return ours
    return ours if abs(ours - theirs) < CLOCK_TOLERANCE else theirs
