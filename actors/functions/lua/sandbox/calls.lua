-- Running a script, and telling how it ended.

local inner = ...
local limits, tasks, faults, doors = inner.limits, inner.tasks, inner.faults, inner.doors
local flat, built = inner.flat, inner.built

local error, type, tostring, getmetatable = error, type, tostring, getmetatable
local raw_pcall, raw_xpcall, getinfo, string = pcall, xpcall, debug.getinfo, string

local exports
local script -- its name
local home -- the function that was called; the name of the script while its body runs

-- A plain table as what it holds: its address would be another one each time, and say nothing.
local function is_plain_table(problem)
  return type(problem) == "table" and getmetatable(problem) == nil and raw_pcall(flat, 1, problem)
end

local function described(problem)
  if type(problem) ~= "string" and not faults[problem] and not is_plain_table(problem) then
    local ok, text = raw_pcall(tostring, problem)
    problem = "(error object is a " .. type(problem) .. " value)" .. (ok and ": " .. text or "")
  end
  local is_flat, codes, value = raw_pcall(flat, 1, problem)
  if not is_flat then
    return flat(1, "an error whose details cannot become plain data: " .. tostring(problem))
  end
  return codes, value
end

local function run(f, ...)
  limits.begin()
  return raw_xpcall(f, limits.note, ...)
end

-- Describing an error may run a script's code (__tostring): within limits of its own.
local function told(problem, traceback)
  limits.begin()
  local ok, codes, value = raw_pcall(described, problem)
  limits.stop()
  if not ok then
    codes, value = nil, "an error that cannot be described"
  end
  return "raised", codes, value, traceback
end

-- For an end that nobody has seen, or after the last call of a function: what ran, as a traceback says it.
local function home_line()
  if type(home) == "string" then
    return "\t" .. home .. ": in main chunk"
  end
  local info = getinfo(home, "S")
  return "\t" .. info.short_src .. ": in function <" .. info.short_src .. ":" .. info.linedefined .. ">"
end

local function failure(problem)
  local reason, left, traceback = limits.verdict(problem)
  if reason then
    return "dead", nil, reason, traceback or home_line()
  end
  return told(left, traceback)
end

local function is_failure(first, second)
  return type(second) == "string" or faults[second] ~= nil or (first == nil and second)
end

local function finished(ok, ending, codes, value)
  limits.stop()
  tasks.forget()
  if limits.is_over() or not ok then
    return failure(ending)
  elseif ending == "returned" then
    return told(value)
  end
  return ending, codes, value
end

local function find_method(name)
  local found = exports
  if type(exports) == "table" then
    found = exports[name]
  end
  if type(found) ~= "function" then
    local returned = type(exports) == "table" and "a table without it" or type(exports)
    error("method not found: " .. name .. "; " .. script .. " returns " .. returned, 0)
  end
  home = found
  return found
end

function doors.start(text, name)
  script = string.sub(name, 2)
  home = script
  local chunk, problem = inner.compile(text, name)
  if not chunk then
    return failure(problem)
  end
  return finished(run(function()
    exports = chunk()
    return "done"
  end))
end

function doors.call(wants_value, method, codes, count, ...)
  return finished(run(function(...)
    local first, second = find_method(method)(...) -- in no variable: a traceback would name it
    if is_failure(first, second) then
      return "returned", nil, second
    elseif not wants_value then
      return first == false and "false" or "done"
    end
    return "done", flat(1, first)
  end, built(codes, count, ...)))
end
