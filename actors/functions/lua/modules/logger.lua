local host, kit = ...
local type, next, error, tostring, where = type, next, error, tostring, kit.where
local is_fault = kit.is_fault

-- Tables that are no plain data must not make a handler fail because it logs.
local function loggable(value, depth)
  local kind = type(value)
  if kind == "nil" or kind == "boolean" or kind == "number" or kind == "string" then
    return value
  elseif kind ~= "table" or is_fault(value) or depth > 8 then
    return tostring(value)
  end
  local copy, is_list = {}, #value > 0
  for key, item in next, value do
    if is_list and (type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value) then
      is_list = false
    end
  end
  for key, item in next, value do
    copy[is_list and key or tostring(key)] = loggable(item, depth + 1)
  end
  return copy
end

local function merged(known, given)
  local fields = {}
  for key, value in next, known do
    fields[key] = value
  end
  if type(given) == "table" and not is_fault(given) then
    for key, value in next, given do
      if type(key) == "string" then
        fields[key] = loggable(value, 1)
      end
    end
  elseif is_fault(given) then
    fields.error = tostring(given)
  end
  return fields
end

local make

local function level(self_of, name)
  return function(first, second, third)
    local self = self_of()
    local text, given = first, second
    if first == self.module then -- logger:info(...)
      text, given = second, third
    end
    host.log(name, tostring(text), merged(self.fields, given), where(2), self.name)
  end
end

function make(name, fields)
  local self = { name = name, fields = fields, module = {} }
  local function self_of()
    return self
  end
  for _, each in next, { "debug", "info", "warn", "error" } do
    self.module[each] = level(self_of, each)
  end
  self.module["with"] = function(first, second)
    return make(name, merged(fields, first == self.module and second or first))
  end
  self.module.named = function(first, second)
    local given = first
    if first == self.module then
      given = second
    end
    if type(given) ~= "string" or given == "" then
      error("name cannot be empty", 2)
    end
    return make(name == "" and given or name .. "." .. given, fields)
  end
  return self.module
end

return make("", {})
