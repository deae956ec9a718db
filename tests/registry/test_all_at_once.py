"""One broken entry hides nothing of the others: what is told together, and what is better not told yet."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from noria.registry import EntryID, Kind, Registry, reference


@attrs.frozen(kw_only=True)
class Leaf:
    word: str = ""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    on: tuple[EntryID, ...] = reference(default=())


def complain(entry, registry):
    """Each reference of a checked entry is there, and the checks of what is wrong itself never run."""
    assert all(target in registry for target in entry.config.on)
    yield "word", "checked"


LEAF = Kind("leaf", Leaf, complain)


def leaves(*lines):
    return "namespace: app\nentries:\n" + "".join(f"  - {{kind: leaf, {line}}}\n" for line in lines)


def checked(lines):
    return [line.split(": ")[1].removeprefix("app:") for line in lines if line.endswith("word: checked")]


@pytest.mark.parametrize(
    "broken",
    [
        "name: x, wrod: a",
        "name: x, word: [a]",
        "name: x, word: '${env:NOT_SET}'",
        "name: x, options: {a: {b: ['${env:NOT_SET}']}}",
        "name: x, word: file://nowhere.txt",
        "name: x, on: [nobody]",
        "name: x, meta: {depends_on: nobody}",
        "name: x, kind: leef",
        "name: x y",
        "nam: x",
    ],
)
def test_a_broken_entry_hides_nothing_that_checks_find_in_good_ones(problems, broken):
    content = leaves("name: a", "name: b, on: [a]")
    broken = f"kind: leaf, {broken}" if "kind" not in broken else broken
    lines = problems(f"{content}  - {{{broken}}}\n", [LEAF])

    assert len(lines) == 3
    assert checked(lines) == ["a", "b"]


def test_a_broken_file_hides_nothing_that_checks_find_in_others(problems):
    lines = problems({"app.yaml": leaves("name: a"), "bad.yaml": "namespace: [\n"}, [LEAF])

    assert len(lines) == 2
    assert checked(lines) == ["a"]


def test_what_needs_a_broken_entry_is_not_checked(problems):
    lines = problems(
        leaves(
            "name: a, on: [b]",
            "name: b, on: [c]",
            "name: c, wrod: x",
            "name: d, meta: {depends_on: b}",
            "name: e",
        ),
        [LEAF],
    )

    assert len(lines) == 2
    assert checked(lines) == ["e"]


def test_who_waits_for_each_other_is_not_checked(problems):
    lines = problems(leaves("name: a, on: [b]", "name: b, on: [a]", "name: c"), [LEAF])

    assert len(lines) == 2
    assert checked(lines) == ["c"]


def seen_by_check(problems, content, *kinds, **options):
    """What a check of the entry `app:asks` is told about the registry."""
    seen: list[Registry] = []
    asks = Kind("asks", Leaf, lambda _, registry: seen.append(registry) or [])
    problems(
        {"app.yaml": content, "asks.yaml": "namespace: app\nname: asks\nkind: asks\n"},
        [asks, *kinds],
        **options,
    )
    [registry] = seen
    return registry


def test_a_check_sees_good_entries_and_knows_which_kinds_lack_some(problems):
    other = Kind("other.one", Leaf)
    registry = seen_by_check(problems, leaves("name: a", "name: b, wrod: x"), Kind("leaf", Leaf), other)

    assert [str(entry.id) for entry in registry] == ["app:a", "app:asks"]
    assert registry.is_complete("asks", "other.one")
    assert registry.is_complete("other.*")
    assert not registry.is_complete("leaf")
    assert not registry.is_complete("other.*", "le*")
    assert not registry.is_complete()


def test_a_good_entry_that_needs_a_broken_one_is_lacking_as_well(problems):
    content = leaves("name: a, on: [b]").replace("leaf", "other") + "  - {name: b, kind: leaf, wrod: x}\n"
    registry = seen_by_check(problems, content, Kind("leaf", Leaf), Kind("other", Leaf))

    assert not registry.is_complete("other")


@pytest.mark.parametrize(
    "broken", ["namespace: [\n", leaves("name: b").replace("leaf", "leef"), leaves("nam: b")]
)
def test_what_is_broken_beyond_recognition_may_have_been_of_any_kind(problems, broken):
    registry = seen_by_check(problems, broken, Kind("leaf", Leaf))

    assert not registry.is_complete("leaf")
    assert not registry.is_complete("asks")


def test_a_valid_registry_is_complete_and_entries_left_out_on_purpose_do_not_matter(loaded):
    content = leaves("name: a") + "  - {name: b, kind: leef}\n"
    registry = loaded(content, [Kind("leaf", Leaf)], ignore_unknown_kinds=True)

    assert registry.is_complete()
    assert registry.is_complete("leaf", "leef", "*")


def test_a_check_that_stumbles_over_what_is_lacking_is_not_told(problems):
    def stumble(entry, registry):
        yield "word", f"found {registry['app:other'].id}"

    kinds = [Kind("stumbler", Leaf, stumble), Kind("leaf", Leaf)]
    stumbler = "  - {name: s, kind: stumbler}\n"

    [only] = problems(leaves("name: other, wrod: x") + stumbler, kinds)
    assert "wrod" in only
    [told] = problems(leaves("name: another") + stumbler, kinds)
    assert "the check of stumbler failed: EntryNotFound" in told


def even(_instance, _field, value):
    if value % 2:
        raise ValueError("expected an even number")


def below_limit(instance, _field, value):
    if value >= instance.limit:
        raise ValueError("expected less than the limit")


@attrs.frozen(kw_only=True)
class Numbers:
    first: int = attrs.field(default=0, validator=even)
    second: int = attrs.field(default=0, validator=below_limit)
    third: int = 0
    limit: int = 10


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "first: 3, second: 12, third: x",
            [
                "first: expected an even number",
                "second: expected less than the limit",
                'third: expected an integer, found the text "x"',
            ],
        ),
        (
            "first: 3, second: 12, limit: x",
            ["first: expected an even number", 'limit: expected an integer, found the text "x"'],
        ),
        (
            "first: 3, second: 12, limt: 20",
            ["first: expected an even number", 'limt: unknown field; did you mean "limit"?'],
        ),
    ],
)
def test_validators_are_asked_although_another_field_is_wrong(problems, fields, expected):
    told = problems(f"namespace: app\nentries:\n  - {{name: a, kind: n, {fields}}}\n", [Kind("n", Numbers)])

    assert [line.split(": ", 2)[2] for line in told] == expected


def test_a_validator_never_sees_what_could_not_be_resolved(problems):
    def shape(_instance, _field, value):
        if value["a"] != "text":
            raise ValueError('expected "text" in a')

    config = attrs.make_class("Shaped", {"table": attrs.field(type=Any, validator=shape)})
    told = problems("namespace: app\nname: x\nkind: k\ntable: {a: '${env:NOT_SET}'}\n", [Kind("k", config)])

    assert len(told) == 1
    assert "NOT_SET is not set" in told[0]


def test_an_entry_that_needs_itself_is_a_circle(problems):
    content = leaves(
        "name: a, on: [b, 'app:a']",
        "name: b, on: [b]",
        "name: c, meta: {depends_on: [a, c]}",
        "name: d, on: [b]",
    )

    assert problems(content, [Kind("leaf", Leaf)]) == [
        "app.yaml:3:35: app:a: on[1]: dependency cycle: app:a -> app:a",
        "app.yaml:4:32: app:b: on[0]: dependency cycle: app:b -> app:b",
        "app.yaml:5:50: app:c: meta.depends_on[1]: dependency cycle: app:c -> app:c",
    ]


def test_what_a_kind_says_of_an_entry_that_needs_itself_is_enough(problems):
    kind = Kind("leaf", Leaf, lambda entry, _: [("on[0]", "a leaf cannot grow on itself")])

    assert problems(leaves("name: a, on: [a, a]"), [kind]) == [
        "app.yaml:3:32: app:a: on[0]: a leaf cannot grow on itself",
        "app.yaml:3:35: app:a: on[1]: dependency cycle: app:a -> app:a",
    ]


def test_an_entry_does_not_wait_for_itself_in_its_own_group_and_namespace(loaded):
    registry = loaded(
        leaves("name: a, meta: {groups: g, depends_on: ['group:g', 'ns:app']}", "name: b"),
        [Kind("leaf", Leaf)],
    )

    assert registry["app:a"].dependencies == (EntryID("app", "b"),)
