local host, kit = ...
local select, setmetatable, type = select, setmetatable, type

local tickets = kit.private()
local methods = {}
local Message = { __index = methods, __metatable = "queue.Message" }

local function ticket_of(message)
  return kit.kept(tickets, message, "queue.Message").ticket
end

function Message.__tostring(message)
  local held = tickets[message]
  return host.is_held(held.ticket) and "queue.Message{id=" .. held.id .. "}" or "queue.Message{released}"
end

function methods.id(message)
  return host.id(ticket_of(message))
end

function methods.header(message, name)
  return host.header(ticket_of(message), name)
end

function methods.headers(message)
  return host.headers(ticket_of(message))
end

function methods.ack(message)
  return host.settle(ticket_of(message), "ack")
end

-- A Duration shows what it is to nobody but `time`.
local function plain_delay(delay)
  if type(delay) == "table" and kit.moments then
    return kit.moments.nanoseconds_of(delay)
  end
  return delay
end

function methods.nack(message, delay)
  local ticket = ticket_of(message)
  local plain, problem = plain_delay(delay)
  if problem then
    return nil, problem
  end
  return host.settle(ticket, "nack", plain)
end

function methods.reject(message, reason)
  return host.settle(ticket_of(message), "reject", reason)
end

local queue = { info = host.info }

function queue.publish(...)
  local id, data, headers = ...
  return host.publish(select("#", ...), id, data, headers)
end

function queue.message()
  local held, problem = host.open()
  if not held then
    return nil, problem
  end
  local message = setmetatable({}, Message)
  tickets[message] = held
  return message, nil
end

return queue
