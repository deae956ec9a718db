-- What catches errors, and coroutines: the same as Lua's, but an error that ends a call goes through all of them.

local inner = ...
local limits, options = inner.limits, inner.options

local debug, coroutine = debug, coroutine
local error, type, select, tostring, rawget = error, type, select, tostring, rawget
local raw_pcall, raw_xpcall, raw_setmetatable = pcall, xpcall, setmetatable
local raw_create, raw_resume, raw_close = coroutine.create, coroutine.resume, coroutine.close
local raw_yield, sethook = coroutine.yield, debug.sethook
local insist, is_over, charge = limits.insist, limits.is_over, limits.charge
local OUT_OF_MEMORY = limits.OUT_OF_MEMORY

local COROUTINE_COST = 1000

-- What a script may see of an error. A userdata can only come from the bridge itself, and is of no use to a script.
local function visible(problem)
  insist()
  if problem == OUT_OF_MEMORY then
    limits.die_of_memory()
  end
  if type(problem) == "userdata" then
    return tostring(problem)
  end
  return problem
end

local function checked(ok, ...)
  if ok and not is_over() then
    return ok, ...
  end
  return ok, visible((...)), select(2, ...)
end

local catching = {}
inner.catching = catching

function catching.pcall(f, ...)
  return checked(raw_pcall(f, ...))
end

function catching.xpcall(f, handler, ...)
  local function handle(problem)
    -- It runs where the error happened, and after a limit's error no hook would watch it.
    if is_over() or problem == OUT_OF_MEMORY then
      return problem
    end
    return handler(type(problem) == "userdata" and tostring(problem) or problem)
  end
  return checked(raw_xpcall(f, handle, ...))
end

-- A finalizer would run while no hook watches.
function catching.setmetatable(value, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("a metatable with __gc is not allowed", 2)
  end
  return raw_setmetatable(value, metatable)
end

-- ---- coroutines -------------------------------------------------------------------------------------------

local function body_result(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

function coroutine.create(f)
  if type(f) ~= "function" then
    error("bad argument #1 to 'create' (function expected)", 2)
  end
  charge(COROUTINE_COST)
  -- The inner pcall lets hooks watch again what runs after an error: variables that are closed.
  local thread = raw_create(function(...)
    return body_result(raw_pcall(f, ...))
  end)
  if options.hooks then
    sethook(thread, limits.hook, "", limits.STEP)
  end
  return thread
end

local WAITING = {} -- what a spawned task yields when it waits (modules/tasks.lua)
local held = raw_setmetatable({}, { __mode = "k" }) -- threads that others may not resume: what they are

-- A task that waits inside a coroutine of its own waits as a whole, and goes on there.
local function passed_on(thread, ok, ...)
  if ok and (...) == WAITING then
    held[thread] = "a coroutine that waits"
    raw_yield(WAITING)
    held[thread] = nil
    return passed_on(thread, raw_resume(thread))
  end
  return checked(ok, ...)
end

function coroutine.resume(thread, ...)
  if held[thread] then
    return false, "cannot resume " .. held[thread]
  end
  return passed_on(thread, raw_resume(thread, ...))
end

local function resumed(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

local resume = coroutine.resume
local create = coroutine.create

function coroutine.wrap(f)
  local thread = create(f)
  return function(...)
    return resumed(resume(thread, ...))
  end
end

if raw_close then
  function coroutine.close(thread)
    if held[thread] then
      error("cannot close " .. held[thread], 2)
    end
    return checked(raw_close(thread))
  end
end

-- ---- tasks ------------------------------------------------------------------------------------------------

-- What modules/tasks.lua is made of; it fills in the rest.
local tasks = { WAITING = WAITING, forget = function() end, check = limits.check, fail = limits.fail_task }
inner.tasks = tasks

function tasks.create(f)
  local thread = create(function()
    local ok, problem = raw_xpcall(f, limits.note)
    if not ok then
      error(problem, 0)
    end
  end)
  held[thread] = "a spawned task"
  return thread
end

function tasks.resume(thread)
  return raw_resume(thread)
end

function tasks.yield()
  return raw_yield(WAITING)
end
