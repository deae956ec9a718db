"""A queue as this process knows it, also while its driver is closed.

Knows: its name and options, what SQS said of it, what this process has hidden in it. Must not know: boto3, consumers.
"""

import hashlib
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from ...delivery import Message
from ...driver import QueueDeclaration, QueueOptions
from ...errors import BodyRefused
from .lease import Lease
from .options import SqsQueueOptions
from .wire import DEDUPLICATION, DELAY, GROUP, PARAMETERS, PARAMETERS_OF_FIFO, Parcel, is_parameter, pack

NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
TOKEN = re.compile(r"[!-~]{1,128}")
NAME_RULE = "letters, digits, - and _, at most 80; a FIFO queue's name ends in .fifo"
DEFAULT_VISIBILITY = 30
# What every server of this protocol takes. SQS itself takes 1 MiB since 2025, and says so in the queue's attributes.
DEFAULT_LARGEST = 262_144
# Kept free in every message, so that a dead letter can say of it what went wrong.
ROOM_FOR_DEAD_LETTER = 2_048
LONGEST_DELAY = 900
# How many delayed messages are remembered before those that are due are dropped.
TIDY_AT = 1_000
ERROR = "x_dead_letter_error"
LONGEST_ERROR = 200


@frozen(kw_only=True)
class Facts:
    """What SQS says of a queue."""

    url: str
    visibility: int
    largest: int

    @classmethod
    def read(cls, url: str, attributes: dict[str, str]) -> "Facts":
        """From its attributes."""
        return cls(
            url=url,
            visibility=int(attributes.get("VisibilityTimeout", DEFAULT_VISIBILITY)) or DEFAULT_VISIBILITY,
            largest=int(attributes.get("MaximumMessageSize", DEFAULT_LARGEST)),
        )


@frozen
class Hidden:
    """A message that was nacked with a delay: SQS does not tell it from one that is being handled."""

    handle: str
    due: float


class SqsQueue:
    """One queue. Thread-safe.

    Attributes:
        options: what its entry says.
        facts: what SQS says.
        has_given_back: this process has made some of its messages visible again.
    """

    def __init__(self, declaration: QueueDeclaration, facts: Facts) -> None:
        self.name = declaration.name
        self.is_fifo = self.name.endswith(".fifo")
        self.options = options_of(declaration)
        self.facts = facts
        self.has_given_back = False
        self._hidden: dict[str, Hidden] = {}
        self._tidy_at = TIDY_AT
        self._lock = threading.Lock()

    def redeclare(self, declaration: QueueDeclaration, facts: Facts) -> None:
        """Take over other options, and what SQS says by now."""
        self.options = options_of(declaration)
        self.facts = facts

    @property
    def url(self) -> str:
        """Where it is."""
        return self.facts.url

    # ---- messages ------------------------------------------------------------------------------------

    def entries(self, messages: Sequence[Message]) -> list[tuple[dict[str, Any], int]]:
        """What SQS is to store for each message, and how large that is.

        Raises:
            BodyRefused: SQS would refuse one of them.
        """
        return [self._entry(message) for message in messages]

    def dead_letter_entry(self, message: Message, receipt: str) -> tuple[dict[str, Any], int]:
        """The same for a message from another queue: never delayed, never taken for the double of an earlier one.

        Raises:
            BodyRefused: it is too large.
        """
        headers = {name: value for name, value in message.headers.items() if name != DELAY}
        if self.is_fifo:
            headers[GROUP] = headers.get(GROUP) or message.id
            headers[DEDUPLICATION] = receipt
        parcel = self._packed(Message(message.id, message.body, headers))
        if parcel.size > self.facts.largest and ERROR in headers:
            headers[ERROR] = str(headers[ERROR])[:LONGEST_ERROR]
            parcel = self._packed(Message(message.id, message.body, headers))
        self._check_size(parcel.size, self.facts.largest)
        return self._parameters(headers, message.id) | _content(parcel), parcel.size

    def _entry(self, message: Message) -> tuple[dict[str, Any], int]:
        parcel = self._packed(message)
        self._check_size(parcel.size, self.facts.largest - ROOM_FOR_DEAD_LETTER)
        entry = _content(parcel) | self._parameters(message.headers, message.id)
        if DELAY in message.headers:
            entry["DelaySeconds"] = self._delay(message.headers[DELAY])
        return entry, parcel.size

    def _packed(self, message: Message) -> Parcel:
        return pack(message, PARAMETERS_OF_FIFO if self.is_fifo else PARAMETERS)

    def _check_size(self, size: int, most: int) -> None:
        if size > most:
            problem = f"the message has {size} bytes with its headers, and SQS takes {most} here"
            raise BodyRefused(self.name, problem)

    def _parameters(self, headers: Any, message_id: str) -> dict[str, Any]:
        parameters = {}
        group, deduplication = headers.get(GROUP), headers.get(DEDUPLICATION)
        if self.is_fifo and not is_parameter(group):
            raise BodyRefused(self.name, f"a FIFO queue needs the header {GROUP}, a text")
        if is_parameter(group):
            parameters["MessageGroupId"] = group
        if self.is_fifo:
            given = is_parameter(deduplication)
            parameters["MessageDeduplicationId"] = deduplication if given else _token(message_id)
        return parameters

    def _delay(self, value: Any) -> int:
        if self.is_fifo:
            raise BodyRefused(self.name, f"{DELAY}: a FIFO queue delays all its messages or none")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_DELAY:
            raise BodyRefused(self.name, f"{DELAY} must be an integer from 0 to {LONGEST_DELAY}")
        return value

    # ---- what is hidden --------------------------------------------------------------------------------

    def note_hidden(self, lease: Lease, seconds: float) -> None:
        """A message comes back in so many seconds."""
        with self._lock:
            self._hidden[lease.key] = Hidden(lease.handle, time.monotonic() + seconds)
            if len(self._hidden) > self._tidy_at:  # other processes got them, or nobody has asked for long
                self._drop_what_is_due()
                self._tidy_at = max(TIDY_AT, 2 * len(self._hidden))

    def note_seen(self, key: str) -> None:
        """A message has come back."""
        if key in self._hidden:
            with self._lock:
                self._hidden.pop(key, None)

    def hidden_handles(self) -> list[str]:
        """Of what this process has delayed and is not yet due."""
        with self._lock:
            self._drop_what_is_due()
            return [each.handle for each in self._hidden.values()]

    def _drop_what_is_due(self) -> None:
        now = time.monotonic()
        self._hidden = {key: each for key, each in self._hidden.items() if each.due > now}

    def forget_hidden(self) -> None:
        """They are gone."""
        with self._lock:
            self._hidden.clear()


def options_of(declaration: QueueDeclaration) -> SqsQueueOptions:
    """The options of a declaration, which may come with those of any driver."""
    options: QueueOptions = declaration.options
    if isinstance(options, SqsQueueOptions):
        return options
    return SqsQueueOptions(max_length=options.max_length, message_ttl=options.message_ttl)


def _content(parcel: Parcel) -> dict[str, Any]:
    return {"MessageBody": parcel.body, "MessageAttributes": parcel.attributes}


def _token(message_id: str) -> str:
    """A message ID as SQS takes it for deduplication: any text, told from others."""
    if TOKEN.fullmatch(message_id):
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()
