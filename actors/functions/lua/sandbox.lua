-- What every Lua state starts with. It takes what it needs from the standard library, leaves scripts only what cannot
-- reach out of the state, and returns the functions that state.py drives it by.
--
-- No Python object is ever in the hands of a script: Python functions are upvalues of the closures made here, they
-- never raise, and only plain data crosses (flatten and build). Whatever can catch an error gives it back when the
-- call is over (`dead`), so that no script outlives its limits.

local host, options = ...

local debug, coroutine, string, table, math, os = debug, coroutine, string, table, math, os
local error, type, next, pairs, select, tostring = error, type, next, pairs, select, tostring
local raw_pcall, raw_xpcall, raw_setmetatable, raw_getmetatable = pcall, xpcall, setmetatable, getmetatable
local raw_load, rawget, rawset, collectgarbage = load, rawget, rawset, collectgarbage
local raw_create, raw_resume, raw_close = coroutine.create, coroutine.resume, coroutine.close
local raw_yield = coroutine.yield
local raw_rep, raw_move = string.rep, table.move
local byte, concat, find, gsub = string.byte, table.concat, string.find, string.gsub
local unpack = table.unpack or unpack
local sethook, getinfo, traceback = debug.sethook, debug.getinfo, debug.traceback
local math_type = math.type or function(n)
  return type(n) == "number" and (n % 1 == 0 and "integer" or "float") or nil
end
-- What scripts have for globals. The state's own globals are empty: lupa itself looks for `debug` there before each call,
-- unprotected, and would run whatever a script had put in its place.
local env = {}

local function nothing() end

-- ---- limits -----------------------------------------------------------------------------------------------

local STEP = options.step -- instructions between two looks at the count
local POLL = options.poll -- instructions between two looks at the clock, for which Python is asked
local BUDGET, MEMORY = options.instructions, options.memory
local OUT_OF_MEMORY = "not enough memory"
local COROUTINE_COST = 1000

local dead -- why the call is over, once it is
local used, next_poll = 0, POLL

local trace -- where the call failed
local task_problem -- the error of the spawned task that failed it

-- An exception that came out of a call without arguments: Ctrl-C arrives wherever Python begins to run.
local exception

local function safely(target)
  local ok, result = raw_pcall(target)
  while not ok do
    if type(result) ~= "userdata" then
      error(result, 0)
    end
    exception = result
    ok, result = raw_pcall(target)
  end
  return result
end

local function poll()
  return safely(host.poll) or exception ~= nil
end

local function lift_limit()
  return host.lift_limit and safely(host.lift_limit)
end

local function set_limit()
  return host.set_limit and safely(host.set_limit)
end

local function die(reason)
  dead = reason
  if reason ~= "memory" then
    trace = traceback("", 2)
  end
  error(reason, 0)
end

local function charge(instructions)
  if dead then
    error(dead, 0)
  end
  used = used + instructions
  if BUDGET > 0 and used > BUDGET then
    die("instructions")
  end
  if options.counts_memory and MEMORY > 0 and collectgarbage("count") * 1024 > MEMORY then
    die("memory")
  end
  if used >= next_poll then
    next_poll = used + POLL
    if poll() then
      die("cancelled")
    end
  end
end

local function hook()
  charge(STEP)
end

-- What a script may see of an error. A userdata can only come from the bridge itself, and is of no use to a script.
local function visible(problem)
  if dead then
    error(dead, 0)
  end
  if problem == OUT_OF_MEMORY then
    die("memory")
  end
  if type(problem) == "userdata" then
    return tostring(problem)
  end
  return problem
end

local function checked(ok, ...)
  if ok and not dead then
    return ok, ...
  end
  return ok, visible((...)), select(2, ...)
end

local function pcall(f, ...)
  return checked(raw_pcall(f, ...))
end

local function xpcall(f, handler, ...)
  local function handle(problem)
    -- It runs where the error happened, and after a limit's error no hook would watch it.
    if dead or problem == OUT_OF_MEMORY then
      return problem
    end
    return handler(type(problem) == "userdata" and tostring(problem) or problem)
  end
  return checked(raw_xpcall(f, handle, ...))
end

