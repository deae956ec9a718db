"""All the cases in one class.

Knows: which topics there are. Must not know: any driver.
"""

from .bounds import Bounds
from .crashes import Crashes
from .credit import Credit
from .dead_letters import DeadLetters
from .figures import Figures
from .losses import Losses
from .publishing import Publishing
from .settling import Settling
from .sharing import Sharing
from .stopping import Stopping


class DriverConformance(
    Publishing, Credit, Settling, DeadLetters, Bounds, Figures, Stopping, Sharing, Crashes, Losses
):
    """Every promise of `noria.actors.driver` as a case. Subclass it and define the fixture `make_driver`.

    What a driver does not promise by its `features` is skipped, and so is what its tests give no means for (the
    fixtures `abandon` and `cut`, `several_processes`); the reason says so.
    """
