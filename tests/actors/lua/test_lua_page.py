"""docs/lua.md against the code: its tables of fields, its script, and a section for every module."""

import re
from pathlib import Path

import attrs
import pytest
import yaml

from noria.actors.functions.lua import entries
from noria.actors.functions.lua.check import syntax_error
from noria.actors.functions.lua.modules import LISTED

RANGES = {
    *("FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER"),
    *("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"),
}

PAGE = (Path(__file__).parents[3] / "docs" / "lua.md").read_text(encoding="utf-8")

TABLES = [
    ("function.lua", entries.LuaFunctionConfig),
    ("library.lua", entries.LuaLibraryConfig),
    ("limits", entries.LuaLimitsConfig),
    ("pool", entries.LuaPoolConfig),
]


def section(heading):
    return re.split(r"^#+ ", PAGE.split(f"\n### {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("heading", "config"), TABLES, ids=[heading for heading, _ in TABLES])
def test_every_field_is_in_its_table_with_its_default(heading, config):
    rows = re.findall(r"^\| `(\w+)` \| [\w ]+ \| (\S+) \|", section(heading), re.MULTILINE)

    assert [name for name, _ in rows] == [field.name for field in attrs.fields(config)]
    for (name, shown), field in zip(rows, attrs.fields(config), strict=True):
        if shown == "required":
            assert field.default is attrs.NOTHING, name
        elif shown == "none":
            default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default
            assert not default or attrs.has(type(default)), name
        else:
            assert yaml.safe_load(shown.strip("`")) == field.default, name


def test_the_script_of_the_page_runs(begin):
    [script] = re.findall(r"^```lua\n(local json.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    runtime = begin(
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.lua, source: file://f.lua, modules: [json, logger]}\n",
        f__lua=script,
    )

    assert runtime.call("app:f", {"id": 1}) == {"done": 1}


@pytest.mark.parametrize("module", [*LISTED, "print"])
def test_every_module_has_a_section(module):
    assert section(module)


@pytest.mark.parametrize("module", LISTED)
def test_everything_in_a_module_is_in_its_section(lua, module):
    names = lua(
        f"""
        local names = {{}}
        for name in pairs(require("{module}")) do names[#names + 1] = name end
        return names
        """,
        modules=module,
    )()

    lua_has = {"create", "resume", "running", "status", "wrap", "yield", "isyieldable", "close"}
    shown = section(module)
    assert [
        name
        for name in names
        if not re.search(rf"\b{name}\b", shown)
        and not (module == "coroutine" and name in lua_has)
        and not (module == "time" and name in RANGES)
    ] == []


def test_every_block_in_lua_compiles():
    blocks = re.findall(r"^```lua\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

    assert blocks
    assert [syntax_error(block, "page", "lua54") for block in blocks] == [None] * len(blocks)
