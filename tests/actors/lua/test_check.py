"""What `noria check` says of Lua before anything runs: no false alarm, and the place of what is wrong."""

import sys

import pytest

from noria.actors import Runtime
from noria.actors.functions.lua.check import undefined_names
from noria.actors.functions.lua.names import names_in
from noria.registry import ConfigurationError

FUNCTION = "namespace: app\nentries:\n  - {name: f, kind: function.lua, source: file://f.lua%s}\n"


def complaints(application_of, more="", text="return function() end", definition=FUNCTION):
    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application_of(definition % (f", {more}" if more else ""), f__lua=text))
    return [
        problem.split(": app:f: ")[1] for problem in str(caught.value).splitlines() if ": app:f: " in problem
    ]


WRONG = {
    ("", "return function()\n  local = 1\nend"): "source: f.lua:2: <name> expected near '='",
    ("modules: [jsn]", "return function() end"): "modules[0]: there is no module jsn, did you mean json?",
    ("modules: ['app:json']", "return function() end"): (
        "modules[0]: a module cannot have a namespace; libraries belong in imports"
    ),
    ("modules: ['']", "return function() end"): "modules[0]: a module has a name",
    ("", "local j = require('json') return print"): "source: f.lua:1: require of json: list it under modules",
    ("", "local j = require 'mine' return print"): (
        "source: f.lua:1: require of mine: it is neither in modules nor in imports"
    ),
    ("", "local j = require 'jsn' return print"): (
        "source: f.lua:1: require of jsn: it is neither in modules nor in imports, did you mean json?"
    ),
    ("", "retrun function() end"): "source: f.lua:1: syntax error near 'function'",
    ("method: go", "return { run = print }"): "method: the table that f.lua returns has no go",
    (
        "method: go",
        "local M = {}\nfunction M.run() end\nreturn M",
    ): "method: the table that f.lua returns has no go",
    ("", "local function handler() end"): (
        "method: f.lua returns nothing; it has to end with `return handler`, or return a table with it"
    ),
    ("pool: {type: fast}", "return print"): "pool.type: expected one of lazy, static, adaptive, inline",
    ("pool: {workers: 2}", "return print"): "pool.workers: workers needs a size above 0",
    (
        "pool: {type: inline, size: -1}",
        "return print",
    ): "pool.size: expected an integer of at least 0, found -1",
    ("limits: {memory: -1}", "return print"): "limits.memory: expected an integer of at least 0, found -1",
    ("engine: lua51", "return print"): "engine: expected one of lua54, luajit",
}


@pytest.mark.parametrize(("more", "text"), WRONG)
def test_what_is_wrong_is_told_with_its_place(application_of, more, text):
    assert complaints(application_of, more, text) == [WRONG[more, text]]


def test_imports_are_references(application_of):
    [told] = complaints(application_of, "imports: {help: helper}")

    assert told.startswith('imports.help: there is no entry "app:helper"')


