"""What exists: entries, their kinds, and the files that declare them.

    registry = load("app", [Kind("queue.queue", QueueConfig), ...])
    registry["app:tasks"].config

Imports nothing of noria's other packages.
"""

from .entry import Entry
from .errors import ConfigurationError, EntryNotFound, NoriaError
from .events import Bus, Event
from .fields import between, reference
from .ids import EntryID
from .kinds import Kind, Kinds
from .load import load, load_settings
from .options import read_options
from .problem import Problem
from .registry import Registry
from .values import Duration, FileText

__all__ = [
    "Bus",
    "ConfigurationError",
    "Duration",
    "Entry",
    "EntryID",
    "EntryNotFound",
    "Event",
    "FileText",
    "Kind",
    "Kinds",
    "NoriaError",
    "Problem",
    "Registry",
    "between",
    "load",
    "load_settings",
    "read_options",
    "reference",
]
