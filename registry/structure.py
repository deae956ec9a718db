"""The one converter: from plain values to config classes, every refusal with its path.

Knows: cattrs (nobody else here does), attrs classes, the types a field may have. Does not know: files,
entries, which other entries exist.
"""

from __future__ import annotations

import contextvars
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
import cattrs

from .decode import UNRESOLVED
from .fields import BETWEEN, HIDDEN, REFERENCE, Reference
from .ids import EntryID
from .phrases import (
    ID_RULE,
    field_phrase,
    is_duration,
    is_mapping,
    is_optional,
    is_sequence,
    is_union,
    length,
    literal_values,
    members,
    phrase,
)
from .placeholders import EnvText, LooseText, coerce
from .problem import FieldPath
from .refusal import Refusal, Refused, foreign
from .values import FileText, parse_duration
from .wording import Expected, did_you_mean, one_of

Config = TypeVar("Config")


@attrs.define(eq=False)
class _Call:
    """One call of `structure`: what the hooks, which cattrs gives no context, need to know."""

    namespace: str | None
    path: list[str | int] = attrs.field(factory=list)
    rules: list[Reference | None] = attrs.field(factory=list)
    seen: list[Seen] = attrs.field(factory=list)


_call: Final[contextvars.ContextVar[_Call]] = contextvars.ContextVar("call")

#: An ID in a `reference` field: where, which, and what it may refer to.
Seen = tuple[FieldPath, EntryID, Reference]


def structure(
    value: Any, cls: type[Config], namespace: str | None = None
) -> tuple[Config | None, Sequence[Refusal], Sequence[Seen]]:
    """An instance of the attrs class `cls`, or None and everything that is wrong.

    `namespace` is what bare entry IDs belong to; None where they must be full. The last part of the answer
    is what stands in `reference` fields, so that references are checked where other fields are wrong.
    """
    call = _Call(namespace)
    token = _call.set(call)
    try:
        return typing.cast("Config", _structure(value, cls)), (), call.seen
    except Refused as refused:
        return None, refused.refusals, call.seen
    finally:
        _call.reset(token)


def _structure(value: Any, annotation: Any) -> Any:
    if value is UNRESOLVED:
        raise Refused([])  # already reported
    try:
        return _converter.structure(value, annotation)
    except Refused:
        raise
    except Expected as error:
        raise Refused.expecting(error.what) from None
    except cattrs.BaseValidationError:
        # A type that we have no hook for; what cattrs has to say may hold values.
        raise Refused.expecting(phrase(annotation)) from None
    except Exception as error:
        raise Refused([foreign(error)]) from None


def _inside(step: str | int, value: Any, annotation: Any) -> Any:
    path = _call.get().path
    path.append(step)
    try:
        return _structure(value, annotation)
    finally:
        path.pop()


def _gather(parts: Iterable[tuple[Any, Any, Any]]) -> dict[Any, Any]:
    """Structure (step, value, type) each, or raise Refused with the refusals of all."""
    structured: dict[Any, Any] = {}
    refusals: list[Refusal] = []
    failed = False
    for step, value, annotation in parts:
        try:
            structured[step] = _inside(step, value, annotation)
        except Refused as refused:
            failed = True
            refusals.extend(refusal.below(step) for refusal in refused.refusals)
    if failed:
        raise Refused(refusals)
    return structured


def _plain(value: Any, _: Any = None) -> Any:
    """A free-form value: copies all the way down, loose texts as what they are by themselves."""
    if value is UNRESOLVED:
        raise Refused([])  # already reported; whoever gets the whole must not find this inside
    if isinstance(value, LooseText):
        return value if isinstance(value, EnvText) and isinstance(value.plain, str) else value.plain
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def _text(value: Any, cls: Any) -> Any:
    if literal_values(cls):
        return _literal(value, cls)
    if not isinstance(value, str):
        raise Expected(phrase(cls))
    return str(value) if type(value) is LooseText else value


