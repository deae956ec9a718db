"""The loops of the standard library: none goes on for years, and what noria puts in their place does the same."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.actors.functions.lua.faults import LuaLimit
from noria.actors.handle import HandlerContext
from noria.security.context import enter, leave

ENGINES = ("lua54", "luajit")
LIMITS = "limits: {instructions: 3000000}"
LYING = "{ __len = function() return 2^53 end, __index = rawlen or rawget, __newindex = rawget }"

ENDLESS = {
    "a pattern with many stars": "return (('a'):rep(30000)):find(('a*'):rep(10) .. 'b')",
    "a pattern with few": "return (('a'):rep(3000000)):match('a-b')",
    "a pattern that is a number's place": "return (('a'):rep(30000)):find(('a*'):rep(10) .. 'b', '1')",
    "a pattern with many maybes": "return (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')",
    "brackets without an end": "return (('('):rep(3000000)):find('%b()')",
    "every match": "for _ in (('a'):rep(3000000)):gmatch('a-b') do end",
    "every replacement": "return (('a'):rep(3000000)):gsub('a+b', '')",
    "one dot for each byte": "return (('a'):rep(200000)):match(('.'):rep(100000) .. 'b')",
    "a long text in a long text": "return (('a'):rep(4e6)):find(('a'):rep(2e6) .. 'b', 1, true)",
    "a long text as a pattern": "return (('a'):rep(4e6)):find(('a'):rep(2e6) .. 'b')",
}
# What takes a moment each time: before it was counted, there were thousands of moments between two looks at the count.
SLOW = {
    "joining": ("local t = {} for i = 1, 3e5 do t[i] = '' end", "table.concat(t)"),
    "sorting": ("local t = {} for i = 1, 3e5 do t[i] = 0 end", "table.sort(t)"),
    "sorting by what C compares": (
        "local t = {} for i = 1, 3e5 do t[i] = 0 end",
        "pcall(table.sort, t, rawequal)",
    ),
    "inserting in front": (
        "local t = {} for i = 1, 3e5 do t[i] = 0 end",
        "table.insert(t, 1, 0) t[#t] = nil",
    ),
    "inserting at a text": (
        "local t = {} for i = 1, 3e5 do t[i] = 0 end",
        "table.insert(t, '1', 0) t[#t] = nil",
    ),
    "removing in front": ("local t = {} for i = 1, 3e5 do t[i] = 0 end", "table.remove(t, 1) t[#t + 1] = 0"),
    "repeating": ("", "local _ = ('ab'):rep(1e6)"),
    "capital letters": ("local s = ('a'):rep(1e6)", "local _ = s:upper()"),
    "backwards": ("local s = ('a'):rep(1e6)", "local _ = s:reverse()"),
    "quoting": ("local s = ('\\0'):rep(1e6)", "local _ = ('%q'):format(s)"),
    "a long format of a date": ("local s = ('%c'):rep(1e4)", "os.date(s)"),
    "collecting": ("local t = {} for i = 1, 1e5 do t[i] = {} end", "collectgarbage()"),
}
SLOW_IN_54 = {
    "moving": (
        "local t = setmetatable({}, { __index = type, __newindex = type })",
        "table.move(t, 1, 1e6, 1)",
    ),
    "packing": ("local s = ('i1'):rep(1e5)", "string.packsize(s)"),
    "unpacking": ("local s = ('x'):rep(1e5)", "pcall(string.unpack, s, s)"),
}
# What may go through a whole text, or hardly any of it.
PERHAPS_SLOW = {
    "finding": ("local s = ('a'):rep(1e7)", "s:find('[b-z]')"),
    "finding a text": ("local s = ('a'):rep(1e7)", "s:find('ab', 1, true)"),
    "replacing": ("local s = ('a'):rep(1e6)", "s:gsub('a', 'b')"),
    "counting letters": ("local s = ('a'):rep(1e7)", "utf8.len(s)"),
    "a wide field": ("", "string.pack('!16 c9999999', '')"),
}
LIARS = {
    "insert": f"table.insert(setmetatable({{}}, {LYING}), 1, 1)",
    "remove": f"table.remove(setmetatable({{}}, {LYING}), 1)",
    "sort": f"table.sort(setmetatable({{}}, {LYING}))",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_a_search_that_would_take_years_is_ended(lua, body, engine):
    with pytest.raises(LuaLimit) as caught:
        lua(body, f"engine: {engine}\n{LIMITS}")()

    assert caught.value.limit == "instructions"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("before", "again"), SLOW.values(), ids=SLOW)
def test_what_takes_a_moment_is_counted_by_what_there_is_to_do(lua, before, again, engine):
    with pytest.raises(LuaLimit) as caught:
        lua(f"{before}\nfor _ = 1, 3000 do {again} end", f"engine: {engine}\n{LIMITS}")()

    assert caught.value.limit == "instructions"


@pytest.mark.parametrize(("before", "again"), SLOW_IN_54.values(), ids=SLOW_IN_54)
def test_what_takes_a_moment_only_in_lua_54_is_counted_too(lua, before, again):
    with pytest.raises(LuaLimit) as caught:
        lua(f"{before}\nfor _ = 1, 3000 do {again} end", LIMITS)()

    assert caught.value.limit == "instructions"


@pytest.mark.parametrize(("before", "again"), PERHAPS_SLOW.values(), ids=PERHAPS_SLOW)
def test_what_may_take_a_moment_does_not_hold_up_the_end_of_a_call(lua, before, again):
    """So few instructions are never looked at."""
    run = lua(f"{before}\nfor _ = 1, 1500 do {again} end")
    context = HandlerContext()
    context.delivery = context.binding = None
    context.cancel()
    token = enter(context)
    try:
        with pytest.raises(LuaLimit) as caught:
            run()
    finally:
        leave(token)

    assert caught.value.limit == "cancelled"


@pytest.mark.parametrize(
    ("wrong", "told"),
    {
        "string.format('%d', 'x')": "bad argument #2 to 'format' (number expected, got string)",
        "('%d'):format({})": "bad argument #2 to 'format' (number expected, got table)",
        "string.upper()": "bad argument #1 to 'upper' (string expected, got no value)",
        "os.date(5, {})": "bad argument #2 to 'date' (number expected, got table)",
        "string.pack('i4', 'x')": "bad argument #2 to 'pack' (number expected, got string)",
        "string.pack('?')": "invalid format option '?'",
        "utf8.len(5, 99)": "bad argument #2 to 'len' (initial position out of bounds)",
        "string.format('%s', setmetatable({}, { __tostring = function() error('x') end }))": "x",
    }.items(),
)
def test_what_is_wrong_is_told_as_the_standard_library_tells_it(lua, wrong, told):
    run = lua(f"return select(2, pcall(function()\n  local _ = {wrong}\nend))")

    assert run() == f"f.lua:3: {told}"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_number_of_elements_may_be_a_text_and_is_refused_all_the_same(lua, engine):
    """Lua takes it for a number: it would have gone on for ever."""
    run = lua(
        """
        local empty = setmetatable({}, { __index = type, __newindex = type })
        local _, moved = pcall(table.move, empty, "1", "100000000000000", 1)
        local _, joined = pcall(table.concat, empty, "", "1", "100000000000000")
        return { moved, joined }
    """,
        f"engine: {engine}",
    )

    assert run() == ["too many elements to move", "too many elements to join"]


@pytest.mark.parametrize("body", LIARS.values(), ids=LIARS)
def test_a_table_that_lies_about_its_length_ends_its_own_call_only(lua, body):
    with pytest.raises(LuaLimit):
        lua(body, LIMITS)()


def test_joining_more_elements_than_there_can_be_is_refused(lua):
    run = lua("""
        local endless = setmetatable({}, { __index = table.concat, __len = function() return 1 << 60 end })
        local _, problem = pcall(table.concat, endless, "", 1, 1 << 60)
        local _, other = pcall(table.concat, endless)
        return { problem, other }
    """)

    assert run() == ["too many elements to join"] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_substitutions_within_substitutions_do_not_end_the_process(lua, engine):
    """LuaJIT's own would use up the stack of the thread."""
    run = lua(
        """
        local function replace(text) return (text:gsub(".", replace)) end
        local through = setmetatable({}, {})
        getmetatable(through).__index = function(_, key) return (key:gsub(".", through)) end
        return { (pcall(replace, "x")), (pcall(string.gsub, "x", ".", through)) }
        """,
        f"engine: {engine}",
    )

    assert run() == [False, False]


