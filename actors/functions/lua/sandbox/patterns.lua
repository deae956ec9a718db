-- Lua's patterns, matched in Lua. The standard library's matcher is faster, but nothing can interrupt it, and it goes back
-- as often as a pattern makes it. This one is for the patterns and texts with which that could take long: here the hook
-- counts and can end it.

local inner = ...

local error, type, tostring = error, type, tostring
local byte, char, sub, find, concat = string.byte, string.char, string.sub, string.find, table.concat
local unpack = table.unpack or unpack

local ESCAPE, DOLLAR, OPEN, CLOSE, BRACKET, CARET, DOT = byte("%$()[^.", 1, 7)
local SUFFIXES = { [byte("*")] = "most", [byte("+")] = "some", [byte("-")] = "least", [byte("?")] = "maybe" }
local MOST_CAPTURES = 32
-- The older Lua lets an empty match follow right after another one.
local ALLOWS_EMPTY_AFTER = not math.type
local IS_OPEN, IS_POSITION = -1, -2 -- in the place of a capture's length

-- ---- reading a pattern ------------------------------------------------------------------------------------

local function class_end(pattern, at)
  local first = byte(pattern, at)
  if first == ESCAPE then
    if at == #pattern then
      error("malformed pattern (ends with '%')", 0)
    end
    return at + 1
  elseif first ~= BRACKET then
    return at
  end
  at = at + 1
  if byte(pattern, at) == CARET then
    at = at + 1
  end
  repeat -- the first one belongs to the class, even if it is a bracket
    local one = byte(pattern, at)
    if not one then
      error("malformed pattern (missing ']')", 0)
    end
    at = at + (one == ESCAPE and 2 or 1)
  until sub(pattern, at, at) == "]"
  return at
end

-- The bytes that a class has, as the standard library sees it; `sets` are those of the same pattern.
local function set_of(class, sets)
  local set = sets[class]
  if set then
    return set
  end
  set = {}
  sets[class] = set
  if #class == 1 and byte(class) ~= DOT then
    set[byte(class)] = true
    return set
  end
  for code = 0, 255 do
    set[code] = find(char(code), class) ~= nil
  end
  return set
end

-- The item that begins at `at`, and where the next one does.
local function read_item(pattern, at, sets)
  local first, second = byte(pattern, at, at + 1)
  if first == OPEN and second == CLOSE then
    return { what = "position" }, at + 2
  elseif first == OPEN then
    return { what = "open" }, at + 1
  elseif first == CLOSE then
    return { what = "close" }, at + 1
  elseif first == DOLLAR and at == #pattern then
    return { what = "end" }, at + 1
  elseif first == ESCAPE and second == byte("b") then
    if at + 3 > #pattern then
      error("malformed pattern (missing arguments to '%b')", 0)
    end
    return { what = "balance", opening = byte(pattern, at + 2), closing = byte(pattern, at + 3) }, at + 4
  elseif first == ESCAPE and second == byte("f") then
    if byte(pattern, at + 2) ~= BRACKET then
      error("missing '[' after '%f' in pattern", 0)
    end
    local last = class_end(pattern, at + 2)
    return { what = "frontier", set = set_of(sub(pattern, at + 2, last), sets) }, last + 1
  elseif first == ESCAPE and second and second >= 48 and second <= 57 then
    return { what = "again", capture = second - 48 }, at + 2
  end
  local last = class_end(pattern, at)
  local suffix = SUFFIXES[byte(pattern, last + 1)]
  return { what = suffix or "one", set = set_of(sub(pattern, at, last), sets) }, last + (suffix and 2 or 1)
end

