local host, kit = ...
local setmetatable, next = setmetatable, next
local kept, allowed = kit.kept, kit.allowed

local held = kit.private() -- the ID of each store object, out of a script's reach
local methods = {}
local Store = { __index = methods, __metatable = "store.Store" }

function Store.__tostring(store)
  return held[store].id and "store.Store{}" or "store.Store{released}"
end

local function opened(store)
  local id = kept(held, store, "store.Store").id
  if not id then
    return nil, kit.invalid("store is released")
  end
  return id
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
    return allowed(verb(id, ...))
  end
end

for _, name in next, { "get", "set", "has", "delete" } do
  methods[name] = raising(host[name])
end
for _, name in next, { "entry", "put", "list", "info" } do
  methods[name] = returning(host[name])
end

function methods.release(store)
  kept(held, store, "store.Store").id = nil
  return true, nil
end

local store = {}

function store.get(id)
  local found, problem = allowed(host.open(id))
  if not found then
    return nil, problem
  end
  local made = setmetatable({}, Store)
  held[made] = { id = found }
  return made, nil
end

return store
