"""The second stage: a path -> what the file consists of.

Knows: Python's syntax. Must not know: figures. An outline is small; sources and trees never travel.
"""

import ast
import warnings
from pathlib import Path

from noria.actors import Reject, message, publish

# What other people's files are warned of is not ours to mend.
warnings.simplefilter("ignore", SyntaxWarning)
warnings.simplefilter("ignore", DeprecationWarning)


def handler(body):
    source = Path(body["root"], body["file"]).read_bytes()
    try:
        tree = ast.parse(source, filename=body["file"])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # Trying again would not help. To the dead-letter queue, with the error as its reason.
        raise Reject(reason_of(error)) from error
    outline = {"file": body["file"], "lines": len(source.splitlines()), **outline_of(tree)}
    publish("census:outlines", outline, {"correlation_id": message.header("correlation_id")})


def reason_of(error):
    if not isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error}"
    return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg


def outline_of(tree):
    functions, classes, imports = [], [], []
    for node in statements(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions.append([node.name, node.lineno, node.end_lineno])
            case ast.ClassDef():
                classes.append(node.name)
            case ast.Import():
                imports += [alias.name for alias in node.names]
            case ast.ImportFrom(level=0):
                imports.append(node.module)
    return {"functions": functions, "classes": classes, "imports": imports}


def statements(node):
    """Every statement below a node. Expressions hold none, and are nine tenths of a tree: not to look there is
    what makes this fast."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, name, ()):
            yield child
            yield from statements(child)
