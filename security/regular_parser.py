"""From the text of a regular expression to a tree, in RE2's dialect (Wippy's, and Go's).

Knows: syntax. What no linear-time engine can run (back references, looking around, atomic groups) is refused here,
with its position. Greedy and lazy are the same to us: we only ask whether a text matches. Does not run anything.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NoReturn

import attrs

from . import regular_characters as characters
from .errors import PatternRefused
from .regular_characters import Accepts

MAX_DEPTH = 50
MAX_REPEAT = 1000


class Anchor(Enum):
    """A place that a pattern can ask for; it consumes nothing."""

    TEXT_START = r"\A"
    TEXT_END = r"\z"
    LINE_START = "^"
    LINE_END = "$"
    WORD_EDGE = r"\b"
    NO_WORD_EDGE = r"\B"


@attrs.frozen
class Character:
    """One character that the set accepts."""

    accepts: Accepts


@attrs.frozen
class Sequence:
    """All parts, one after the other."""

    parts: tuple[Node, ...] = ()


@attrs.frozen
class Choice:
    """One of the options."""

    options: tuple[Node, ...]


@attrs.frozen
class Repeat:
    """A part from `low` to `high` times; `high` None is for ever."""

    part: Node
    low: int
    high: int | None


Node = Character | Sequence | Choice | Repeat | Anchor


@attrs.frozen
class Flags:
    """`(?i)` ignore case, `(?m)` anchors at lines, `(?s)` dot accepts a line end, `(?U)` lazy (no difference)."""

    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False


REFUSED_GROUPS = {
    "=": "looking ahead cannot be done in linear time",
    "!": "looking ahead cannot be done in linear time",
    "<=": "looking behind cannot be done in linear time",
    "<!": "looking behind cannot be done in linear time",
    ">": "atomic groups are not supported",
    "(": "conditional groups are not supported",
    "#": "comments are not supported",
    "P=": "back references cannot be matched in linear time",
}
ANCHOR_SIGNS = {
    ("^", False): Anchor.TEXT_START,
    ("$", False): Anchor.TEXT_END,
    ("^", True): Anchor.LINE_START,
    ("$", True): Anchor.LINE_END,
}
ANCHOR_ESCAPES = {
    "A": Anchor.TEXT_START,
    "z": Anchor.TEXT_END,
    "b": Anchor.WORD_EDGE,
    "B": Anchor.NO_WORD_EDGE,
}


def parse(pattern: str) -> Node:
    """The tree of a pattern.

    Raises:
        PatternRefused: The pattern is malformed or not regular; the error says where and why.
    """
    parser = _Parser(pattern)
    tree = parser.choice()
    if not parser.at_end:
        parser.refuse("unmatched )")
    return tree


class _Parser:
    """Recursive descent over one pattern; `position` is the next character to read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.depth = 0
        self.flags = Flags()

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.pattern)

    def refuse(self, message: str, position: int | None = None) -> NoReturn:
        raise PatternRefused(message, self.position if position is None else position)

    def looking_at(self, text: str) -> bool:
        return self.pattern.startswith(text, self.position)

    def skip(self, text: str) -> bool:
        """Step over the text if it is next."""
        if not self.looking_at(text):
            return False
        self.position += len(text)
        return True

    def take(self) -> str:
        if self.at_end:
            self.refuse("the pattern ends too early")
        self.position += 1
        return self.pattern[self.position - 1]

    def choice(self) -> Node:
        options = [self.sequence()]
        while self.skip("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while not self.at_end and not self.looking_at("|") and not self.looking_at(")"):
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, part: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return part
        low, high = bounds
        self.skip("?")
        again = self.position
        if self.bounds() is not None:
            self.refuse("a repetition of a repetition; put the inner one in a group", again)
        return Repeat(part, low, high)

    def bounds(self) -> tuple[int, int | None] | None:
        """The repetition that is next, or None. A brace that is no repetition is a brace, as in RE2."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.skip(sign):
                return bounds
        end = self.pattern.find("}", self.position)
        if not self.looking_at("{") or end < 0:
            return None
        low, comma, high = self.pattern[self.position + 1 : end].partition(",")
        if not _is_number(low) or (high and not _is_number(high)):
            return None
        return self.counted(end, low, high if comma else low)

    def counted(self, end: int, low: str, high: str) -> tuple[int, int | None]:
        if max(len(low), len(high)) > 4 or max(int(low), int(high or 0)) > MAX_REPEAT:
            self.refuse(f"at most {MAX_REPEAT} repetitions can be counted")
        if high and int(low) > int(high):
            self.refuse("the least number of repetitions is above the greatest")
        self.position = end + 1
        return int(low), int(high) if high else None

    def atom(self) -> Node:
        start = self.position
        match self.take():
            case "(":
                return self.group(start)
            case "[":
                return Character(self.character_class(start))
            case ".":
                return Character(characters.anything if self.flags.s else characters.anything_but_a_line_end)
            case "^" | "$" as sign:
                return ANCHOR_SIGNS[sign, self.flags.m]
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                self.refuse("there is nothing to repeat", start)
        return self.literal(self.pattern[start])

    def literal(self, character: str) -> Node:
        return Character(self.folded(characters.one_of(frozenset(character))))

    def folded(self, accepts: Accepts) -> Accepts:
        return characters.without_case(accepts) if self.flags.i else accepts

    def group(self, start: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"groups are nested more than {MAX_DEPTH} deep", start)
        outer = self.flags
        if self.skip("?") and not self.group_head():
            self.depth -= 1
            return Sequence()
        inner = self.choice()
        if not self.skip(")"):
            self.refuse("this group is not closed", start)
        self.flags = outer
        self.depth -= 1
        return inner

    def group_head(self) -> bool:
        """Read what follows `(?`; False when it only sets flags for what comes next."""
        for head, reason in REFUSED_GROUPS.items():
            if self.looking_at(head):
                self.refuse(reason)
        if self.skip("P<") or self.skip("<"):
            end = self.pattern.find(">", self.position)
            if end < 0 or not self.pattern[self.position : end].isidentifier():
                self.refuse("a group name is letters, digits and _, closed by >")
            self.position = end + 1
            return True
        return self.flag_group()

    def flag_group(self) -> bool:
        value = True
        while True:
            match self.take():
                case "-" if value:
                    value = False
                case "i" | "m" | "s" | "U" as flag:
                    self.flags = attrs.evolve(self.flags, **{flag: value})
                case ":":
                    return True
                case ")":
                    return False
                case other:
                    self.refuse(f"unknown flag {other!r}; the flags are i, m, s, U", self.position - 1)

    def escape(self) -> Node:
        start = self.position - 1
        if not self.at_end and (anchor := ANCHOR_ESCAPES.get(self.pattern[self.position])):
            self.position += 1
            return anchor
        if (members := self.class_escape()) is not None:
            return Character(self.folded(members))
        return self.literal(self.character_escape(start))

    def class_escape(self) -> Accepts | None:
        r"""`\d`, `\W`, `\pL`, `\P{Lu}`, when one is next after the backslash."""
        letter = self.pattern[self.position : self.position + 1]
        if letter.lower() in characters.PERL:
            self.position += 1
            accepts = characters.one_of(characters.PERL[letter.lower()])
        elif letter in {"p", "P"}:
            self.position += 1
            accepts = self.category()
        else:
            return None
        return characters.negated(accepts) if letter.isupper() else accepts

    def category(self) -> Accepts:
        start = self.position
        name = self.take()
        if name == "{":
            end = self.pattern.find("}", self.position)
            name = self.pattern[self.position : end] if end >= 0 else ""
            self.position = end + 1
        if name not in characters.CATEGORIES:
            self.refuse("unknown Unicode category; known are general categories such as L, Lu, Nd", start)
        return characters.in_category(name)

    def character_escape(self, start: int) -> str:
        r"""One character written as an escape: `\.`, `\n`, `\x41`, `\x{1F600}`, `\0`."""
        letter = self.take()
        if letter in characters.CONTROL:
            return characters.CONTROL[letter]
        if letter == "x":
            return self.hexadecimal(start)
        if letter == "0":
            return "\0"
        if letter.isascii() and letter.isdigit():
            self.refuse("back references cannot be matched in linear time", start)
        if letter.isascii() and letter.isalpha():
            hint = r"; the end of the text is \z" if letter == "Z" else ""
            self.refuse(f"unknown escape \\{letter}{hint}", start)
        return letter

    def hexadecimal(self, start: int) -> str:
        if self.skip("{"):
            end = self.pattern.find("}", self.position)
            digits = self.pattern[self.position : end] if end >= 0 else ""
            self.position = end + 1
        else:
            digits = self.pattern[self.position : self.position + 2]
            self.position += 2
            digits = digits if len(digits) == 2 else ""
        valid = 0 < len(digits) <= 6 and set(digits) <= characters.POSIX["xdigit"]
        if not valid or int(digits, 16) > 0x10FFFF:
            self.refuse(r"expected \xHH or \x{HHHHHH}", start)
        return chr(int(digits, 16))

    def character_class(self, start: int) -> Accepts:
        negative = self.skip("^")
        members: list[Accepts] = []
        while not self.looking_at("]") or not members:
            if self.at_end:
                self.refuse("this character class is not closed", start)
            members.append(self.class_member())
        self.position += 1
        accepts = self.folded(characters.any_of(members))
        return characters.negated(accepts) if negative else accepts

    def class_member(self) -> Accepts:
        if self.looking_at("[:"):
            return self.posix_class()
        start = self.position
        first = self.class_character()
        if not isinstance(first, str):
            return first
        if not self.looking_at("-") or self.looking_at("-]"):
            return characters.one_of(frozenset(first))
        self.position += 1
        last = self.class_character()
        if not isinstance(last, str) or last < first:
            self.refuse("a range in a character class goes from a lower to a higher character", start)
        return characters.from_to(first, last)

    def class_character(self) -> str | Accepts:
        start = self.position
        character = self.take()
        if character != "\\":
            return character
        members: Callable[[str], bool] | None = self.class_escape()
        return self.character_escape(start) if members is None else members

    def posix_class(self) -> Accepts:
        start = self.position
        end = self.pattern.find(":]", start)
        name = self.pattern[start + 2 : end] if end >= 0 else ""
        known = characters.POSIX.get(name.removeprefix("^"))
        if known is None:
            self.refuse(f"unknown class; known are {', '.join(characters.POSIX)}", start)
        self.position = end + 2
        accepts = characters.one_of(known)
        return characters.negated(accepts) if name.startswith("^") else accepts


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
