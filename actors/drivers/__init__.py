"""The kinds of drivers, and what somebody needs who writes another one (docs/drivers.md)."""

from ..driver import (
    ConsumerOptions,
    Driver,
    DriverConfig,
    Features,
    QueueDeclaration,
    QueueInfo,
    QueueOptions,
    StoredMessage,
    Subscription,
    check_driver,
)
from .held import HeldSubscription, Settlement, Verb
from .io_thread import IoThread, Request
from .kinds import DRIVER_KINDS
from .store import Kept, Store
from .store_driver import StoreDriver

__all__ = [
    "DRIVER_KINDS",
    "ConsumerOptions",
    "Driver",
    "DriverConfig",
    "Features",
    "HeldSubscription",
    "IoThread",
    "Kept",
    "QueueDeclaration",
    "QueueInfo",
    "QueueOptions",
    "Request",
    "Settlement",
    "Store",
    "StoreDriver",
    "StoredMessage",
    "Subscription",
    "Verb",
    "check_driver",
]
