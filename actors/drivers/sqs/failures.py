"""What may become of a call to SQS: three fates, so that nobody but client.py needs boto3's errors.

Knows: which fate an error is. Must not know: boto3.
"""

from enum import Enum

from attrs import frozen

from ...errors import ActorsError, DriverRefused, DriverUnavailable


class Fate(Enum):
    """What makes sense after a call that failed."""

    LATER = "the same call again in a moment: throttled, or a passing error of the server"
    LOST = "close and open again: no connection, or credentials that have expired"
    NEVER = "nothing: it can never work like this"


class CallFailed(Exception):
    """A call that SQS did not carry out, or that never reached it.

    Attributes:
        fate: what makes sense now.
        code: SQS's own name of the error, or "".
        problem: a sentence without secrets.
    """

    def __init__(self, fate: Fate, problem: str, code: str = "") -> None:
        self.fate = fate
        self.code = code
        self.problem = problem
        super().__init__(problem)

    def for_driver(self, driver: str) -> ActorsError:
        """The same as a driver says it."""
        refused = self.fate is Fate.NEVER
        return DriverRefused(driver, self.problem) if refused else DriverUnavailable(driver, self.problem)


@frozen
class Failure:
    """An entry of a batch that SQS did not carry out.

    Attributes:
        is_final: the same entry can never work.
    """

    problem: str
    is_final: bool
