"""The topology as a picture: what is drawn, and the two languages it is drawn in.

Knows: entries as they are written, shapes, escaping. Must not know: files, the command line. The same registry gives
the same text, byte for byte; no value of `${env:…}` is in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from ...registry import Entry, EntryID, Registry


@attrs.frozen
class Box:
    """A node: `key` is its name inside the picture, `lines` is what it says, `shape` a key of SHAPES."""

    key: str
    shape: str
    lines: tuple[str, ...]


@attrs.frozen
class Arrow:
    """An edge from key to key; `role` is a key of STROKES."""

    start: str
    end: str
    label: str = ""
    role: str = "message"


@attrs.frozen
class Picture:
    """Nodes and edges, in the order in which they are drawn."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


# Mermaid's brackets, and for Graphviz a shape, a colour to fill it with and one for its border, for each.
SHAPES: Final[Mapping[str, tuple[str, str, str, str, str]]] = {
    "driver": ("[(", ")]", "cylinder", "#e8ebf0", "#7c8796"),
    "queue": ("[", "]", "box", "#dbeafe", "#3b73c4"),
    "dead letter": ("[/", "/]", "box", "#fde2e1", "#c2504a"),
    "consumer": ("([", "])", "box", "#dcf3e1", "#3f9158"),
    "function": ("[[", "]]", "component", "#fdf3d0", "#b58a1b"),
    "policy": ("{{", "}}", "note", "#ece6fa", "#7d63bd"),
    "other": ("(", ")", "ellipse", "#f4f4f4", "#7c8796"),
}

# Mermaid's line, and Graphviz' attributes, for each: only the way of a message is a full dark line.
STROKES: Final[Mapping[str, tuple[str, str]]] = {
    "message": ("-->", ""),
    "driver": ("-->", 'color="#b6bec9", arrowhead=none'),
    "dead letter": ("-.->", 'color="#c2504a", fontcolor="#c2504a", style=dashed'),
    "publish": ("-.->", 'color="#3b73c4", fontcolor="#3b73c4", style=dashed'),
    "policy": ("-.->", 'color="#a793d8", style=dotted, arrowhead=vee, arrowsize=0.7'),
}


def draw(registry: Registry) -> Picture:
    """The picture of a registry, from the drivers on the left to the functions on the right."""
    keys = {entry.id: f"{_role(entry)[0]}{number}" for number, entry in enumerate(_from_left(registry), 1)}
    dead = {
        entry.config.dead_letter.queue
        for entry in registry
        if entry.kind == "queue.queue" and entry.config.dead_letter is not None
    }
    boxes = tuple(_box(registry[id_], key, is_dead=id_ in dead) for id_, key in keys.items())
    arrows = tuple(arrow for id_ in keys for arrow in _arrows(registry[id_], registry, keys))
    return Picture(boxes, tuple(dict.fromkeys(arrows)))


def published(entry: Entry) -> tuple[EntryID, ...]:
    """The queues that a function says it publishes to: `meta.publishes`, an ID or a list; IDs only, known or not."""
    from ...registry import EntryID

    said = entry.meta.get("publishes", ()) if _role(entry) == "function" else ()
    texts = [said] if isinstance(said, str) else said if isinstance(said, list | tuple) else []
    found: dict[EntryID, None] = {}
    for text in texts:
        with contextlib.suppress(ValueError):
            found[EntryID.parse(str(text), entry.id.namespace)] = None
    return tuple(found)


def _role(entry: Entry) -> str:
    if entry.kind.startswith("queue.driver."):
        return "driver"
    if entry.kind.startswith("security.policy"):
        return "policy"
    family, _, rest = entry.kind.partition(".")
    role = rest if family == "queue" else family
    return role if role in SHAPES else "other"


def _from_left(registry: Registry) -> list[Entry]:
    order = list(SHAPES)
    return sorted(registry, key=lambda each: (order.index(_role(each)), each.id))


def _box(entry: Entry, key: str, *, is_dead: bool) -> Box:
    role = _role(entry)
    details: tuple[str, ...] = (entry.kind,)
    if role == "consumer":
        workers = _written(entry, "concurrency")
        noun = "worker" if str(workers) == "1" else "workers"  # an override is a text
        details = (f"{workers} {noun}, prefetch {_written(entry, 'prefetch')}",)
        actor = _actor(entry)
        details += (f"as {actor}",) if actor else ()
    elif role == "queue":
        details = ("dead letters",) if is_dead else ()
    elif role == "policy":
        details = (_policy_line(entry),)
    return Box(key, "dead letter" if is_dead else role, (str(entry.id), *details))


