-- Python's functions for scripts.

local inner = ...
local limits, flat, built = inner.limits, inner.flat, inner.built
local raw_pcall, pcall, select = pcall, inner.catching.pcall, select
local lift_memory, set_memory = limits.lift_memory, limits.set_memory

-- Python pushes values into this state, and an error of the allocator there would jump over Python's own frames.
local function landed(ok, answer, codes, ...)
  if not ok or answer == nil then
    set_memory()
    limits.interrupt(not ok and answer or nil)
  end
  if answer then
    local value = built(codes, 1, ...)
    set_memory()
    return true, value
  end
  local fault = built(codes, 1, ...)
  set_memory()
  return false, fault
end

local function sent(target, ...)
  lift_memory()
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
function inner.bridge(target)
  return function(...)
    return settle(offered(target, pcall(flat, select("#", ...), ...)))
  end
end
