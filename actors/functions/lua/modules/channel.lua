local _, kit = ...
local tasks = kit.tasks
local setmetatable, error, type, next, rawget = setmetatable, error, type, next, rawget
local insert, remove = table.insert, table.remove

local LARGEST = 1000000 -- of a buffer: more is a mistake, not a buffer

local channels = kit.private() -- the state of each channel, out of a script's reach
local cases = kit.private()
local methods = {}
local Channel = { __index = methods, __metatable = "channel" }
local Case = { __metatable = "channel.case" }

function Channel.__tostring(channel)
  local state = channels[channel]
  return "channel{" .. state.last - state.first + 1 .. "/" .. state.capacity .. (state.is_closed and ", closed}" or "}")
end

local function make(capacity)
  local channel = setmetatable({}, Channel)
  channels[channel] = {
    capacity = capacity,
    buffer = {},
    first = 1,
    last = 0,
    receivers = {}, -- {waiter, index, …} of tasks that wait, in order; a select stands in several channels
    senders = {}, -- the same with a value
    is_closed = false,
  }
  return channel
end

local function state_of(channel)
  return kit.kept(channels, channel, "channel")
end

-- ---- what can be done at once -----------------------------------------------------------------------------

local function next_live(entries)
  while entries[1] do
    local entry = remove(entries, 1)
    if tasks.is_live(entry.waiter) then
      return entry
    end
  end
end

local function has_live(entries)
  for index = 1, #entries do
    if tasks.is_live(entries[index].waiter) then
      return true
    end
  end
  return false
end

local function finish(entry, value, ok)
  local waiter = entry.waiter
  waiter.index, waiter.value, waiter.ok = entry.index, value, ok
  tasks.wake(waiter)
end

local function push(state, value)
  state.last = state.last + 1
  state.buffer[state.last] = value
end

-- Whether there was something to take, then the value, and false for the end of a closed channel.
local function take(state)
  if state.first <= state.last then
    local value = state.buffer[state.first]
    state.buffer[state.first] = nil
    state.first = state.first + 1
    local sender = next_live(state.senders)
    if sender then
      push(state, sender.value)
      finish(sender, nil, true)
    end
    return true, value, true
  end
  local sender = next_live(state.senders)
  if sender then
    finish(sender, nil, true)
    return true, sender.value, true
  end
  return state.is_closed, nil, false
end

-- Whether somebody took the value, or there was room for it.
local function offer(state, value)
  local receiver = next_live(state.receivers)
  if receiver then
    finish(receiver, value, true)
    return true
  elseif state.last - state.first + 1 < state.capacity then
    push(state, value)
    return true
  end
  return false
end

-- ---- waiting ----------------------------------------------------------------------------------------------

-- Every case that waits stands in its channel until one of them is served.
local function stand(waiter, list)
  for index = 1, #list do
    local case = list[index]
    local entries = case.is_send and case.state.senders or case.state.receivers
    insert(entries, { waiter = waiter, index = index, value = case.value })
  end
end

local function stand_no_more(waiter, list)
  for index = 1, #list do
    local case = list[index]
    local entries = case.is_send and case.state.senders or case.state.receivers
    for at = #entries, 1, -1 do
      if entries[at].waiter == waiter then
        remove(entries, at)
      end
    end
  end
end

local function refuse_closed(case, level)
  if case.is_send and case.state.is_closed then
    error("send on a closed channel", level + 1)
  end
end

local turn = 0 -- of several cases that are possible none is always the first

local function serve(list, level)
  turn = turn + 1
  for offset = 1, #list do
    local index = (turn + offset) % #list + 1
    local case = list[index]
    refuse_closed(case, level + 1)
    if case.is_send then
      if offer(case.state, case.value) then
        return index, nil, true
      end
    else
      local is_served, value, ok = take(case.state)
      if is_served then
        return index, value, ok
      end
    end
  end
end

-- The index of the case that was served, its value, and false for the end of a closed channel; nil if none could be.
local function choose(list, must_wait, level)
  local index, value, ok = serve(list, level + 1)
  if index then
    return index, value, ok
  end
  tasks.look()
  index, value, ok = serve(list, level + 1)
  if index or not must_wait then
    return index, value, ok
  end
  tasks.require_waiting(level + 1)
  local waiter = tasks.waiter()
  stand(waiter, list)
  tasks.wait(waiter)
  stand_no_more(waiter, list)
  if waiter.ok == nil then
    refuse_closed(list[waiter.index], level + 1)
  end
  return waiter.index, waiter.value, waiter.ok
end

-- ---- methods ----------------------------------------------------------------------------------------------

function methods.send(channel, value)
  choose({ { state = state_of(channel), is_send = true, value = value } }, true, 2)
  return true
end

function methods.receive(channel)
  local _, value, ok = choose({ { state = state_of(channel) } }, true, 2)
  return value, ok
end

function methods.close(channel)
  local state = state_of(channel)
  if state.is_closed then
    return
  end
  state.is_closed = true
  while true do
    local receiver = next_live(state.receivers)
    if not receiver then
      break
    end
    finish(receiver, nil, false)
  end
  while true do
    local sender = next_live(state.senders)
    if not sender then
      break
    end
    finish(sender, nil, nil) -- it raises there
  end
end

local function make_case(channel, fields)
  local case = setmetatable({}, Case)
  fields.channel = channel
  cases[case] = fields
  return case
end

function methods.case_send(channel, value)
  return make_case(channel, { state = state_of(channel), is_send = true, value = value })
end

function methods.case_receive(channel)
  return make_case(channel, { state = state_of(channel) })
end

-- ---- the module -------------------------------------------------------------------------------------------

kit.channels = {
  make = make,
  -- Whether there was room, or somebody waited; what does not fit is dropped.
  put = function(channel, value)
    return offer(channels[channel], value)
  end,
  is_awaited = function(channel)
    return has_live(channels[channel].receivers)
  end,
  clear = function(channel)
    local state = channels[channel]
    state.buffer, state.first, state.last = {}, 1, 0
  end,
  close = methods.close,
}

local function as_integer(value)
  if type(value) ~= "number" or value % 1 ~= 0 or value < 0 or value > LARGEST then
    return nil
  end
  return value
end

local channel = {}

function channel.new(capacity)
  local found = as_integer(capacity == nil and 0 or capacity)
  if not found then
    error("channel.new: expected how many values it holds, 0 to " .. LARGEST, 2)
  end
  return make(found)
end

function channel.select(given)
  if type(given) ~= "table" or channels[given] then
    error("channel.select: expected a table of cases", 2)
  end
  local list = {}
  for index = 1, #given do
    list[index] = cases[given[index]]
    if not list[index] then
      error("channel.select: expected ch:case_send(value) or ch:case_receive() at [" .. index .. "]", 2)
    end
  end
  local has_default = rawget(given, "default") and true or false
  if #list == 0 and not has_default then
    error("channel.select: expected at least one case", 2)
  end
  local index, value, ok = choose(list, not has_default, 2)
  if not index then
    return { default = true, ok = true }
  end
  return { channel = list[index].channel, value = value, ok = ok }
end

return channel
