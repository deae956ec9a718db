local host, kit = ...
local setmetatable, error, next = setmetatable, error, next
local fields_of, fault = kit.fields_of, kit.fault

local held = setmetatable({}, { __mode = "k" }) -- the ID of each store object, out of a script's reach
local methods = {}
local Store = { __index = methods, __metatable = "store.Store" }

function Store.__tostring(store)
  return held[store].id and "store.Store{}" or "store.Store{released}"
end

local function is_denied(problem)
  return problem and fields_of(problem).kind == "PermissionDenied"
end

local function opened(store)
  local found = held[store]
  if not found then
    error("expected a store.Store: call its methods with a colon, s:get(key)", 3)
  end
  if not found.id then
    return nil, fault({ message = "store is released", kind = "Invalid", retryable = false })
  end
  return found.id
end

local function returning(verb)
  return function(store, ...)
    local id, problem = opened(store)
    if not id then
      return nil, problem
    end
    return verb(id, ...)
  end
end

-- These raise when they are not allowed, and return every other error.
local function raising(verb)
  return function(store, ...)
    local id, problem = opened(store)
    if not id then
      return nil, problem
    end
    local value
    value, problem = verb(id, ...)
    if is_denied(problem) then
      error(problem, 0)
    end
    return value, problem
  end
end

for _, name in next, { "get", "set", "has", "delete" } do
  methods[name] = raising(host[name])
end
for _, name in next, { "entry", "put", "list", "info" } do
  methods[name] = returning(host[name])
end

function methods.release(store)
  local found = held[store]
  if not found then
    error("expected a store.Store: call its methods with a colon, s:release()", 2)
  end
  found.id = nil
  return true, nil
end

local store = {}

function store.get(id)
  local found, problem = host.open(id)
  if is_denied(problem) then
    error(problem, 0)
  elseif not found then
    return nil, problem
  end
  local made = setmetatable({}, Store)
  held[made] = { id = found }
  return made, nil
end

return store
