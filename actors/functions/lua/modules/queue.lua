local host, kit = ...
local select, setmetatable = select, setmetatable

local tickets = setmetatable({}, { __mode = "k" })
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

function methods.nack(message)
  return host.settle(ticket_of(message), "nack")
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
