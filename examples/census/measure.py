"""The third stage: what a file consists of -> figures.

Knows: counting. Must not know: syntax, other files.
"""

import heapq

from noria.actors import message, publish

LONGEST = 10


def handler(outline):
    functions = [[last - first + 1, name, first] for name, first, last in outline["functions"]]
    figures = {
        "file": outline["file"],
        "lines": outline["lines"],
        "functions": len(functions),
        "classes": len(outline["classes"]),
        "longest": heapq.nlargest(LONGEST, functions),
        "imports": sorted({name.partition(".")[0] for name in outline["imports"]}),
    }
    publish("census:results", figures, {"correlation_id": message.header("correlation_id")})
