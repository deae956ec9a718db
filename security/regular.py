"""Regular expressions in linear time: a pattern becomes a machine that reads every character once.

Knows: patterns and texts. Python's `re` backtracks, so a policy or, through `value_from`, a message could stop a
worker for hours; here no pattern can. The pattern is compiled to a small program of which all branches run side by
side, and sets of branches that were seen are remembered (a lazy automaton, as in RE2). Does not know policies.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

import attrs

from .errors import PatternRefused, PolicyError
from .regular_characters import WORD
from .regular_parser import Anchor, Character, Choice, Node, Repeat, Sequence, parse

MAX_PATTERN = 512
MAX_TEXT = 4096
MAX_PROGRAM = 600
# A pattern that arrives with a request may be an attacker's, and so may its text: a smaller machine.
MAX_DYNAMIC_PROGRAM = 200
# What a machine may remember of texts it has read; beyond, it forgets and starts again.
MAX_STATES = 64
MAX_FOLLOWING = 128
MAX_REMEMBERED = 32

# What stands on either side of a position; anchors ask for nothing else.
NOTHING, LINE_END, WORD_CHARACTER, OTHER = range(4)


@attrs.frozen
class _Split:
    first: int
    second: int


@attrs.frozen
class _Jump:
    target: int


_Instruction = Character | Anchor | _Split | _Jump


def _targets(place: int, instruction: _Instruction) -> tuple[int, ...]:
    match instruction:
        case _Split(first, second):
            return (first, second)
        case _Jump(target):
            return (target,)
    return (place + 1,)


class _State:
    """Where all branches stand after some text: instructions to go on from, and what was read last."""

    __slots__ = ("before", "following", "instructions")

    def __init__(self, instructions: frozenset[int], before: int) -> None:
        self.instructions = instructions
        self.before = before
        self.following: dict[str, _State] = {}


_MATCHED: Final = _State(frozenset(), NOTHING)


class RegularExpression:
    r"""A compiled pattern. Thread-safe; answers only whether a text contains a match.

    Args:
        pattern: RE2 syntax. `$` is the end of the text (never before a last line end), `\d`, `\w`, `\s`, `\b`
            are ASCII.
        limit: The greatest size of the compiled program, in instructions.

    Raises:
        PatternRefused: Malformed, longer than 512 characters, not regular, or larger than `limit` once compiled.
    """

    __slots__ = ("_accepts", "_anchors", "_start", "_states", "_targets", "pattern")

    def __init__(self, pattern: str, *, limit: int = MAX_PROGRAM) -> None:
        if len(pattern) > MAX_PATTERN:
            raise PatternRefused(f"longer than {MAX_PATTERN} characters", MAX_PATTERN)
        tree = parse(pattern)
        size = _size(tree) + 1
        if size > limit:
            raise PatternRefused(
                f"too large: {size} steps once repetitions are written out, at most {limit}", 0
            )
        self.pattern = pattern
        program: list[_Instruction] = []
        _emit(tree, program)
        # Taken apart into tables, because looking into instructions is what the slow path spends its time on. The
        # last place, after the program, is the match.
        self._accepts = [step.accepts if isinstance(step, Character) else None for step in program] + [None]
        self._anchors = {place: step for place, step in enumerate(program) if isinstance(step, Anchor)}
        self._targets = [_targets(place, step) for place, step in enumerate(program)]
        self._forget()

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in the text.

        Time grows with the length of the text, whatever the pattern.

        Raises:
            PolicyError: The text is longer than 4096 characters.
        """
        if len(text) > MAX_TEXT:
            raise PolicyError(f"a text of {len(text)} characters is too long to match; at most {MAX_TEXT}")
        state = self._start
        for character in text:
            following = state.following.get(character)
            if following is None:
                following = self._step(state, character)
            if following is _MATCHED:
                return True
            state = following
        return self._step(state, "") is _MATCHED

    def _forget(self) -> None:
        self._states: dict[tuple[frozenset[int], int], _State] = {}
        self._start = _State(frozenset((0,)), NOTHING)

    def _step(self, state: _State, character: str) -> _State:
        """Read one character, or the end of the text (the empty string), and remember where that leads."""
        after = _kind(character)
        reached = self._reached(state, after)
        if reached is None:
            following = _MATCHED
        else:
            # 0 is always among them: a match may begin at any character.
            accepted = {0}
            for place in reached if character else ():
                accepts = self._accepts[place]
                if accepts is not None and accepts(character):
                    accepted.add(place + 1)
            following = self._state(frozenset(accepted), after)
        if len(state.following) >= MAX_FOLLOWING:
            state.following.clear()
        state.following[character] = following
        return following

    def _state(self, instructions: frozenset[int], before: int) -> _State:
        if len(self._states) >= MAX_STATES:
            self._forget()
        return self._states.setdefault((instructions, before), _State(instructions, before))

    def _reached(self, state: _State, after: int) -> list[int] | None:
        """Follow everything that reads no character; None when that is already a match."""
        pending = list(state.instructions)
        seen = set(pending)
        reading: list[int] = []
        accepts, targets = self._accepts, self._targets
        for place in pending:
            if accepts[place] is not None:
                reading.append(place)
                continue
            if place == len(accepts) - 1:
                return None
            anchor = self._anchors.get(place)
            if anchor is None or _holds(anchor, state.before, after):
                new = [target for target in targets[place] if target not in seen]
                seen.update(new)
                pending.extend(new)
        return reading