-- A finalizer would run while no hook watches.
local function setmetatable(value, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("a metatable with __gc is not allowed", 2)
  end
  return raw_setmetatable(value, metatable)
end

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
    sethook(thread, hook, "", STEP)
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

-- These loops are C code, which no hook interrupts: the harmless looking calls that would go on for years are refused.
function string.rep(text, count, separator)
  if #tostring(text) + #tostring(separator or "") == 0 then
    return ""
  end
  return raw_rep(text, count, separator)
end

if raw_move then
  local LONGEST_MOVE = 10000000
  function table.move(from, first, last, to, target)
    if type(first) == "number" and type(last) == "number" and last - first > LONGEST_MOVE then
      error("too many elements to move", 2)
    end
    if target == nil then
      return raw_move(from, first, last, to)
    end
    return raw_move(from, first, last, to, target)
  end
end

-- ---- errors as objects ------------------------------------------------------------------------------------

local faults = raw_setmetatable({}, { __mode = "k" }) -- the fields of each error object, out of a script's reach
local Fault = { __metatable = "error" }
local fault_methods = {}
Fault.__index = fault_methods

local function make_fault(fields)
  local object = raw_setmetatable({}, Fault)
  faults[object] = fields
  return object
end

local function fields_of(object)
  local fields = faults[object]
  if not fields then
    error("expected an error object: call its methods with a colon, err:kind()", 3)
  end
  return fields
end

function Fault.__tostring(object)
  local fields = faults[object]
  return fields.text or fields.message
end

function Fault.__concat(left, right)
  return tostring(left) .. tostring(right)
end

function fault_methods.kind(object)
  return fields_of(object).kind or ""
end

function fault_methods.message(object)
  return fields_of(object).message
end

function fault_methods.retryable(object)
  return fields_of(object).retryable
end

function fault_methods.details(object)
  local details = fields_of(object).details
  if type(details) == "table" and next(details) == nil then
    return nil
  end
  return details
end

function fault_methods.stack(object)
  return fields_of(object).stack or ""
end

-- ---- plain data -------------------------------------------------------------------------------------------
-- A value that crosses is flat: `codes` has one letter for each value, `values` what they need.
--   n nil   v a boolean, number or string   l list: its length   m map: its size, then keys and values   e error

local DEEPEST = options.depth
local NIL, VALUE, LIST, MAP, FAULT = byte("nvlme", 1, 5)
-- What a table cannot say of itself: the length of a list with nils, which names were null, an empty map.
local shapes = raw_setmetatable({}, { __mode = "k" })

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
        highest = math.huge
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
  elseif shape and shape.length and highest ~= math.huge then
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

-- ---- calling Python ---------------------------------------------------------------------------------------

-- Python pushes values into this state, and an error of the allocator there would jump over Python's own frames.
local function landed(ok, answer, codes, ...)
  if not ok then
    exception = answer
  end
  if not ok or answer == nil then
    set_limit()
    die("interrupted")
  end
  if answer then
    local value = built(codes, 1, ...)
    set_limit()
    return true, value
  end
  local fault = built(codes, 1, ...)
  set_limit()
  return false, fault
end

local function sent(target, ...)
  lift_limit()
  return landed(raw_pcall(target, ...))
end

-- What is no plain data cannot be sent: that is an answer like any other.
local function offered(target, is_flat, ...)
  if is_flat then
    return sent(target, ...)
  end
  return false, (...)
end

local function settle(ok, value)
  if ok then
    return value, nil
  end
  return nil, value
end

-- A Python function for scripts: returns value, nil or nil, error.
local function bridge(target)
  return function(...)
    return settle(offered(target, pcall(flat, select("#", ...), ...)))
  end
end

-- ---- what is left for scripts -----------------------------------------------------------------------------

local loaded = {} -- what each key gave: a module's name, or the ID of a library
local sources = {} -- the text of each library, by its ID
local scopes = {} -- what a chunk may require: name to key, by the name of the chunk
local own = {} -- the same of the function itself

local function where(level)
  local info = getinfo(level + 1, "Sl")
  return info and info.currentline or 0
end

-- What modules/tasks.lua is made of; it fills in the rest.
local tasks = { WAITING = WAITING, forget = nothing }

local function note(problem)
  if not dead and problem ~= OUT_OF_MEMORY then
    trace = traceback("", 2)
  end
  return problem
end

function tasks.create(f)
  local thread = create(function()
    local ok, problem = raw_xpcall(f, note)
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

-- Whoever catches errors must not catch this one: it is the call's, not his.
function tasks.fail(problem)
  if not dead and problem == OUT_OF_MEMORY then
    die("memory")
  elseif not dead then
    dead, task_problem = "task", problem
  end
  error(dead, 0)
end

-- The call ends here if it was cancelled or its time is up.
function tasks.check()
  if dead then
    error(dead, 0)
  elseif poll() then
    die("cancelled")
  end
end

local kit = { tasks = tasks, fault = make_fault, is_fault = function(value)
  return faults[value] ~= nil
end, fields_of = function(value)
  return faults[value]
end, where = where, traceback = traceback, frames = function(level)
  local frames = {}
  while true do
    level = level + 1
    local info = getinfo(level, "Sln")
    if not info then
      return frames
    end
    if info.what ~= "C" and info.short_src ~= "[noria]" then
      frames[#frames + 1] = { source = info.short_src, line = info.currentline, name = info.name or "?" }
    end
  end
end }

local function compile(text, name)
  return raw_load(text, name, "t", env)
end

local loader_of

-- Who asks decides what a name means: a library has modules and imports of its own. So each chunk begins with a
-- `require` of its own, in front of its first line.
local function compile_scoped(text, name)
  local chunk, problem = compile("local require = ... " .. text, name)
  return chunk and function()
    return chunk(loader_of(scopes[name] or own))
  end, problem
end

local function load_library(key)
  local source = sources[key]
  local chunk, problem = compile_scoped(source.text, source.name)
  if not chunk then
    error(problem, 0)
  end
  local found = chunk()
  if found == nil then
    found = true
  end
  loaded[key] = found
  return found
end

function loader_of(names)
  return function(name)
    local key = names[name]
    if key == nil then
      error("module not found: " .. tostring(name) .. " (it is not listed in modules or imports)", 2)
    end
    local found = loaded[key]
    if found ~= nil then
      return found
    end
    return (load_library(key))
  end
end

local function install(name, text, functions, is_global)
  local bridged = {}
  for key, target in pairs(functions) do
    bridged[key] = bridge(target)
  end
  local module = bridged
  if text then
    module = raw_load(text, "=[noria]", "t", env)(bridged, kit)
  end
  loaded[name] = module
  if is_global then
    env[name] = module
  end
  return module
end

local function provide(key, text, name)
  sources[key] = { text = text, name = name }
end

local function scope(name, names)
  local keys = {}
  for alias, key in pairs(names) do
    keys[alias] = key
  end
  scopes[name] = keys
  if next(own) == nil then
    own = keys
    env.require = loader_of(own)
  end
end

if options.hooks and jit then
  jit.off() -- compiled code calls no hooks
end

local globals = _G
for name in string.gmatch(options.kept, "%S+") do
  env[name] = globals[name]
end
for name in pairs(globals) do
  globals[name] = nil
end
env._G, env.pcall, env.xpcall, env.setmetatable = env, pcall, xpcall, setmetatable
string.dump = nil
env.os = { time = os.time, date = os.date, clock = os.clock, difftime = os.difftime }
env.collectgarbage = function(option)
  if option == "count" then
    return collectgarbage("count")
  elseif option == nil or option == "collect" then
    charge(STEP)
    return collectgarbage("collect")
  end
  error("collectgarbage: only \"count\" and \"collect\" are allowed", 2)
end
raw_getmetatable("").__metatable = false
-- The aliases of `imports` are names as well, where nothing else has them.
raw_setmetatable(env, {
  __metatable = false,
  __index = function(_, name)
    local key = own[name]
    if key and sources[key] then
      if loaded[key] ~= nil then
        return loaded[key]
      end
      return (load_library(key))
    end
  end,
})

-- ---- running a call ---------------------------------------------------------------------------------------

local exports

local function begin()
  dead, used, next_poll, trace, task_problem, exception = nil, 0, POLL, nil, nil, nil
  if options.hooks then
    sethook(hook, "", STEP)
  end
  set_limit()
end

-- From here on nothing of a script runs, and there is room to tell of what happened.
local function stop()
  sethook()
  lift_limit()
end

local function described(problem)
  if type(problem) ~= "string" and not faults[problem] then
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
  begin()
  return raw_xpcall(f, note, ...)
end

-- What a failed call tells. Describing an error may run a script's code (__tostring): within limits of its own.
local function failure(problem)
  if dead == "task" then
    dead, problem = nil, task_problem
  elseif problem == OUT_OF_MEMORY then
    dead = dead or "memory"
  end
  if dead then
    local raised = exception
    exception = nil
    return "dead", nil, raised or dead, trace
  end
  local told = trace
  begin()
  local ok, codes, value = raw_pcall(described, problem)
  stop()
  if not ok then
    codes, value = nil, "an error that cannot be described"
  end
  return "raised", codes, value, told
end

local function is_failure(first, second)
  return type(second) == "string" or faults[second] ~= nil or (first == nil and second)
end

local function finished(ok, ending, codes, value)
  stop()
  tasks.forget()
  if dead or not ok then
    return failure(ending)
  end
  if ending == "returned" then
    trace = nil
    return failure(value)
  end
  return ending, codes, value
end

local function find_method(name)
  if type(exports) == "function" then
    return exports
  end
  local found = type(exports) == "table" and exports[name]
  if type(found) ~= "function" then
    error("method not found: " .. name, 0)
  end
  return found
end

return {
  install = install,
  provide = provide,
  scope = scope,
  start = function(text, name)
    local chunk, problem = compile_scoped(text, name)
    if not chunk then
      return failure(problem)
    end
    return finished(run(function()
      exports = chunk()
      return "done"
    end))
  end,
  call = function(wants_value, method, codes, count, ...)
    return finished(run(function(...)
      local first, second = find_method(method)(...)
      if is_failure(first, second) then
        return "returned", nil, second
      elseif not wants_value then
        return first == false and "false" or "done"
      end
      return "done", flat(1, first)
    end, built(codes, count, ...)))
  end,
  collect = function()
    collectgarbage("step")
  end,
}