def test_a_table_that_tells_its_length_is_worked_on_like_any_other(lua):
    run = lua("""
        local inner = { "c", "a", "b" }
        local list = setmetatable({}, {
          __len = function() return #inner end,
          __index = inner,
          __newindex = function(_, key, value) inner[key] = value end,
        })
        table.insert(list, "e")
        table.insert(list, 1, "d")
        table.sort(list)
        local removed, last = table.remove(list, 2), table.remove(list)
        return { table.concat(list, ","), removed, last, table.concat(inner, "") }
    """)

    assert run() == ["a,c,d", "b", "e", "acd"]


# ---- noria's matcher against Lua's -------------------------------------------------------------------------

CLASSES = [
    *("a", "b", ".", "%a", "%d", "%.", "[ab]", "[^a]", "[a-c%d]", "[]]", "[^]a]", "%W", "[%a_-]", "-", "é"),
]
CLASS = st.sampled_from(CLASSES)
SINGLE = st.builds(str.__add__, CLASS, st.sampled_from(["", "", "*", "+", "-", "?"]))
PIECE = st.one_of(SINGLE, SINGLE, st.sampled_from(["%b()", "%f[%a]", "()", "%1", "$", "^", "("]))
INSIDE = st.lists(PIECE, max_size=3).map("".join)
PATTERN = st.builds("".join, st.lists(st.one_of(PIECE, INSIDE.map("({})".format)), max_size=5)).flatmap(
    lambda text: st.sampled_from([text, "^" + text, text + "$"])
)
TEXT = st.text("ab1.()[]-_ é", max_size=12)