local function read(pattern, at)
  local items, sets, item = {}, {}, nil
  while at <= #pattern do
    item, at = read_item(pattern, at, sets)
    items[#items + 1] = item
  end
  return items
end

-- ---- matching ---------------------------------------------------------------------------------------------

local match -- where a match of the items from `step` on that begins at `at` ends, or nil
local matchers = {}

function matchers.maybe(state, item, at, step)
  return item.set[byte(state.text, at)] and match(state, at + 1, step + 1) or match(state, at, step + 1)
end

local function match_most(state, item, at, step, least)
  local set, text, last = item.set, state.text, at
  while set[byte(text, last)] do
    last = last + 1
  end
  for try = last, at + least, -1 do
    local found = match(state, try, step + 1)
    if found then
      return found
    end
  end
  return nil
end

function matchers.most(state, item, at, step)
  return match_most(state, item, at, step, 0)
end

function matchers.some(state, item, at, step)
  return match_most(state, item, at, step, 1)
end

function matchers.least(state, item, at, step)
  while true do
    local found = match(state, at, step + 1)
    if found then
      return found
    elseif not item.set[byte(state.text, at)] then
      return nil
    end
    at = at + 1
  end
end

local function open(state, at, step, length)
  local level = state.level + 1
  if level > MOST_CAPTURES then
    error("too many captures", 0)
  end
  state.level, state.starts[level], state.lengths[level] = level, at, length
  local found = match(state, at, step + 1)
  if not found then
    state.level = level - 1
  end
  return found
end

function matchers.open(state, _, at, step)
  return open(state, at, step, IS_OPEN)
end

function matchers.position(state, _, at, step)
  return open(state, at, step, IS_POSITION)
end

function matchers.close(state, _, at, step)
  local level = state.level
  while level > 0 and state.lengths[level] ~= IS_OPEN do
    level = level - 1
  end
  if level == 0 then
    error("invalid pattern capture", 0)
  end
  state.lengths[level] = at - state.starts[level]
  local found = match(state, at, step + 1)
  if not found then
    state.lengths[level] = IS_OPEN
  end
  return found
end

matchers["end"] = function(state, _, at)
  return at == #state.text + 1 and at or nil
end

function matchers.balance(state, item, at, step)
  if byte(state.text, at) ~= item.opening then
    return nil
  end
  local depth = 1
  for index = at + 1, #state.text do
    local one = byte(state.text, index)
    if one == item.closing then
      depth = depth - 1
      if depth == 0 then
        return match(state, index + 1, step + 1)
      end
    elseif one == item.opening then
      depth = depth + 1
    end
  end
  return nil
end

function matchers.frontier(state, item, at, step)
  local before = at > 1 and byte(state.text, at - 1) or 0
  local after = byte(state.text, at) or 0
  return not item.set[before] and item.set[after] and match(state, at, step + 1) or nil
end

function matchers.again(state, item, at, step)
  local index = item.capture
  if index < 1 or index > state.level or state.lengths[index] == IS_OPEN then
    error("invalid capture index %" .. index, 0)
  end
  local start, length = state.starts[index], state.lengths[index]
  if length == IS_POSITION or sub(state.text, start, start + length - 1) ~= sub(state.text, at, at + length - 1) then
    return nil
  end
  return match(state, at + length, step + 1)
end

function match(state, at, step)
  local item = state.items[step]
  while item and item.what == "one" do
    if not item.set[byte(state.text, at)] then
      return nil
    end
    at, step = at + 1, step + 1
    item = state.items[step]
  end
  if not item then
    return at
  end
  return matchers[item.what](state, item, at, step)
end

local function new_state(text, pattern, may_anchor)
  local is_anchored = may_anchor and byte(pattern) == CARET
  return {
    text = text,
    is_anchored = is_anchored,
    items = read(pattern, is_anchored and 2 or 1),
    level = 0,
    starts = {},
    lengths = {},
  }
end

local function match_at(state, at)
  state.level = 0
  return match(state, at, 1)
end

-- Where the first match from `at` on begins and ends.
local function first_match(state, at)
  for start = at, state.is_anchored and at or #state.text + 1 do
    local finish = match_at(state, start)
    if finish then
      return start, finish
    end
  end
end

local function capture(state, index)
  local start, length = state.starts[index], state.lengths[index]
  if length == IS_OPEN then
    error("unfinished capture", 0)
  end
  return length == IS_POSITION and start or sub(state.text, start, start + length - 1)
end

local function captures(state)
  local found = {}
  for index = 1, state.level do
    found[index] = capture(state, index)
  end
  return unpack(found, 1, state.level)
end

local function captures_or_all(state, start, finish)
  if state.level == 0 then
    return sub(state.text, start, finish - 1)
  end
  return captures(state)
end

-- ---- the functions ----------------------------------------------------------------------------------------

local patterns = {}
inner.patterns = patterns

local function first_place(text, init)
  if init < 0 then
    init = #text + init + 1
  end
  return init < 1 and 1 or init
end

function patterns.find(text, pattern, init)
  local state = new_state(text, pattern, true)
  local start, finish = first_match(state, first_place(text, init))
  if not start then
    return nil
  end
  return start, finish - 1, captures(state)
end

function patterns.match(text, pattern, init)
  local state = new_state(text, pattern, true)
  local start, finish = first_match(state, first_place(text, init))
  if not start then
    return nil
  end
  return captures_or_all(state, start, finish)
end

function patterns.gmatch(text, pattern, init)
  local state = new_state(text, pattern, false)
  local at, last = first_place(text, init), nil
  return function()
    for start = at, #text + 1 do
      local finish = match_at(state, start)
      if finish and (ALLOWS_EMPTY_AFTER or finish ~= last) then
        at, last = finish > start and finish or finish + 1, finish
        return captures_or_all(state, start, finish)
      end
    end
    at = #text + 2
    return nil
  end
end

-- What a text in the place of a match becomes: %1 is a capture, %0 all of it, %% a percent sign.
local function filled(state, template, start, finish)
  local parts, at = {}, 1
  while true do
    local sign = find(template, "%", at, true)
    if not sign then
      parts[#parts + 1] = sub(template, at)
      return concat(parts)
    end
    parts[#parts + 1] = sub(template, at, sign - 1)
    local key = sub(template, sign + 1, sign + 1)
    local index = find(key, "^%d") and key + 0
    if key == "%" then
      parts[#parts + 1] = "%"
    elseif not index then
      error("invalid use of '%' in replacement string", 0)
    elseif index == 0 or (index == 1 and state.level == 0) then
      parts[#parts + 1] = sub(state.text, start, finish - 1)
    elseif index > state.level then
      error("invalid capture index %" .. key .. " in replacement string", 0)
    else
      parts[#parts + 1] = tostring(capture(state, index))
    end
    at = sign + 2
  end
end

local function replaced(state, replacement, start, finish)
  local value
  if type(replacement) == "function" then
    value = replacement(captures_or_all(state, start, finish))
  elseif type(replacement) == "table" then
    value = replacement[(captures_or_all(state, start, finish))]
  else
    return filled(state, replacement, start, finish)
  end
  if not value then
    return sub(state.text, start, finish - 1)
  elseif type(value) ~= "string" and type(value) ~= "number" then
    error("invalid replacement value (a " .. type(value) .. ")", 0)
  end
  return tostring(value)
end

function patterns.gsub(text, pattern, replacement, most)
  local state = new_state(text, pattern, true)
  local parts, count, at, last = {}, 0, 1, nil
  while count < most do
    local finish = match_at(state, at)
    if finish and (ALLOWS_EMPTY_AFTER or finish ~= last) then
      count, last = count + 1, finish
      parts[#parts + 1] = replaced(state, replacement, at, finish)
    end
    if finish and finish > at then
      at = finish
    elseif at <= #text then
      parts[#parts + 1] = sub(text, at, at)
      at = at + 1
    else
      break
    end
    if state.is_anchored then
      break
    end
  end
  parts[#parts + 1] = sub(text, at)
  return concat(parts), count
end

-- ---- what could take long ---------------------------------------------------------------------------------

-- How often a pattern may make the matcher look at each byte of a text, as a power of its length, and by which factor
-- besides. The last item never makes it go back.
function patterns.effort_of(pattern)
  local is_anchored = byte(pattern) == CARET
  local power, factor, pending = is_anchored and 0 or 1, 1 + #pattern / 10, 0
  local items = read(pattern, is_anchored and 2 or 1)
  for index = 1, #items do
    local what = items[index].what
    if what ~= "close" and what ~= "open" and what ~= "position" then
      power, pending = power + pending, 0
      if what == "most" or what == "some" then
        pending = 1
      elseif what == "least" or what == "balance" or what == "again" then
        power = power + 1
      elseif what == "maybe" then
        factor = factor * 2
      end
    end
  end
  return { power = power, factor = factor }
end
