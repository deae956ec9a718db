-- The loops of the standard library that are C code, which no hook interrupts. What could go on there for years is done in
-- Lua instead, where it is counted, or refused. What takes a moment there could be done thousands of times between two
-- hooks, so it counts as instructions before it is done.

local inner = ...
local charge, work, refuse_length = inner.limits.charge, inner.limits.work, inner.limits.refuse_length
local patterns = inner.patterns
local raw_pcall, pcall = pcall, inner.catching.pcall

local error, type, tostring, tonumber, select = error, type, tostring, tonumber, select
local rawget, getmetatable, huge, jit = rawget, getmetatable, math.huge, jit
local string, table, utf8, ipairs = string, table, utf8, ipairs
local sub, raw_find, raw_rep, raw_gsub = string.sub, string.find, string.rep, string.gsub
local is_over, OUT_OF_MEMORY = inner.limits.is_over, inner.limits.OUT_OF_MEMORY

local MOST_ELEMENTS = 10000000 -- more than fit into any state
local MANY = 1000 -- elements, or letters of a format, that take longer than counting them
local LONG_TEXT = 4096 -- bytes, likewise
local QUOTED = 8 -- bytes that are quoted in the time of an instruction
local COMPARED = 64 -- bytes that are gone through in the time of an instruction

local function text_of(value, index, name)
  if type(value) == "string" then
    return value
  elseif type(value) ~= "number" then
    local found = value == nil and "no value" or type(value)
    error("bad argument #" .. index .. " to '" .. name .. "' (string expected, got " .. found .. ")", 3)
  end
  return tostring(value)
end

-- Of a function of C that was called here, in the script's name: an error at the script's line.
local function answered(name, ok, ...)
  if ok then
    return ...
  end
  local problem = ...
  if type(problem) ~= "string" or is_over() or problem == OUT_OF_MEMORY or raw_find(problem, "^[^\n:]+:%d+: ") then
    error(problem, 0)
  end
  error((raw_gsub(problem, "^(bad argument #%d+ to )'[^']*'", "%1'" .. name .. "'")), 2)
end

