local host, kit = ...
local tasks, channels, moments = kit.tasks, kit.channels, kit.moments
local setmetatable, ipairs = setmetatable, ipairs

local NANOSECONDS = 1000000000

local timers = kit.private() -- {timer, channel}, out of a script's reach

-- ---- waiting ----------------------------------------------------------------------------------------------

local function now()
  return moments.landed(kit.insist(host.now()))
end

local function positive(duration)
  local nanoseconds, problem = moments.nanoseconds_of(duration)
  if nanoseconds and nanoseconds <= 0 then
    return nil, kit.invalid("expected a duration above 0")
  end
  return nanoseconds and nanoseconds / NANOSECONDS, problem
end

local function always()
  return true
end

local function sleep(duration)
  local nanoseconds, problem = moments.nanoseconds_of(duration)
  if not nanoseconds then
    return nil, problem
  end
  if nanoseconds > 0 then
    tasks.require_waiting(2)
    local waiter = tasks.waiter()
    tasks.set_timer(nanoseconds / NANOSECONDS, function()
      tasks.wake(waiter)
    end, always)
    tasks.wait(waiter)
  end
  return true, nil
end

-- A timer whose channel gets the moment at which it fired, once or every `period` seconds.
local function set(seconds, period)
  local channel = channels.make(1)
  local function fire(at, timer)
    channels.put(channel, (now()))
    if period then
      -- Ticks that nobody could have seen are left out.
      local missed = (at - timer.due) / period
      tasks.restart_timer(timer, timer.due + period * (missed - missed % 1 + 1))
    end
  end
  local function is_awaited()
    return channels.is_awaited(channel)
  end
  return tasks.set_timer(seconds, fire, is_awaited), channel
end

local function channel_of(object)
  return kit.kept(timers, object, "timer").channel
end

local Timer = { __metatable = "time.Timer" }
Timer.__index = {
  response = channel_of,
  channel = channel_of,
  stop = function(object)
    return tasks.stop_timer(kit.kept(timers, object, "timer").timer)
  end,
  reset = function(object, duration)
    local held = kit.kept(timers, object, "timer")
    local seconds, problem = positive(duration)
    if not seconds then
      return nil, problem
    end
    local was_set = tasks.stop_timer(held.timer)
    channels.clear(held.channel)
    tasks.restart_timer(held.timer, tasks.now() + seconds)
    return was_set, nil
  end,
}

local Ticker = { __metatable = "time.Ticker" }
Ticker.__index = {
  response = channel_of,
  channel = channel_of,
  stop = function(object)
    tasks.stop_timer(kit.kept(timers, object, "ticker").timer)
    return true
  end,
}

local function timer_maker(metatable, repeats)
  return function(duration)
    local seconds, problem = positive(duration)
    if not seconds then
      return nil, problem
    end
    local object = setmetatable({}, metatable)
    local timer, channel = set(seconds, repeats and seconds or nil)
    timers[object] = { timer = timer, channel = channel }
    return object, nil
  end
end

-- ---- the module -------------------------------------------------------------------------------------------

local function zone_of(location)
  local zone = moments.zone_of(location)
  if location ~= nil and not zone then
    return nil, kit.invalid("expected a time.Location")
  end
  return zone, nil
end

local function as_location(text, problem)
  if not text then
    return nil, problem
  end
  return moments.make_location(text), nil
end

local time = {
  NANOSECOND = 1,
  MICROSECOND = 1000,
  MILLISECOND = 1000000,
  SECOND = NANOSECONDS,
  MINUTE = 60 * NANOSECONDS,
  HOUR = 3600 * NANOSECONDS,
  ANSIC = "Mon Jan _2 15:04:05 2006",
  UNIX_DATE = "Mon Jan _2 15:04:05 MST 2006",
  RUBY_DATE = "Mon Jan 02 15:04:05 -0700 2006",
  RFC822 = "02 Jan 06 15:04 MST",
  RFC822Z = "02 Jan 06 15:04 -0700",
  RFC850 = "Monday, 02-Jan-06 15:04:05 MST",
  RFC1123 = "Mon, 02 Jan 2006 15:04:05 MST",
  RFC1123Z = "Mon, 02 Jan 2006 15:04:05 -0700",
  RFC3339 = "2006-01-02T15:04:05Z07:00",
  RFC3339NANO = "2006-01-02T15:04:05.999999999Z07:00",
  KITCHEN = "3:04PM",
  STAMP = "Jan _2 15:04:05",
  STAMP_MILLI = "Jan _2 15:04:05.000",
  STAMP_MICRO = "Jan _2 15:04:05.000000",
  STAMP_NANO = "Jan _2 15:04:05.000000000",
  DATE_TIME = "2006-01-02 15:04:05",
  DATE_ONLY = "2006-01-02",
  TIME_ONLY = "15:04:05",
  utc = moments.make_location("UTC"),
  localtz = moments.make_location("Local"),
  now = function()
    return (now())
  end,
  sleep = sleep,
  timer = timer_maker(Timer, false),
  ticker = timer_maker(Ticker, true),
  unix = function(seconds, nanoseconds)
    return moments.landed(host.unix(seconds, nanoseconds))
  end,
}

for index, name in ipairs({ "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER",
  "OCTOBER", "NOVEMBER", "DECEMBER" }) do
  time[name] = index
end
for index, name in ipairs({ "SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY" }) do
  time[name] = index - 1
end

function time.after(duration)
  local seconds, problem = positive(duration)
  if not seconds then
    return nil, problem
  end
  local _, channel = set(seconds)
  return channel, nil
end

function time.date(year, month, day, hour, minute, second, nanosecond, location)
  local zone, problem = zone_of(location)
  if problem then
    return nil, problem
  end
  return moments.landed(host.date(year, month, day, hour, minute, second, nanosecond, zone))
end

function time.parse(layout, text, location)
  local zone, problem = zone_of(location)
  if problem then
    return nil, problem
  end
  return moments.landed(host.parse(layout, text, zone))
end

function time.parse_duration(value)
  local nanoseconds, problem = moments.nanoseconds_of(value)
  if not nanoseconds then
    return nil, problem
  end
  return moments.make_duration(nanoseconds), nil
end

function time.load_location(name)
  return as_location(host.load_location(name))
end

function time.fixed_zone(name, seconds)
  return as_location(host.fixed_zone(name, seconds))
end

return time
