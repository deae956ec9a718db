"""Kinds, plug-ins, checks, and the types a field may have."""

import enum
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import attrs
import pytest

import noria.registry
from noria.registry import Duration, EntryID, Kind, Kinds, NoriaError, reference


@attrs.frozen
class Empty:
    pass


def test_kinds_are_told_by_name_in_order():
    kinds = Kinds([Kind("b", Empty), Kind("a", Empty)])
    kinds.register(Kind("c", Empty))

    assert kinds.names == ("a", "b", "c")
    assert [kind.name for kind in kinds] == ["a", "b", "c"]
    assert (len(kinds), "a" in kinds, "x" in kinds) == (3, True, False)
    assert kinds.get("a") == Kind("a", Empty)
    assert kinds.get("x") is None


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match=r"^the kind a is already registered$"):
        Kinds([Kind("a", Empty), Kind("a", Empty)])


def test_the_config_of_a_kind_is_an_attrs_class():
    with pytest.raises(TypeError, match=r"^the config of a kind is an attrs class, not <class 'dict'>$"):
        Kind("a", dict)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that has these entry points."""

    def install(points, module="from attrs import frozen\nfrom noria.registry import Kind\n@frozen\nclass C: ...\n"
                               "one = Kind('plug.one', C)\nmany = [Kind('plug.two', C), Kind('plug.three', C)]\n"
                               "wrong = [3]\n"):  # fmt: skip
        (tmp_path / "a_plugin_of_noria.py").write_text(module)
        info = tmp_path / "a_plugin_of_noria-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin-of-noria\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[noria.kinds]\n" + points)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "a_plugin_of_noria", raising=False)

    return install


def test_installed_packages_add_kinds(plugin):
    plugin("b = a_plugin_of_noria:many\na = a_plugin_of_noria:one\n")
    before = Kinds([Kind("own", Empty)])
    after = before.with_plugins()

    assert after.names == ("own", "plug.one", "plug.three", "plug.two")
    assert before.names == ("own",)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ("x = a_plugin_of_noria:wrong\n", "3 is no Kind"),
        ("x = nowhere_to_be_found:kinds\n", "No module named 'nowhere_to_be_found'"),
        ("x = a_plugin_of_noria:one\ny = a_plugin_of_noria:one\n", "the kind plug.one is already registered"),
    ],
)
def test_a_package_that_cannot_add_its_kinds_is_named(plugin, points, why):
    plugin(points)
    with pytest.raises(NoriaError) as caught:
        Kinds().with_plugins()

    name, _, value = points.strip().splitlines()[-1].partition(" = ")
    assert str(caught.value) == f"the entry point {name} = {value} of noria.kinds cannot be used: {why}"


def test_a_check_sees_the_whole_registry_and_is_told_at_the_place_of_its_field(problems, world):
    def check(entry, registry):
        twins = [other.id for other in registry.find({".kind": "twin"}) if other.id < entry.id]
        for twin in twins:
            yield "names[1]", f"{twin} is already there"
            yield ("deep", "er"), "and this"
            yield "meta.team", "and that"

    content = (
        "namespace: app\nentries:\n  - {name: a, kind: twin}\n"
        "  - {name: b, kind: twin, names: [x, y], meta: {team: core}}\n"
    )
    assert problems(content, [Kind("twin", Twin, check)]) == [
        "app.yaml:4:5: app:b: deep.er: and this",
        "app.yaml:4:38: app:b: names[1]: app:a is already there",
        "app.yaml:4:55: app:b: meta.team: and that",
    ]


@attrs.frozen
class Twin:
    names: tuple[str, ...] = ()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen(kw_only=True)
class Inner:
    number: int = 0


@attrs.frozen(kw_only=True)
class Everything:
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    choice: Literal["a", 1, True] = "a"
    either: str | tuple[str, ...] = ()
    number: int | str = 0
    pair: tuple[int, str] = (0, "")
    names: list[str] = attrs.field(factory=list)
    unique: frozenset[int] = frozenset()
    sequence: Sequence[float] = ()
    inner: tuple[Inner, ...] = ()
    table: Mapping[str, Inner] = attrs.field(factory=dict)
    plain: dict = attrs.field(factory=dict)
    anything: Any = None
    marked: Annotated[int, "a mark"] = 0
    patience: tuple[Duration, ...] = ()
    ids: Mapping[str, EntryID] = reference(default={})
    _origin: str = ""
    computed: int = attrs.field(init=False, default=3)
    converted: str = attrs.field(default="", converter=lambda text: text.upper())


GOOD = {
    "colour: blue": {"colour": Colour.BLUE},
    "level: 2": {"level": Level.HIGH},
    "choice: 1": {"choice": 1},
    "choice: true": {"choice": True},
    "either: a": {"either": "a"},
    "either: [a, b]": {"either": ("a", "b")},
    "number: x": {"number": "x"},
    "number: 3": {"number": 3},
    "pair: [1, x]": {"pair": (1, "x")},
    "names: [a]": {"names": ["a"]},
    "unique: [1, 1]": {"unique": frozenset({1})},
    "sequence: [1, 2.5]": {"sequence": [1.0, 2.5]},
    "inner: [{number: 1}, {}]": {"inner": (Inner(number=1), Inner())},
    "table: {a: {number: 1}}": {"table": {"a": Inner(number=1)}},
    "plain: {a: [1, {b: ~}]}": {"plain": {"a": [1, {"b": None}]}},
    "anything: [x]": {"anything": ["x"]},
    "marked: 4": {"marked": 4},
    "patience: [1m, 2]": {"patience": (60.0, 2.0)},
    "ids: {a: y, b: 'app:y'}": {"ids": {"a": EntryID("app", "y"), "b": EntryID("app", "y")}},
    "origin: here": {"origin": "here"},
    "converted: abc": {"converted": "abc"},
}
BAD = {
    "colour: blu": '5:9: app:x: colour: expected "red" or "blue", found the text "blu"; did you mean "blue"?',
    "level: 3": "5:8: app:x: level: expected 1 or 2, found 3",
    "choice: false": '5:9: app:x: choice: expected "a", 1 or true, found false',
    "either: 3": "5:9: app:x: either: expected text or a list, found 3",
    "either: [a, 3]": '5:13: app:x: either[1]: expected text, found 3; put it in quotes: "3"',
    "number: [x]": "5:9: app:x: number: expected an integer or text, found a list",
    "pair: [1]": "5:7: app:x: pair: expected a list of 2, found a list",
    "pair: [x, y]": '5:8: app:x: pair[0]: expected an integer, found the text "x"',
    "names: {a: b}": "5:8: app:x: names: expected a list, found a mapping",
    "sequence: [.nan]": "5:12: app:x: sequence[0]: expected a number, found .nan",
    "inner: [{numbr: 1}]": '5:10: app:x: inner[0].numbr: unknown field; did you mean "number"?',
    "inner: [3]": "5:9: app:x: inner[0]: expected a mapping, found 3",
    "table: {a: {number: x}}": '5:21: app:x: table.a.number: expected an integer, found the text "x"',
    "plain: [a]": "5:8: app:x: plain: expected a mapping, found a list",
    "marked: x": '5:9: app:x: marked: expected an integer, found the text "x"',
    "ids: {a: y}": '5:10: app:x: ids.a: there is no entry "app:y"',
    "computed: 4": (
        "5:1: app:x: computed: unknown field; known are colour, level, choice, either, number, pair, names, unique, "
        "sequence, inner, table, plain, anything, marked, patience, ids, origin, converted and meta"
    ),
    "_origin: x": '5:1: app:x: _origin: unknown field; did you mean "origin"?',
}
FILE = "namespace: app\nname: x\nkind: everything\nmeta: {}\n"


@pytest.mark.parametrize("line", GOOD)
def test_fields_may_have_any_type_that_yaml_can_write(loaded, line):
    files = {"app.yaml": FILE + line, "y.yaml": FILE.replace("name: x", "name: y")}

    assert loaded(files, [Kind("everything", Everything)])["app:x"].config == Everything(**GOOD[line])


@pytest.mark.parametrize("line", BAD)
def test_values_of_the_wrong_type_are_told_whatever_the_type(problems, line):
    assert problems(FILE + line, [Kind("everything", Everything)]) == [f"app.yaml:{BAD[line]}"]


def test_the_door_has_the_promised_names():
    assert sorted(noria.registry.__all__) == noria.registry.__all__
    assert all(hasattr(noria.registry, name) for name in noria.registry.__all__)
