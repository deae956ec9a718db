-- Puts the parts of the sandbox together, each made of those before it, and returns the functions that state.py drives it
-- by.
--
-- Each part takes what it needs from the standard library; the last one leaves scripts only what cannot reach out of
-- the state. No Python object is ever in the hands of a script: Python functions are upvalues of closures, they never
-- raise, and only plain data crosses (plain.lua). Whatever can catch an error gives it back when the call is over
-- (catching.lua), so that no script outlives its limits.

local host, options, parts = ...
local load = load -- the last part takes the globals away
local inner = { host = host, options = options, doors = {} }
for index = 1, #parts do
  load(parts[index], "=[noria]", "t")(inner)
end
return inner.doors
