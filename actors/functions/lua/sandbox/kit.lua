-- What the Lua halves of modules are made of.

local inner = ...
local make_fault, faults = inner.fault, inner.faults
local error, getinfo = error, debug.getinfo

local kit = { tasks = inner.tasks, fault = make_fault, private = inner.private }
inner.kit = kit

-- ---- errors -----------------------------------------------------------------------------------------------

function kit.is_fault(value)
  return faults[value] ~= nil
end

function kit.fields_of(value)
  return faults[value]
end

function kit.invalid(message)
  return make_fault({ kind = "Invalid", message = message, retryable = false })
end

-- For what is a mistake or may not be: it stops who did not look.
function kit.insist(value, problem)
  if problem then
    error(problem, 0)
  end
  return value
end

-- Only what is not allowed stops who did not look; every other error is returned.
function kit.allowed(value, problem)
  local fields = faults[problem]
  if fields and fields.kind == "PermissionDenied" then
    error(problem, 0)
  end
  return value, problem
end

-- ---- places -----------------------------------------------------------------------------------------------

function kit.where(level)
  local info = getinfo(level + 1, "Sl")
  return info and info.currentline or 0
end

function kit.frames(level)
  local found = {}
  while true do
    level = level + 1
    local info = getinfo(level, "Sln")
    if not info then
      return found
    end
    if info.what ~= "C" and info.short_src ~= "[noria]" then
      found[#found + 1] = { source = info.short_src, line = info.currentline, name = info.name or "?" }
    end
  end
end

-- For `error`: the level of whoever has called noria's own code.
local function level_of_caller()
  local level = 2
  while true do
    local info = getinfo(level, "S")
    if not info or info.short_src ~= "[noria]" then
      return level - 1 -- seen from who asks, a level less
    end
    level = level + 1
  end
end

-- ---- objects ----------------------------------------------------------------------------------------------

-- What a module keeps of an object that it has made; `objects` is a `kit.private()`.
function kit.kept(objects, object, what)
  local found = objects[object]
  if found == nil then
    error("expected a " .. what .. ": call its methods with a colon", level_of_caller())
  end
  return found
end
