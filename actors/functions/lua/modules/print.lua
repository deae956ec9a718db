local host, kit = ...
local select, tostring, concat, where = select, tostring, table.concat, kit.where

return function(...)
  local texts = {}
  for index = 1, select("#", ...) do
    texts[index] = tostring((select(index, ...)))
  end
  host.say(concat(texts, "\t"), where(2))
end