def _kind(character: str) -> int:
    if not character:
        return NOTHING
    if character == "\n":
        return LINE_END
    return WORD_CHARACTER if character in WORD else OTHER


def _holds(anchor: Anchor, before: int, after: int) -> bool:
    match anchor:
        case Anchor.TEXT_START:
            return before == NOTHING
        case Anchor.TEXT_END:
            return after == NOTHING
        case Anchor.LINE_START:
            return before in (NOTHING, LINE_END)
        case Anchor.LINE_END:
            return after in (NOTHING, LINE_END)
        case Anchor.WORD_EDGE:
            return (before == WORD_CHARACTER) != (after == WORD_CHARACTER)
        case Anchor.NO_WORD_EDGE:
            return (before == WORD_CHARACTER) == (after == WORD_CHARACTER)


def _size(node: Node) -> int:
    """How many instructions `_emit` will write; known before, so that nothing huge is ever built."""
    match node:
        case Character() | Anchor():
            return 1
        case Sequence(parts):
            return sum(map(_size, parts))
        case Choice(options):
            return sum(map(_size, options)) + 2 * (len(options) - 1)
        case Repeat(part, low, high):
            # At least one for each repetition: `(){600}` is small, but writing it out is not free.
            size = _size(part)
            return max(low, low * size) + (size + 2 if high is None else (high - low) * (size + 1))


def _emit(node: Node, program: list[_Instruction]) -> None:
    match node:
        case Character() | Anchor():
            program.append(node)
        case Sequence(parts):
            for part in parts:
                _emit(part, program)
        case Choice(options):
            _emit_choice(options, program)
        case Repeat(part, low, high):
            for _ in range(low):
                _emit(part, program)
            if high is None:
                _emit_loop(part, program)
            else:
                _emit_optional(part, high - low, program)


def _emit_choice(options: tuple[Node, ...], program: list[_Instruction]) -> None:
    jumps: list[int] = []
    for option in options[:-1]:
        split = len(program)
        program.append(_Jump(0))
        _emit(option, program)
        jumps.append(len(program))
        program.append(_Jump(0))
        program[split] = _Split(split + 1, len(program))
    _emit(options[-1], program)
    for jump in jumps:
        program[jump] = _Jump(len(program))


def _emit_loop(part: Node, program: list[_Instruction]) -> None:
    split = len(program)
    program.append(_Jump(0))
    _emit(part, program)
    program.append(_Jump(split))
    program[split] = _Split(split + 1, len(program))


def _emit_optional(part: Node, times: int, program: list[_Instruction]) -> None:
    splits: list[int] = []
    for _ in range(times):
        splits.append(len(program))
        program.append(_Jump(0))
        _emit(part, program)
    for split in splits:
        program[split] = _Split(split + 1, len(program))


class RememberedExpressions:
    """The last patterns that came with requests, compiled; at most 32. Thread-safe."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._known: OrderedDict[str, RegularExpression] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def search(self, pattern: str, text: str) -> bool:
        """As `RegularExpression(pattern).search(text)`, for a pattern only known when a request is decided.

        Raises:
            PatternRefused: As RegularExpression, with a smaller limit of size (200): the pattern may be an attacker's.
            PolicyError: The text is too long.
        """
        with self._lock:
            known = self._known.get(pattern)
            if known is not None:
                self._known.move_to_end(pattern)
        if known is None:
            known = RegularExpression(pattern, limit=MAX_DYNAMIC_PROGRAM)
            with self._lock:
                self._known[pattern] = known
                while len(self._known) > self._limit:
                    self._known.popitem(last=False)
        return known.search(text)


remembered: Final = RememberedExpressions()
