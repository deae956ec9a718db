-- What a script finds: its globals, its modules and libraries, and a `require` that knows who asks.

local inner = ...
local limits, catching, bridge, kit = inner.limits, inner.catching, inner.bridge, inner.kit
local options = inner.options

local error, pairs, next, tostring = error, pairs, next, tostring
local raw_load, raw_setmetatable, collectgarbage = load, setmetatable, collectgarbage
local string, os, getmetatable = string, os, getmetatable

-- What scripts have for globals. The state's own globals are empty: lupa itself looks for `debug` there before each call,
-- unprotected, and would run whatever a script had put in its place.
local env = {}

local loaded = {} -- what each key gave: a module's name, or the ID of a library
local sources = {} -- the text of each library, by its ID
local scopes = {} -- what a chunk may require: name to key, by the name of the chunk
local own = {} -- the same of the function itself

local function compile(text, name)
  return raw_load(text, name, "t", env)
end

local loader_of

-- Who asks decides what a name means: a library has modules and imports of its own. So each chunk begins with a
-- `require` of its own, in front of its first line.
function inner.compile(text, name)
  local chunk, problem = compile("local require = ... " .. text, name)
  return chunk and function()
    return chunk(loader_of(scopes[name] or own))
  end, problem
end

local function load_library(key)
  local source = sources[key]
  local chunk, problem = inner.compile(source.text, source.name)
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

function inner.doors.install(name, text, functions, is_global)
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

function inner.doors.provide(key, text, name)
  sources[key] = { text = text, name = name }
end

function inner.doors.scope(name, names)
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
env._G = env
env.pcall, env.xpcall, env.setmetatable = catching.pcall, catching.xpcall, catching.setmetatable
string.dump = nil
env.os = { time = os.time, date = inner.date(os.date), clock = os.clock, difftime = os.difftime }
env.collectgarbage = function(option)
  if option == "count" then
    return collectgarbage("count")
  elseif option == nil or option == "collect" then
    limits.work(limits.STEP)
    return collectgarbage("collect")
  end
  error("collectgarbage: only \"count\" and \"collect\" are allowed", 2)
end
getmetatable("").__metatable = false
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
