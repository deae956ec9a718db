"""What exists: entries, their kinds, and the files that declare them.

    registry = load("app", [Kind("queue.queue", QueueConfig), ...])
    registry["app:tasks"].config

Imports nothing of noria's other packages.
"""

from .changes import Change, Create, Delete, Update, affected, changed, differences
from .entry import Entry
from .errors import ConfigurationError, EntryNotFound, NoriaError, VersionNotFound
from .events import Bus, Event
from .fields import between, reference, secret
from .history import History, Version
from .ids import EntryID
from .kinds import Kind, Kinds
from .load import load, load_settings
from .options import read_options
from .problem import Problem
from .registry import Registry
from .values import Duration, FileText

__all__ = [
    "Bus",
    "Change",
    "ConfigurationError",
    "Create",
    "Delete",
    "Duration",
    "Entry",
    "EntryID",
    "EntryNotFound",
    "Event",
    "FileText",
    "History",
    "Kind",
    "Kinds",
    "NoriaError",
    "Problem",
    "Registry",
    "Update",
    "Version",
    "VersionNotFound",
    "affected",
    "between",
    "changed",
    "differences",
    "load",
    "load_settings",
    "read_options",
    "reference",
    "secret",
]
