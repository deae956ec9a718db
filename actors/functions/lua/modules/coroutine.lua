local _, kit = ...
local coroutine, error, type = coroutine, error, type
local spawn = kit.tasks.spawn

function coroutine.spawn(f)
  if type(f) ~= "function" then
    error("bad argument #1 to 'spawn' (function expected)", 2)
  end
  return spawn(f)
end

return coroutine
