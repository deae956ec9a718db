-- What noria keeps of the objects that it gives to scripts, out of their reach.
--
-- A weak table of all of them would do, but LuaJIT holds what stands in one until the cycle after the next, takes it for
-- something in use, and waits the longer for each cycle: memory would grow by and by. So it is in the object's metatable,
-- which each object has to itself, and which no script can get at: it has a field `__metatable`, and `debug` is not there.

local inner = ...
local next, rawget, setmetatable = next, rawget, setmetatable
local metatable_of, set_metatable = debug.getmetatable, debug.setmetatable

local Private = {}

-- What is kept of an object, nil for anything else. Nobody may see the key: it would be good for making objects.
function Private.__index(private, object)
  local metatable = metatable_of(object)
  return metatable and rawget(metatable, private)
end

-- Once for each object, whose metatable is that of its kind until then.
function Private.__newindex(private, object, kept)
  local metatable = { [private] = kept }
  for name, value in next, metatable_of(object) do
    metatable[name] = value
  end
  set_metatable(object, metatable)
end

-- `private[object] = kept`, and then `private[object]`.
function inner.private()
  return setmetatable({}, Private)
end
