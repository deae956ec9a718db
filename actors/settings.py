"""`.noria.yaml`: how the runtime itself behaves.

Knows: keys and defaults. Must not know: entries.
"""

from typing import Literal

from attrs import frozen

from ..registry import Duration, between


@frozen(kw_only=True)
class SecuritySettings:
    """`security:`."""

    strict_mode: bool = False


@frozen(kw_only=True)
class ShutdownSettings:
    """`shutdown:`. `timeout` bounds a stop as a whole."""

    timeout: Duration = between(0, default=30.0)


@frozen(kw_only=True)
class LoggerSettings:
    """`logger:`. `format: auto` is a live view or text on a terminal, and JSON lines elsewhere."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


@frozen(kw_only=True)
class Settings:
    """The whole file; everything in it is optional."""

    security: SecuritySettings = SecuritySettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    logger: LoggerSettings = LoggerSettings()