def test_a_library_that_needs_itself_is_a_cycle(application_of):
    definition = (
        "namespace: app\nentries:\n"
        "  - {name: a, kind: library.lua, source: 'return 1', imports: {b: b}}\n"
        "  - {name: b, kind: library.lua, source: 'return 1', imports: {a: a}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"app:a.*app:b"):
        Runtime.load(application_of(definition))


@pytest.mark.parametrize(
    "pool", ["{size: 4}", "{type: static, workers: 2, size: 2}", "{type: lazy, max_size: 3}"]
)
def test_the_pools_of_wippys_files_are_accepted(application_of, pool):
    assert Runtime.load(application_of(FUNCTION % f", pool: {pool}", f__lua="return print"))


def test_without_lupa_the_definition_says_what_to_install(application_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "lupa.lua54", None)

    assert complaints(application_of) == ["engine: Lua functions need lupa: pip install 'noria[lua]'"]


DEFINED = """
local a, b <const>, c <close> = 1, 2, nil
local function f(x, ...) return x, ..., f end
function g(y) return y end
h, i = 1, 2
local t = { j = 1, ["k"] = 2, [a] = 3, 4, f = function(m, n) m, n = n, m return m end; o = a }
t.p, t.q.r = 1, 2
function t.s.u(v) return v end
function t:w(z) return self, z end
for index = 1, 10 do print(index) end
for key, value in pairs(t) do print(key, value) end
repeat local inside = 1 until inside == 1
while a do break end
if a then local y1 = 1 print(y1) elseif b then local y2 = 2 print(y2) else local y3 print(y3) end
goto done
::done::
do local aa = [[ not_a_name ]] print(aa, "neither", 'nor', 0x1F, 1e5, 3 .. "") end
-- not_this either
--[==[ nor
this ]==]
print(h, i, g(a), #t, t.any.thing, t:w(1), ("x"):rep(3), t["y"], f { b } , f "text")
print(string.format("%d", math.floor(1.5)), utf8.char(65), os.time(), errors.new("x"), coroutine.create(f))
local deep = function(one) return function(two) return one + two end end
print(deep, not a, a // 2, a >> 1, a ~= b, a and b or c, -a)
return { handler = f }
"""


def test_no_name_of_a_valid_program_is_an_alarm(application_of):
    runtime = Runtime.load(
        application_of(FUNCTION % "", f__lua=DEFINED.replace("<close> = 1, 2, nil", "= 1, 2, nil"))
    )

    assert list(undefined_names(runtime.registry)) == []


def test_names_that_nobody_defines_are_found_once_with_their_line(application_of):
    text = """\
    local function f(x)
      local y = x + zz
      return lgger.info(y), zz
    end
    unknown.field = 1
    return f
    """
    runtime = Runtime.load(application_of(FUNCTION % "", f__lua=text))

    assert [told for _, told in undefined_names(runtime.registry)] == [
        "f.lua:2: zz is neither defined nor built in",
        "f.lua:3: lgger is neither defined nor built in",
        "f.lua:5: unknown is neither defined nor built in",
    ]


def test_a_text_that_works_on_its_globals_as_a_table_is_left_alone():
    assert list(names_in("_G.x = 1\nreturn x").undefined(())) == []


MODULES = "modules: [json, time, queue]"
MISSPELLED = {
    'local json = require("json")\nreturn function(x) return json.encde(x) end': (
        "f.lua:2: json has no encde, did you mean encode?"
    ),
    'local j = require "json"\nreturn function(x) return pcall(j.decoed, x) end': (
        "f.lua:2: json has no decoed, did you mean decode?"
    ),
    'local time, json = require("time"), require("json")\nreturn { handler = json.encode, n = 2 * time.SECNOD }': (
        "f.lua:2: time has no SECNOD, did you mean SECOND?"
    ),
    'return function(x)\n  return require("json").encde(x)\nend': (
        "f.lua:2: json has no encde, did you mean encode?"
    ),
    'return function(x) return string.fromat("%d", x) end': "f.lua:1: string has no fromat, did you mean format?",
    "local s = string\nreturn function(x) return s.fromat(x) end": (
        "f.lua:2: string has no fromat, did you mean format?"
    ),
    "local list = {}\ntable.isnert(list, math.floor(1.5))\nreturn print": (
        "f.lua:2: table has no isnert, did you mean insert?"
    ),
    "return function(x)\n  return math.flor(x), errors.NOT_FUND == x, os.execute\nend": (
        "f.lua:2: errors has no NOT_FUND, did you mean NOT_FOUND?",
        "f.lua:2: math has no flor, did you mean floor?",
        "f.lua:2: os has no execute",
    ),
    'local queue = require("queue")\nreturn function()\n  return queue:mesage(), queue.mesage()\nend': (
        "f.lua:3: queue has no mesage, did you mean message?"
    ),
}


@pytest.mark.parametrize("text", MISSPELLED)
def test_a_member_that_a_module_does_not_have_is_told_with_the_nearest(application_of, text):
    runtime = Runtime.load(application_of(FUNCTION % f", {MODULES}", f__lua=text))
    expected = MISSPELLED[text]

    assert [told for _, told in undefined_names(runtime.registry)] == (
        [expected] if isinstance(expected, str) else list(expected)
    )


NO_ALARM = [
    'local json = require("json")\njson = { encde = print }\nreturn json.encde',
    'local json = require("json")\nlocal function f(json) return json.encde end\nreturn f',
    'local json = require("json")\nfor _, json in pairs({}) do json.encde() end\nreturn print',
    'local json = require("json")\ndo local json = {} json.encde = print json.encde() end\nreturn print',
    'local json = require("json")\nlocal function json() end\nreturn json.encde',
    'local json = require("json")\nlocal function f() json = nil end\nfunction json() end\nreturn json.encde',
    'local json = require("json")\nfunction json.encde() end\nreturn json.encde',
    'local json = require("json")\njson.encde, json.more = print, print\nreturn json.encde and json.more()',
    'local json = require("json")\nsetmetatable(json, { __index = string })\nreturn json.encde',
    'local json = require("json")\nfor name, each in pairs({}) do json[name] = each end\nreturn json.encde',
    'local json = require("json")\nlocal unpack = table.unpacked or json.unpack or print\nreturn unpack',
    "if string.trim == nil then function string.trim(x) return x end end\nreturn string.trim",
    "local s = string\nfunction s.trim(x) return x end\nreturn string.trim",
    'if type(string.trim) == "function" then string.trim() end\nreturn not math.cut and math.cut(1)',
    "string = { fromat = print }\nreturn string.fromat",
    "local require = function() return { encde = print } end\nreturn require('json').encde",
    'function require() return {} end\nlocal json = require("json")\nreturn json.encde',
    "local t = { string = 1, json = { encde = print } }\nreturn t.json.encde or t.string.fromat",
    'local it = "string.fromat" -- math.flor\nreturn function() return it:fromat() end',
    'local json = other or require("json")\nother = json\nreturn json.encde',
    "local f = _G.string.fromat\nreturn math.flor",
]


@pytest.mark.parametrize("text", NO_ALARM)
def test_a_member_that_may_be_there_is_no_alarm(application_of, text):
    runtime = Runtime.load(application_of(FUNCTION % f", {MODULES}", f__lua=text))

    assert list(undefined_names(runtime.registry)) == []


def test_what_a_library_adds_to_a_table_is_there(application_of):
    definition = (
        "namespace: app\nentries:\n"
        "  - {name: f, kind: function.lua, source: file://f.lua, imports: {more: more, json: more}}\n"
        "  - {name: more, kind: library.lua, source: file://more.lua, modules: [json]}\n"
    )
    runtime = Runtime.load(
        application_of(
            definition,
            f__lua='local json = require("json")\nreturn function() string.trim() json.encde() math.flor() end',
            more__lua="function string.trim() end\nfunction utf8.tirm() end\nreturn bit.band or os.tiem()",
        )
    )

    assert [(str(entry.id), told) for entry, told in undefined_names(runtime.registry)] == [
        ("app:f", "f.lua:2: math has no flor, did you mean floor?"),
        ("app:more", "more.lua:3: os has no tiem, did you mean time?"),
    ]


@pytest.mark.parametrize(
    ("engine", "told"), [("lua54", []), ("luajit", ["f.lua:1: bit has no bnd, did you mean band?"])]
)
def test_members_are_those_of_the_engine(application_of, engine, told):
    text = "return function() return bit.bnd(1) end"
    runtime = Runtime.load(application_of(FUNCTION % f", engine: {engine}", f__lua=text))

    assert [found for _, found in undefined_names(runtime.registry)] == told
