"""What the front desk and the writers do.

Knows: orders and reports. Must not know: who may do what; the policies do, and are asked before any of this runs.
"""

import logging

from noria.actors import message, publish, publish_many
from noria.security import AccessDenied, principal

logger = logging.getLogger("tenants")


def take_order(order):
    """One message for each report. Whose it is stands in a header, where policies can see it."""
    publish_many("tenants:reports", order["reports"], {"tenant": order["tenant"]})


def write_report(report):
    """Runs as the consumer's principal: the same function, with the rights of acme or of globex."""
    writer = principal()
    logger.info('%s wrote "%s" for %s', writer.id, report["title"], message.header("tenant"))
    mailbox = report.get("send_to", writer.meta["mailbox"])
    try:
        publish(mailbox, report)
    except AccessDenied as denied:
        logger.warning('"%s" was not sent: %s', report["title"], denied)
