local _, kit = ...
local fault, is_fault, fields_of = kit.fault, kit.is_fault, kit.fields_of
local type, tostring, error = type, tostring, error
local frames = kit.frames
local format, concat = string.format, table.concat

local errors = {
  NOT_FOUND = "NotFound",
  ALREADY_EXISTS = "AlreadyExists",
  INVALID = "Invalid",
  PERMISSION_DENIED = "PermissionDenied",
  UNAVAILABLE = "Unavailable",
  INTERNAL = "Internal",
  CANCELED = "Canceled",
  CONFLICT = "Conflict",
  TIMEOUT = "Timeout",
  RATE_LIMITED = "RateLimited",
  UNKNOWN = "",
}

local function stack_text(found)
  local lines = {}
  for index = 1, #found do
    lines[index] = format("%s:%d: in %s", found[index].source, found[index].line, found[index].name)
  end
  return concat(lines, "\n")
end

function errors.new(given)
  local fields = given
  if type(given) == "string" then
    fields = { message = given }
  elseif type(given) ~= "table" or is_fault(given) then
    error("errors.new: expected a message or a table {message, kind, retryable, details}", 2)
  end
  if type(fields.message) ~= "string" then
    error("errors.new: expected a message", 2)
  end
  local retryable = fields.retryable
  if type(retryable) ~= "boolean" then
    retryable = nil
  end
  return fault({
    message = fields.message,
    kind = fields.kind ~= nil and tostring(fields.kind) or "",
    retryable = retryable,
    details = fields.details,
    stack = stack_text(frames(1)),
  })
end

function errors.wrap(cause, context)
  if is_fault(cause) then
    local fields = fields_of(cause)
    return fault({
      message = fields.message,
      kind = fields.kind,
      retryable = fields.retryable,
      details = fields.details,
      stack = fields.stack,
      text = tostring(context) .. ": " .. tostring(cause),
    })
  elseif type(cause) ~= "string" then
    error("errors.wrap: expected an error or a text", 2)
  end
  return fault({ message = cause, kind = "", stack = stack_text(frames(1)), text = tostring(context) .. ": " .. cause })
end

function errors.is(value, kind)
  return is_fault(value) and (fields_of(value).kind or "") == kind
end

function errors.call_stack(value)
  if not is_fault(value) then
    return nil
  end
  local found = {}
  for source, line, name in string.gmatch(fields_of(value).stack or "", "([^\n]-):(%d+): in ([^\n]*)") do
    found[#found + 1] = { source = source, line = tonumber(line), name = name }
  end
  return { thread = "main", frames = found }
end

return errors
