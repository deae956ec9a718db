"""All the cases in one class.

Knows: which topics there are. Must not know: any driver.
"""

from .bounds import Bounds
from .credit import Credit
from .dead_letters import DeadLetters
from .figures import Figures
from .publishing import Publishing
from .settling import Settling
from .stopping import Stopping


class DriverConformance(Publishing, Credit, Settling, DeadLetters, Bounds, Figures, Stopping):
    """Every promise of `noria.actors.driver` as a case. Subclass it and define the fixture `make_driver`.

    What a driver does not promise by its `features` is skipped, and the reason says so.
    """
