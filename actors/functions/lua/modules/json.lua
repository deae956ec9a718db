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

-- Whether it fits: true, or false and why not.
local function told(fits, problem)
  return fits or false, problem
end

return {
  encode = encode,
  decode = decode,
  validate = function(schema, value)
    return told(host.validate(schema, value))
  end,
  validate_string = function(schema, text)
    return told(host.validate_string(schema, text))
  end,
}
