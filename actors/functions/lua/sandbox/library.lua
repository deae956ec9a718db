-- The loops of the standard library that are C code, which no hook interrupts: what looks harmless and would go on for
-- years is refused.

local error, type, tostring = error, type, tostring
local raw_rep, raw_move = string.rep, table.move

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
