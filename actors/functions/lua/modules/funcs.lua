local host, kit = ...
local tasks, channels = kit.tasks, kit.channels
local setmetatable, error, ipairs, next = setmetatable, error, ipairs, next

-- ---- futures ----------------------------------------------------------------------------------------------

local payloads = kit.private() -- {value} of each, out of a script's reach
local Payload = { __metatable = "payload" }
Payload.__index = {
  data = function(payload)
    return kit.kept(payloads, payload, "payload").value, nil
  end,
}

local held_by = kit.private()
local methods = {}
local Future = { __index = methods, __metatable = "funcs.Future" }
local pending = {} -- by ticket

-- Whoever waits at its channel gets a payload, or the error; later ones learn that there is no more.
local function complete(held, payload, problem)
  held.is_complete, held.payload, held.problem = true, payload, problem
  channels.put(held.channel, payload or problem)
  channels.close(held.channel)
end

local function look()
  if next(pending) == nil then
    return
  end
  for _, ticket in ipairs((host.ended())) do
    local held = pending[ticket]
    pending[ticket] = nil
    local value, problem = host.take(ticket)
    if held and not held.is_complete then
      local payload
      if not problem then
        payload = setmetatable({}, Payload)
        payloads[payload] = { value = value }
      end
      complete(held, payload, problem)
    end
  end
end

tasks.add_source({
  poll = look,
  matters = function()
    for _, held in next, pending do
      if channels.is_awaited(held.channel) then
        return true
      end
    end
    return false
  end,
})

local function begin(settings, id, ...)
  look()
  local ticket, problem = host.begin(settings, id, ...)
  if not ticket then
    return nil, problem
  end
  local future = setmetatable({}, Future)
  held_by[future] = { ticket = ticket, channel = channels.make(1), is_complete = false, is_canceled = false }
  pending[ticket] = held_by[future]
  return future, nil
end

local function held_of(future)
  local held = kit.kept(held_by, future, "funcs.Future")
  look()
  return held
end

function methods.response(future)
  return held_of(future).channel
end
methods.channel = methods.response

function methods.is_complete(future)
  return held_of(future).is_complete
end

function methods.is_canceled(future)
  return held_of(future).is_canceled
end

function methods.result(future)
  local held = held_of(future)
  return held.payload, held.problem
end

function methods.error(future)
  local held = held_of(future)
  return held.problem, held.problem ~= nil
end

function methods.cancel(future)
  local held = held_of(future)
  if held.is_complete then
    return false
  end
  held.is_canceled = true
  host.cancel(held.ticket)
  complete(held, nil, kit.fault({ kind = "Canceled", message = "the call was canceled", retryable = false }))
  return true
end

-- ---- executors --------------------------------------------------------------------------------------------

local settings_of = kit.private()
local executor_methods = {}
local Executor = { __index = executor_methods, __metatable = "funcs.Executor" }

local function make_executor(settings)
  local executor = setmetatable({}, Executor)
  settings_of[executor] = settings
  return executor
end

local function settings_kept(executor)
  return kit.kept(settings_of, executor, "funcs.Executor")
end

local function changed(settings, key, value)
  local copy = {}
  for name, each in next, settings do
    copy[name] = each
  end
  copy[key] = value
  return make_executor(copy)
end

function executor_methods.with_context(executor, values)
  local settings = settings_kept(executor)
  local given, problem = host.context_values(values)
  if not given then
    return nil, problem
  end
  local merged = {}
  for _, source in ipairs({ settings.values or {}, given }) do
    for key, value in next, source do
      merged[key] = value
    end
  end
  return changed(settings, "values", merged), nil
end

local function chooser(key, lookup, what)
  return function(executor, object)
    local settings = settings_kept(executor)
    local find = kit[lookup]
    local found = object ~= nil and find and find(object)
    if not found then
      error("expected a " .. what, 2)
    end
    local ok, problem = host.check_security()
    if not ok then
      return nil, problem
    end
    return changed(settings, key, found), nil
  end
end
executor_methods.with_actor = chooser("actor", "actor_of", "security.Actor")
executor_methods.with_scope = chooser("scope", "scope_of", "security.Scope")

function executor_methods.with_options(executor, options)
  local settings = settings_kept(executor)
  local ok, problem = host.check_options(options)
  if not ok then
    return nil, problem
  end
  return make_executor(settings), nil
end

function executor_methods.call(executor, id, ...)
  return host.call(settings_kept(executor), id, ...)
end

function executor_methods.async(executor, id, ...)
  return begin(settings_kept(executor), id, ...)
end

return {
  call = function(...)
    return host.call(nil, ...)
  end,
  async = function(...)
    return begin(nil, ...)
  end,
  new = function()
    return make_executor({})
  end,
}
