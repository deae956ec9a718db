"""`queue.driver.sqs`: queues in Amazon SQS, or in what speaks its protocol (docs/drivers/sqs.md).

Imports without boto3, which only an opening driver needs.
"""

from .config import SqsConfig, check_sqs
from .driver import SqsDriver

__all__ = ["SqsConfig", "SqsDriver", "check_sqs"]
