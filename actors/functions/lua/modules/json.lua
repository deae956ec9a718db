local host = ...
local type = type

-- A body is decoded before a handler gets it, and handlers of the older kind decode it again.
local function decode(text)
  if type(text) ~= "string" and text ~= nil then
    return text, nil
  end
  return host.decode(text)
end

return { encode = host.encode, decode = decode }
