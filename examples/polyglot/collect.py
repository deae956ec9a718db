"""Finds pages and sends their text on, and says how many there are.

Knows: files. Must not know: what is in them.
"""

from pathlib import Path

from noria.actors import message, publish


def handler(body):
    files = sorted({file for pattern in body["patterns"] for file in Path().glob(pattern)})
    for file in files:
        page = {"survey": message.id, "file": file.as_posix(), "text": file.read_text(encoding="utf-8")}
        publish("polyglot:pages", page)
    publish("polyglot:ladders", {"survey": message.id, "expected": len(files)})
