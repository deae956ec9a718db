"""What crosses between Python and Lua arrives as it was sent, or is refused with a reason."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.actors.functions.lua.faults import LuaError

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(st.characters()) | st.binary()
KEYS = st.text(st.characters()) | st.integers(-(2**63), 2**63 - 1)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def as_it_arrives(value):
    """Bytes that are text come back as text; there is no other difference."""
    match value:
        case bytes():
            for errors in ("strict", "surrogatepass"):
                try:
                    return value.decode("utf-8", errors)
                except UnicodeDecodeError:
                    continue
        case list():
            return [as_it_arrives(item) for item in value]
        case dict():
            return {key: as_it_arrives(item) for key, item in value.items()}
    return value


def same(left, right):
    """Equal, and of the same types: 1, 1.0 and true are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right and (left != 0 or math.copysign(1, left) == math.copysign(1, right))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=DATA)
def test_every_value_comes_back_as_it_went_in(shared_echo, value):
    assert same(shared_echo(value), as_it_arrives(value))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=DATA)
def test_every_value_comes_through_a_module_as_it_went_in(shared_relay, value):
    """Into Lua, out to Python through `funcs.call`, back into Lua and out again."""
    assert same(shared_relay(value), as_it_arrives(value))


@pytest.fixture
def echo(lua):
    return lua("return ...")


@pytest.fixture(scope="module")
def applications(tmp_path_factory):
    from noria.actors import Runtime

    home = tmp_path_factory.mktemp("echo")
    (home / "app.yaml").write_text(
        "namespace: app\nentries:\n"
        "  - {name: echo, kind: function.lua, source: 'return function(value) return value end'}\n"
        "  - {name: relay, kind: function.lua, source: file://relay.lua, modules: [funcs]}\n"
        "  - {name: python, kind: function.python, source: file://python.py}\n"
    )
    (home / "relay.lua").write_text(
        'local funcs = require("funcs")\nreturn function(value) return (funcs.call("app:python", value)) end'
    )
    (home / "python.py").write_text("def handler(value):\n    return value")
    with Runtime.load(home) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def shared_echo(applications):
    return lambda value: applications.call("app:echo", value)


@pytest.fixture(scope="module")
def shared_relay(applications):
    return lambda value: applications.call("app:relay", value)


LITERALS = {
    "nil": None,
    "1": 1,
    "1.0": 1.0,
    "-9223372036854775807 - 1": -(2**63),
    "1 / 0": math.inf,
    "{}": [],
    "{ 1, 2.5, 'x', true }": [1, 2.5, "x", True],
    "{ a = { b = { 1 } } }": {"a": {"b": [1]}},
    "'\\255\\254'": b"\xff\xfe",
    "{ ['\\255'] = 1 }": {b"\xff": 1},
}


@pytest.mark.parametrize("literal", LITERALS)
def test_what_a_script_makes_arrives_as_python_would_write_it(lua, literal):
    assert same(lua(f"return {literal}")(), LITERALS[literal])


REFUSED = {
    "{ 1, nil, 3 }": "a sparse list cannot become plain data",
    "{ [2] = 1 }": "a sparse list",
    "{ [0] = 1 }": "a sparse list",
    "{ 1, a = 2 }": "both list items and named fields",
    "{ [true] = 1 }": "a key of type boolean",
    "{ [1.5] = 1 }": "a key of type number",
    "print": "a function cannot become plain data",
    "{ a = { 1, print } }": "a function cannot become plain data (at .a[2])",
    "coroutine.create(print)": "a thread cannot become plain data",
}


@pytest.mark.parametrize("literal", REFUSED)
def test_what_is_no_plain_data_is_refused_with_its_place(lua, literal):
    with pytest.raises(LuaError) as caught:
        lua(f"return {literal}")()
    assert REFUSED[literal] in str(caught.value)


def test_a_table_in_itself_is_refused_and_one_that_is_there_twice_is_not(lua):
    with pytest.raises(LuaError, match="a table that contains itself"):
        lua("local t = {} t.a = { t } return t")()
    assert lua("local t = { 1 } return { t, t }")() == [[1], [1]]


def test_a_list_in_itself_is_refused_on_the_way_in(echo):
    value = [1]
    value.append(value)

    with pytest.raises(LuaError, match="a value that contains itself"):
        echo(value)


def test_depth_is_bounded_both_ways(lua, echo):
    deep = None
    for _ in range(128):
        deep = [deep]

    assert echo(deep) == deep
    with pytest.raises(LuaError, match="nested more than 128 levels"):
        echo([deep])
    with pytest.raises(LuaError, match="nested more than 128 levels"):
        lua("local t = {} for _ = 1, 128 do t = { t } end return t")()


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_that_lua_cannot_hold_is_refused_and_not_rounded(echo, value):
    with pytest.raises(LuaError, match="which Lua cannot hold exactly"):
        echo({"n": value})


def test_luajit_holds_integers_as_floats_so_its_range_is_smaller(lua):
    run = lua("return ...", "engine: luajit")

    assert same(run(2**53), 2**53)
    with pytest.raises(LuaError, match="cannot hold exactly"):
        run(2**53 + 2)


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j, {(1, 2): 3}])
def test_a_python_object_is_refused(echo, value):
    with pytest.raises(LuaError, match="cannot be passed to Lua"):
        echo(value)


def test_a_script_that_fills_a_null_or_deletes_a_name_means_it(lua):
    run = lua("local t = ... t.filled = 1 t.gone = nil t.list[4] = 'x' return t")

    assert run({"filled": None, "gone": 1, "kept": None, "list": [1, None, 3]}) == {
        "filled": 1,
        "kept": None,
        "list": [1, None, 3, "x"],
    }


def test_many_values_cross_at_once(echo):
    value = [{"n": index, "t": str(index)} for index in range(100_000)]

    assert echo(value[:20_000]) == value[:20_000]
