"""What a running application tells about itself: sinks for the bus.

    runtime.bus.subscribe(LogSink())

Imported by the command line and by whoever wants it; nothing else of noria imports it.
"""

from .log import JsonFormatter, LogSink, TextFormatter

__all__ = ["JsonFormatter", "LogSink", "TextFormatter"]