def _file_text(value: Any, cls: Any) -> FileText:
    if not isinstance(value, str):
        raise Expected(phrase(cls))
    return value if isinstance(value, FileText) else FileText(value)


def _typed(value: Any) -> Any:
    """What a loose text is when a field of a type other than text asks."""
    return coerce(value) if isinstance(value, LooseText) else value


def _number(value: Any, cls: Any) -> Any:
    if literal_values(cls):
        return _literal(value, cls)
    number = _typed(value)
    allowed = int if cls is int else (int, float)
    if isinstance(number, bool) or not isinstance(number, allowed):
        raise Expected(phrase(cls))
    try:
        converted = cls(number)
    except OverflowError:
        raise Expected(phrase(cls)) from None
    if isinstance(converted, float) and math.isnan(converted):
        raise Expected(phrase(cls))
    return converted


def _boolean(value: Any, cls: Any) -> bool:
    truth = _typed(value)
    if not isinstance(truth, bool):
        raise Expected(phrase(cls))
    return truth


def _nothing(value: Any, _: Any) -> None:
    if value is not None:
        raise Expected("nothing")


def _duration(value: Any, _: Any) -> float:
    return parse_duration(value)


def _entry_id(value: Any, _: Any) -> EntryID:
    if not isinstance(value, str):
        raise Expected(ID_RULE)
    call = _call.get()
    parsed = EntryID.parse(str(value), call.namespace)
    rule = call.rules[-1] if call.rules else None
    if rule is not None:
        call.seen.append((tuple(call.path), parsed, rule))
    return parsed


def _literal(value: Any, annotation: Any) -> Any:
    values = literal_values(annotation)
    for wanted in values:
        given = _typed(value) if not isinstance(wanted, str) else value
        if given == wanted and isinstance(given, bool) == isinstance(wanted, bool):
            return annotation(wanted) if isinstance(annotation, type) else wanted
    raise Refused.expecting(phrase(annotation), (each for each in values if isinstance(each, str)))


def _union(value: Any, annotation: Any) -> Any:
    if value is None and is_optional(annotation):
        return None
    deepest: Refused | None = None
    seen = _call.get().seen
    before = len(seen)
    for member in members(annotation):
        try:
            return _structure(value, member)
        except Refused as refused:
            # A refusal deep inside one alternative says more than that none of them fits.
            if all(refusal.path for refusal in refused.refusals) or len(members(annotation)) == 1:
                deepest = deepest or refused
            else:
                del seen[before:]
    raise deepest or Refused.expecting(phrase(annotation))


def _sequence(value: Any, annotation: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise Expected(phrase(annotation))
    origin = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation) or (Any,)
    fixed = length(annotation)
    if fixed not in (None, len(value)):
        raise Expected(phrase(annotation))
    kinds = [arguments[0]] * len(value) if fixed is None else arguments
    items = _gather(zip(range(len(value)), value, kinds, strict=True)).values()
    if issubclass(origin, set | frozenset):
        return origin(items)
    return tuple(items) if issubclass(origin, tuple) else list(items)


