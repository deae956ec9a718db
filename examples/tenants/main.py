"""The same application in a program of its own, which watches every decision while it runs.

    python examples/tenants/main.py

Knows: the runtime's door. Must not know: what handlers do.
"""

import json
import logging
from pathlib import Path

from noria.actors import Runtime

HERE = Path(__file__).parent

logger = logging.getLogger("tenants")


def main():
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    orders = [json.loads(line) for line in (HERE / "input.jsonl").read_text().splitlines()]
    runtime = Runtime.load(HERE)
    runtime.guard.audit(tell_denials)
    with runtime:
        runtime.publish_many("tenants:orders", orders)
        runtime.wait_idle(timeout=30)
        for queue in ("tenants:mail.acme", "tenants:mail.globex"):
            logger.info("%s holds %d reports", queue, runtime.info(queue)["ready"])


def tell_denials(decided):
    """An audit hook sees every decision; `runtime.bus.subscribe(hook, Denied)` would be told of denials only."""
    if decided.decision.allowed:
        return
    headers = decided.meta.get("message", {}).get("headers", {})
    whose = f" for {headers['tenant']}" if headers else ""
    who, what = decided.principal.id, f"{decided.action} on {decided.resource}"
    logger.info("%s may not %s%s: %s", who, what, whose, decided.decision.reason)


if __name__ == "__main__":
    main()
