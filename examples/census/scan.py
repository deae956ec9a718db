"""The first stage: where to look -> one message for each file.

Knows: directories. Must not know: what is in a file.
"""

import sysconfig
from pathlib import Path

from noria.actors import Reject, message, publish, publish_many

NOT_OURS = {"site-packages", "dist-packages", "__pycache__"}


def handler(body):
    root = Path(sysconfig.get_path("stdlib") if body["root"] == "stdlib" else body["root"]).resolve()
    if not root.is_dir():
        raise Reject(f"{root} is no directory")
    files = sorted(python_files(root))
    # Every message of this census bears the ID of the message that asked for it. A redelivered message keeps its
    # ID, so a scan that is done twice is still one census.
    census = {"correlation_id": message.id}
    publish("census:results", {"root": str(root), "expected": len(files)}, census)
    publish_many("census:sources", [{"root": str(root), "file": file} for file in files], census)


def python_files(root):
    for path in root.rglob("*.py"):
        file = path.relative_to(root)
        if path.is_file() and NOT_OURS.isdisjoint(file.parts):
            yield file.as_posix()