def _mapping(value: Any, annotation: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise Expected(phrase(annotation))
    *_, inner = typing.get_args(annotation) or (Any,)
    return _gather((name, each, inner) for name, each in value.items())


def _class_hook(cls: type[Any]) -> Callable[[Any, Any], Any]:
    """Make the hook of one attrs class; cattrs keeps it."""
    fields = {field.alias: field for field in attrs.fields(attrs.resolve_types(cls)) if field.init}

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Expected("a mapping")
        refusals = [_unknown(name, fields) for name in value if name not in fields]
        # A misspelt name may have meant any of the fields that are not there.
        unsure = fields.keys() - value.keys() if refusals else set[str]()
        failed = bool(refusals)
        given: dict[str, Any] = {}
        for name, field in fields.items():
            try:
                given |= _field(name, field, value)
            except Refused as refused:
                failed = True
                unsure.add(name)
                refusals.extend(refused.refusals)
        if failed:
            raise Refused([*refusals, *_validators_say(cls, given, unsure)])
        return _instance(cls, given)

    return hook


def _unknown(name: str, fields: Iterable[str]) -> Refusal:
    call = _call.get()
    # At the top of an entry `meta` may stand as well.
    known = (*fields, "meta") if call.namespace is not None and not call.path else tuple(fields)
    hint = did_you_mean(name, known)
    if not hint:
        hint = f"; known are {one_of(known).replace(' or ', ' and ')}" if known else "; none is known here"
    return Refusal((name,), text=f"unknown field{hint}", at_key=True)


def _field(name: str, field: attrs.Attribute[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    given = value.get(name)
    if given is None and not (name in value and is_optional(field.type)):
        # `lifecycle:` with nothing behind it means what its absence means.
        if field.default is attrs.NOTHING:
            raise Refused([Refusal((name,), text=f"required, but not given; expected {field_phrase(field)}")])
        return {}
    rules = _call.get().rules
    rules.append(field.metadata.get(REFERENCE))
    try:
        return {name: _bounded(field, _inside(name, given, field.type))}
    except Refused as refused:
        refusals = [
            attrs.evolve(each, expected=field_phrase(field)) if each.expected and not each.path else each
            for each in refused.refusals
        ]
        raise Refused(_below(field, name, refusal) for refusal in refusals) from None
    finally:
        rules.pop()


def _below(field: attrs.Attribute[Any], name: str, refusal: Refusal) -> Refusal:
    is_secret = refusal.is_secret or HIDDEN in field.metadata
    return attrs.evolve(refusal, is_secret=is_secret).below(name)


def _bounded(field: attrs.Attribute[Any], value: Any) -> Any:
    bounds = field.metadata.get(BETWEEN)
    if bounds is not None and value is not None and not bounds.holds(value):
        raise Refused.expecting(field_phrase(field))
    return value


def _instance(cls: type[Any], given: Mapping[str, Any]) -> Any:
    try:
        return cls(**given)
    except Exception as error:
        refusals = list(_validators_say(cls, given)) or [_said(error)]
    raise Refused(refusals)


def _said(error: Exception) -> Refusal:
    return Refusal(expected=error.what) if isinstance(error, Expected) else foreign(error)


def _validators_say(
    cls: type[Any], given: Mapping[str, Any], unsure: Collection[str] = ()
) -> Iterable[Refusal]:
    """Ask every validator by itself: attrs stops at the first one, and does not say which it was.

    Nobody knows the values of the `unsure` fields; a validator that looks at one of them has nothing to say.
    """
    instance: Any = object.__new__(cls)
    fields = [field for field in attrs.fields(cls) if field.init]
    for field in fields:
        if field.alias in given:
            object.__setattr__(instance, field.name, given[field.alias])
        elif field.alias in unsure:
            continue
        elif not isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
            object.__setattr__(instance, field.name, field.default)
        elif not field.default.takes_self:
            object.__setattr__(instance, field.name, field.default.factory())
    for field in fields:
        if field.validator is None or field.alias not in given:
            continue
        try:
            field.validator(instance, field, given[field.alias])
        except AttributeError:
            continue  # it looked at a field that is not there; if it is wrong itself, `_instance` tells
        except Exception as error:
            yield _below(field, field.alias, _said(error))


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _boolean)
    converter.register_structure_hook(FileText, _file_text)
    for predicate, hook in (
        (lambda annotation: annotation in (Any, object), _plain),
        (lambda annotation: annotation in (None, types.NoneType), _nothing),
        (is_sequence, _sequence),
        (is_mapping, _mapping),
        (is_union, _union),
        (lambda annotation: bool(literal_values(annotation)), _literal),
        (is_duration, _duration),
    ):
        converter.register_structure_hook_func(predicate, hook)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_structure_hook(EntryID, _entry_id)
    return converter


_converter: Final = _make_converter()
