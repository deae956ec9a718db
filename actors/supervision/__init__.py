"""Supervised trees of pykka actors: who starts, watches, restarts and stops whom.

Needs no queue and knows none: usable by anybody who has pykka actors. `supervise` starts a tree and returns the
handle on it; see docs/supervision.md.
"""

from .child import ChildSpec, State
from .mailbox import Control, Mailbox
from .restart import Backoff, Intensity, Restart, Strategy
from .supervised import Supervised
from .supervisor import Supervisor
from .tree import Supervision, supervise

__all__ = [
    "Backoff",
    "ChildSpec",
    "Control",
    "Intensity",
    "Mailbox",
    "Restart",
    "State",
    "Strategy",
    "Supervised",
    "Supervision",
    "Supervisor",
    "supervise",
]