@pytest.fixture(scope="module")
def matchers():
    """For each engine, a function that gives what Lua's own functions and noria's make of a text and a pattern."""
    from noria.actors.functions.lua.engines import ENGINES as KINDS
    from noria.actors.functions.lua.engines import new_runtime
    from noria.actors.functions.lua.sandbox import text_of

    return {
        name: new_runtime(KINDS[name]).execute(
            """
            local inner = {}
            load(..., "=[noria]", "t")(inner)
            local function all(of)
              return function(...)
                local found = {}
                for one, two in of(...) do
                  found[#found + 1] = tostring(one) .. "/" .. tostring(two)
                end
                return table.concat(found, " ")
              end
            end
            local function shown(ok, ...)
              if not ok then return "error" end
              local values = {}
              for index = 1, select("#", ...) do values[index] = tostring((select(index, ...))) end
              return table.concat(values, "|")
            end
            return function(name, ...)
              local theirs, ours = string[name], inner.patterns[name]
              if name == "gmatch" then theirs, ours = all(theirs), all(ours) end
              return shown(pcall(theirs, ...)), shown(pcall(ours, ...))
            end
            """,
            text_of("patterns"),
        )
        for name in ENGINES
    }


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=TEXT, pattern=PATTERN, init=st.integers(-4, 4))
def test_noria_finds_what_lua_finds(matchers, engine, text, pattern, init):
    compare = matchers[engine]
    subject, wanted = text.encode(), pattern.encode()

    calls = [
        ("find", subject, wanted, min(init, len(subject) + 1)),
        ("match", subject, wanted, min(init, len(subject) + 1)),
        ("gmatch", subject, wanted, 1),
        ("gsub", subject, wanted, b"<%0%1>", 1000),
        ("gsub", subject, wanted, b"%%x", max(init, 0)),
    ]
    for call in calls:
        theirs, ours = compare(call[0].encode(), *call[1:])
        assert ours == theirs, call
