-- Errors as objects, with a kind and details.

local inner = ...
local error, type, next, tostring, setmetatable = error, type, next, tostring, setmetatable

local faults = inner.private() -- the fields of each error object, out of a script's reach
local Fault = { __metatable = "error" }
local fault_methods = {}
Fault.__index = fault_methods

local function make_fault(fields)
  local object = setmetatable({}, Fault)
  faults[object] = fields
  return object
end

local function fields_of(object)
  local fields = faults[object]
  if not fields then
    error("expected an error object: call its methods with a colon, err:kind()", 3)
  end
  return fields
end

function Fault.__tostring(object)
  local fields = faults[object]
  return fields.text or fields.message
end

function Fault.__concat(left, right)
  return tostring(left) .. tostring(right)
end

function fault_methods.kind(object)
  return fields_of(object).kind or ""
end

function fault_methods.message(object)
  return fields_of(object).message
end

function fault_methods.retryable(object)
  return fields_of(object).retryable
end

function fault_methods.details(object)
  local details = fields_of(object).details
  if type(details) == "table" and next(details) == nil then
    return nil
  end
  return details
end

function fault_methods.stack(object)
  return fields_of(object).stack or ""
end

inner.fault = make_fault
inner.faults = faults