-- Work that grows with a text.
local function work_on(text)
  if #text > LONG_TEXT then
    work(#text / COMPARED)
  end
end

function string.rep(text, count, separator)
  local length = #text_of(text, 1, "rep") + #tostring(separator or "")
  if length == 0 then
    return ""
  end
  length = (tonumber(count) or 0) * length
  refuse_length(length)
  if length > LONG_TEXT then
    work(length / COMPARED)
  end
  return raw_rep(text, count, separator)
end

for _, name in ipairs({ "lower", "upper", "reverse" }) do
  local raw = string[name]
  string[name] = function(text)
    text = text_of(text, 1, name)
    work_on(text)
    return raw(text)
  end
end

-- Only quoting looks at every byte.
local raw_format = string.format
function string.format(format, ...)
  if type(format) == "string" and raw_find(format, "q", 1, true) then
    for index = 1, select("#", ...) do
      local part = select(index, ...)
      if type(part) == "string" and #part > LONG_TEXT then
        work(#part / QUOTED)
      end
    end
  end
  return answered("format", raw_pcall(raw_format, format, ...))
end

-- Formats of many letters, and of fields of many bytes.
for _, name in ipairs({ "pack", "packsize", "unpack" }) do
  local raw = string[name]
  string[name] = raw and function(format, ...)
    if type(format) == "string" and (#format > MANY or raw_find(format, "%d%d%d%d")) then
      work(#format)
    end
    return answered(name, raw_pcall(raw, format, ...))
  end
end

-- They may go through all of a text, or a part of it: so only the clock is looked at.
for _, name in ipairs(utf8 and { "len", "codepoint", "offset" } or {}) do
  local raw = utf8[name]
  utf8[name] = function(text, ...)
    if type(text) == "string" and #text > LONG_TEXT then
      work(0)
    end
    return answered(name, raw_pcall(raw, text, ...))
  end
end

function inner.date(raw_date)
  return function(format, time)
    if type(format) == "string" and #format > MANY then
      work(#format)
    end
    return answered("date", raw_pcall(raw_date, format, time))
  end
end

-- ---- patterns ---------------------------------------------------------------------------------------------

local LONG = 1e9 -- steps of the standard library's matcher: a few seconds
local NOTABLE = 1e6 -- likewise: a few milliseconds
local MOST_KNOWN, LONGEST_KNOWN = 200, 200
local known, known_count = {}, 0

local function known_effort(pattern)
  local effort = known[pattern]
  if effort then
    return effort
  end
  local ok, found = pcall(patterns.effort_of, pattern)
  effort = ok and found or { power = 0, factor = 1 } -- the standard library finds the words for what is no pattern
  if #pattern <= LONGEST_KNOWN then
    if known_count == MOST_KNOWN then
      known, known_count = {}, 0
    end
    known[pattern], known_count = effort, known_count + 1
  end
  return effort
end

-- Whether the standard library could match for long. It seldom does what it could: so less only looks at the clock.
local function may_take_long(text, pattern)
  local known_of = known_effort(pattern)
  local effort = known_of.factor * (#text + 1) ^ known_of.power
  if effort > NOTABLE then
    work(0)
  end
  return effort > LONG
end

local LONG_SEARCH = 1e10 -- bytes that are compared in the worst case

-- Where a text stands in another one, in steps that are counted.
local function find_plain(text, wanted, init)
  local at = init < 0 and #text + init + 1 or init
  at = at < 1 and 1 or at
  local first = sub(wanted, 1, 1)
  while true do
    at = raw_find(text, first, at, true)
    if not at or at + #wanted - 1 > #text then
      return nil
    end
    charge(1 + #wanted / COMPARED)
    if sub(text, at, at + #wanted - 1) == wanted then
      return at, at + #wanted - 1
    end
    at = at + 1
  end
end

-- nil where the standard library has to say what is wrong with it.
local function place(init)
  if init == nil then
    return 1
  end
  init = tonumber(init)
  return init and init % 1 == 0 and init or nil
end

function string.find(text, pattern, init, plain)
  text, pattern = text_of(text, 1, "find"), text_of(pattern, 2, "find")
  local start = place(init)
  if plain or not raw_find(pattern, "[%^$*+?.(%[%%-]") then
    if start and #text * #pattern > LONG_SEARCH then
      return find_plain(text, pattern, start)
    elseif #text * #pattern > NOTABLE then
      work(0)
    end
  elseif start and may_take_long(text, pattern) then
    return patterns.find(text, pattern, start)
  end
  return raw_find(text, pattern, init, plain)
end

local raw_match = string.match
function string.match(text, pattern, init)
  text, pattern = text_of(text, 1, "match"), text_of(pattern, 2, "match")
  if may_take_long(text, pattern) and place(init) then
    return patterns.match(text, pattern, place(init))
  end
  return raw_match(text, pattern, init)
end

local raw_gmatch = string.gmatch
function string.gmatch(text, pattern, init)
  text, pattern = text_of(text, 1, "gmatch"), text_of(pattern, 2, "gmatch")
  if may_take_long(text, pattern) and place(init) then
    return patterns.gmatch(text, pattern, place(init))
  end
  return raw_gmatch(text, pattern, init)
end

-- LuaJIT does not look whether its own stack has room for one more substitution within a substitution.
local function may_nest(replacement)
  return jit and (type(replacement) == "function" or type(replacement) == "table")
end

function string.gsub(text, pattern, replacement, ...)
  text, pattern = text_of(text, 1, "gsub"), text_of(pattern, 2, "gsub")
  if not (may_nest(replacement) or may_take_long(text, pattern)) then
    return raw_gsub(text, pattern, replacement, ...)
  end
  local most = ... == nil and huge or tonumber((...))
  local kind = type(replacement)
  if not most or (kind ~= "string" and kind ~= "number" and kind ~= "table" and kind ~= "function") then
    return raw_gsub(text, pattern, replacement, ...)
  end
  return patterns.gsub(text, pattern, kind == "number" and tostring(replacement) or replacement, most)
end

-- ---- tables -----------------------------------------------------------------------------------------------

-- A table may say that it is longer than anything.
local function may_lie(list)
  local metatable = type(list) == "table" and getmetatable(list)
  return metatable and rawget(metatable, "__len") ~= nil
end

local function work_through(count)
  if count > MANY then
    work(count)
  end
end

-- A text that is written like a number is one here.
local function check_range(first, last, what)
  first, last = tonumber(first), tonumber(last)
  if not first or not last then
    return
  elseif last - first > MOST_ELEMENTS then
    error("too many elements to " .. what, 3)
  end
  work_through(last - first)
end

local raw_concat = table.concat
function table.concat(list, separator, first, last)
  if last == nil and may_lie(list) then
    last = #list
  end
  check_range(first or 1, last or (type(list) == "table" and #list), "join")
  return raw_concat(list, separator, first or 1, last)
end

local raw_insert = table.insert
function table.insert(list, ...)
  if not may_lie(list) then
    if type(list) == "table" and select("#", ...) > 1 then
      work_through(#list - (tonumber((...)) or 0))
    end
    return raw_insert(list, ...)
  end
  local length = #list
  if select("#", ...) == 1 then
    list[length + 1] = (...)
    return
  end
  local at, value = ...
  if type(at) ~= "number" or at < 1 or at > length + 1 then
    error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  for index = length, at, -1 do
    list[index + 1] = list[index]
  end
  list[at] = value
end

local raw_remove = table.remove
function table.remove(list, ...)
  if not may_lie(list) then
    if type(list) == "table" and ... then
      work_through(#list - (tonumber((...)) or 0))
    end
    return raw_remove(list, ...)
  end
  local length = #list
  local at = ... or length
  if type(at) ~= "number" or (length > 0 and (at < 1 or at > length + 1)) then
    error("bad argument #2 to 'remove' (position out of bounds)", 2)
  end
  local value = list[at]
  for index = at, length - 1 do
    list[index] = list[index + 1]
  end
  if at <= length then
    list[length] = nil
  end
  return value
end

local raw_sort = table.sort
function table.sort(list, comes_before)
  if not may_lie(list) then
    if type(list) == "table" then
      work_through(#list)
    end
    return raw_sort(list, comes_before)
  end
  local copy, length = {}, #list
  for index = 1, length do
    copy[index] = list[index]
  end
  raw_sort(copy, comes_before)
  for index = 1, length do
    list[index] = copy[index]
  end
end

local raw_move = table.move
if raw_move then
  function table.move(from, first, last, ...)
    check_range(first, last, "move")
    return raw_move(from, first, last, ...)
  end
end
