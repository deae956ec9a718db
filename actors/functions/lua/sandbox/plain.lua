-- Plain data on its way to Python and back; values.py has Python's half.
--
-- A value that crosses is flat: `codes` has one letter for each value, `values` what they need.
--   n nil   v a boolean, number or string   l list: its length   m map: its size, then keys and values   e error

local inner = ...
local make_fault, faults = inner.fault, inner.faults

local error, type, next, select, tostring, rawget = error, type, next, select, tostring, rawget
local setmetatable, byte, concat, huge = setmetatable, string.byte, table.concat, math.huge
local math_type = math.type or function(n)
  return type(n) == "number" and (n % 1 == 0 and "integer" or "float") or nil
end

local DEEPEST = inner.options.depth
local NIL, VALUE, LIST, MAP, FAULT = byte("nvlme", 1, 5)
-- What a table cannot say of itself: the length of a list with nils, which names were null, an empty map.
local shapes = setmetatable({}, { __mode = "k" })

local function refuse(state, what)
  local place = {}
  for depth = 1, #state.path do
    local key = state.path[depth]
    place[depth] = type(key) == "number" and "[" .. tostring(key) .. "]" or "." .. tostring(key)
  end
  error(make_fault({
    kind = "Invalid",
    message = what .. " cannot become plain data" .. (#place > 0 and " (at " .. concat(place) .. ")" or ""),
    retryable = false,
  }), 0)
end

local function classify(state, value, shape)
  local count, highest, named = 0, 0, 0
  for key in next, value do
    local kind = type(key)
    if kind == "string" then
      named = named + 1
    elseif kind == "number" and math_type(key) == "integer" then
      count = count + 1
      if key < 1 then
        highest = huge
      elseif key > highest then
        highest = key
      end
    else
      refuse(state, "a table with a key of type " .. kind)
    end
  end
  if shape and shape.is_map then
    return MAP, count + named
  elseif named > 0 and count > 0 then
    refuse(state, "a table with both list items and named fields")
  elseif named > 0 or (shape and shape.nulls) then
    return MAP, named
  elseif shape and shape.length and highest ~= huge then
    return LIST, highest > shape.length and highest or shape.length
  elseif highest ~= count then
    refuse(state, "a sparse list")
  end
  return LIST, count
end

local flatten

local function put(state, code, value)
  local size = state.size + 1
  state.size = size
  state.codes[size] = code
  if value ~= nil then
    state.count = state.count + 1
    state.values[state.count] = value
  end
end

local function flatten_table(state, value, depth)
  if state.open[value] then
    refuse(state, "a table that contains itself")
  elseif depth > DEEPEST then
    refuse(state, "a table nested more than " .. DEEPEST .. " levels deep")
  end
  state.open[value] = true
  local shape = shapes[value]
  local code, size = classify(state, value, shape)
  if code == LIST then
    put(state, "l", size)
    for index = 1, size do
      state.path[depth] = index
      flatten(state, rawget(value, index), depth + 1)
    end
  else
    local nulls = {}
    for _, key in next, shape and shape.nulls or {} do
      if rawget(value, key) == nil then
        nulls[#nulls + 1] = key
      end
    end
    put(state, "m", size + #nulls)
    for key, item in next, value do
      state.path[depth] = key
      put(state, "v", key)
      flatten(state, item, depth + 1)
    end
    for _, key in next, nulls do
      put(state, "v", key)
      put(state, "n")
    end
  end
  state.path[depth] = nil
  state.open[value] = nil
end

function flatten(state, value, depth)
  local kind = type(value)
  if kind == "nil" then
    put(state, "n")
  elseif kind == "boolean" or kind == "number" or kind == "string" then
    put(state, "v", value)
  elseif kind ~= "table" then
    refuse(state, "a " .. kind)
  elseif faults[value] then
    put(state, "e")
    flatten_table(state, faults[value], depth)
  else
    flatten_table(state, value, depth)
  end
end

-- Codes and values; scalars alone go as they are, with nil for codes.
local function flat(count, ...)
  local is_plain = true
  for index = 1, count do
    local kind = type((select(index, ...)))
    is_plain = is_plain and (kind == "nil" or kind == "boolean" or kind == "number" or kind == "string")
  end
  if is_plain then
    return nil, ...
  end
  local state = { codes = {}, values = {}, open = {}, path = {}, size = 0, count = 0 }
  for index = 1, count do
    flatten(state, (select(index, ...)), 1)
  end
  return concat(state.codes), state.values
end

local function build_node(state)
  local at = state.at + 1
  state.at = at
  local code = byte(state.codes, at)
  if code == NIL then
    return nil
  end
  if code == FAULT then
    return make_fault(build_node(state))
  end
  local index = state.index + 1
  state.index = index
  local value = state.values[index]
  if code == VALUE then
    return value
  end
  local made, shape = {}, nil
  if code == LIST then
    for position = 1, value do
      local item = build_node(state)
      made[position] = item
      if item == nil then
        shape = { length = value }
      end
    end
    if value == 0 then
      shape = { length = 0 }
    end
  else
    shape = value == 0 and { is_map = true } or nil
    for _ = 1, value do
      local key = build_node(state)
      local item = build_node(state)
      if item == nil or type(key) == "number" then
        shape = shape or { nulls = {} }
        shape.is_map = true
      end
      if item == nil then
        shape.nulls = shape.nulls or {}
        shape.nulls[#shape.nulls + 1] = key
      else
        made[key] = item
      end
    end
  end
  shapes[made] = shape
  return made
end

local function rebuild(state, count)
  if count == 0 then
    return
  end
  local value = build_node(state)
  return value, rebuild(state, count - 1)
end

-- The reverse of `flat`: `count` values.
local function built(codes, count, ...)
  if not codes then
    return ...
  end
  return rebuild({ codes = codes, values = (...), at = 0, index = 0 }, count)
end

inner.flat, inner.built = flat, built
