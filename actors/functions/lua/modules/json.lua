local host, kit = ...
local type, fault = type, kit.fault

-- A body is decoded before a handler gets it, and handlers of the older kind decode it again.
local function decode(text)
  if type(text) ~= "string" and text ~= nil then
    return text, nil
  end
  return host.decode(text)
end

local function encode(value)
  local text, problem = host.encode(value)
  if problem then
    return nil, fault({ kind = "Internal", message = problem:message(), retryable = false })
  end
  return text, nil
end

return { encode = encode, decode = decode }