def _written(entry: Entry, field: str) -> Any:
    """A field as it is written, or its default: what a placeholder became is not for a picture."""
    return entry.data.get(field, getattr(entry.config, field))


def _actor(entry: Entry) -> str:
    security = _mapping(_mapping(entry.data.get("lifecycle")).get("security"))
    return str(_mapping(security.get("actor")).get("id", ""))


def _policy_line(entry: Entry) -> str:
    policy = _mapping(entry.data.get("policy"))
    actions = policy.get("actions", "")
    listed = ", ".join(map(str, actions)) if isinstance(actions, list) else str(actions)
    return f"{policy.get('effect', '')} {listed}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _arrows(entry: Entry, registry: Registry, keys: Mapping[EntryID, str]) -> Iterator[Arrow]:
    key, config = keys[entry.id], entry.config
    match _role(entry):
        case "queue" | "dead letter":
            yield Arrow(keys[config.driver], key, role="driver")
            if config.dead_letter is not None:
                yield Arrow(key, keys[config.dead_letter.queue], _dead_letter_label(config), "dead letter")
        case "consumer":
            yield Arrow(keys[config.queue], key)
            yield Arrow(key, keys[config.func])
            for policy in _policies(entry, registry):
                yield Arrow(keys[policy], key, role="policy")
        case "function":
            for queue in published(entry):
                if queue in keys:
                    yield Arrow(key, keys[queue], "publishes", "publish")
        case "other":
            for needed in entry.dependencies:
                yield Arrow(keys[needed], key)


def _dead_letter_label(config: Any) -> str:
    attempts: int = config.dead_letter.max_attempts
    return f"after {attempts} {'attempt' if attempts == 1 else 'attempts'}" if attempts else "rejected"


def _policies(entry: Entry, registry: Registry) -> tuple[EntryID, ...]:
    from ...security.entries import groups_of, policy_entries

    block = entry.config.lifecycle.security
    if block is None:
        return ()
    groups = set(block.group_ids(entry.id.namespace))
    members = (policy.id for policy in policy_entries(registry) if groups.intersection(groups_of(policy)))
    return tuple(sorted({*block.policies, *members}))


def mermaid(picture: Picture) -> str:
    """The picture as a Mermaid flowchart, in the manner of the seed's."""
    lines = ["flowchart LR"]
    for box in picture.boxes:
        opening, closing, *_ = SHAPES[box.shape]
        label = "<br/>".join(map(_mermaid_text, box.lines))
        lines.append(f'    {box.key}{opening}"{label}"{closing}')
    for arrow in picture.arrows:
        line, _ = STROKES[arrow.role]
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {arrow.start} {line}{label} {arrow.end}")
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    """Text inside a quoted label: Mermaid reads `#…;` as a character, HTML as HTML, and backticks as Markdown."""
    return "".join(
        f"#{ord(char)};" if char in '"#<>&`\\;%' or not char.isprintable() else char for char in text
    )


def dot(picture: Picture) -> str:
    """The picture in the language of Graphviz."""
    lines = [
        "digraph noria {",
        "    rankdir=LR;",
        "    nodesep=0.3;",
        "    ranksep=0.7;",
        '    node [fontname="Helvetica", fontsize=11, fontcolor="#1c2430", margin="0.15,0.08"];',
        '    edge [fontname="Helvetica", fontsize=9, color="#4a5564", arrowsize=0.8];',
    ]
    for box in picture.boxes:
        _, _, shape, fill, border = SHAPES[box.shape]
        style = "filled,rounded" if box.shape == "consumer" else "filled"
        look = f'shape={shape}, style="{style}", fillcolor="{fill}", color="{border}"'
        lines.append(f"    {box.key} [label={_dot_text(box.lines)}, {look}];")
    for arrow in picture.arrows:
        marks = [f"label={_dot_text((arrow.label,))}"] if arrow.label else []
        marks += [STROKES[arrow.role][1]] if STROKES[arrow.role][1] else []
        drawn_as = f" [{', '.join(marks)}]" if marks else ""
        lines.append(f"    {arrow.start} -> {arrow.end}{drawn_as};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(lines: tuple[str, ...]) -> str:
    # A backslash begins an escape of Graphviz' own: each of the text's is doubled, line ends are ours.
    escaped = (
        "".join(char if char.isprintable() else " " for char in line)
        .replace("\\", "\\\\")
        .replace('"', '\\"')
        for line in lines
    )
    joined = "\\n".join(escaped)
    return f'"{joined}"'
