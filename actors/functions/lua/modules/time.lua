local host, kit = ...
local tasks, channels = kit.tasks, kit.channels
local setmetatable, error, type, next, ipairs = setmetatable, error, type, next, ipairs
local integer = math.tointeger or function(value)
  return value % 1 == 0 and value or nil
end

local NANOSECONDS = 1000000000
local YEAR_ONE = -62135596800
local LONGEST = 9.2e18

-- What the objects are, out of a script's reach.
local durations = setmetatable({}, { __mode = "k" }) -- nanoseconds
local moments = setmetatable({}, { __mode = "k" }) -- {seconds, nanoseconds, zone}
local locations = setmetatable({}, { __mode = "k" }) -- the text of a zone
local timers = setmetatable({}, { __mode = "k" })

local function kept(objects, object, what)
  local found = objects[object]
  if found == nil then
    error("expected a " .. what .. ": call its methods with a colon", 3)
  end
  return found
end

local function insist(value, problem)
  if problem then
    error(problem, 0)
  end
  return value
end

local function invalid(message)
  return kit.fault({ kind = "Invalid", message = message, retryable = false })
end

-- ---- durations --------------------------------------------------------------------------------------------

local duration_methods = {}
local Duration = { __index = duration_methods, __metatable = "time.Duration" }

local function make_duration(nanoseconds)
  local duration = setmetatable({}, Duration)
  durations[duration] = nanoseconds
  return duration
end

-- Towards zero, as Go divides.
local function whole(number, unit)
  local cut = number >= 0 and number - number % unit or number + -number % unit
  cut = cut / unit
  return integer(cut) or cut
end

-- Nanoseconds of what scripts give as a duration, or nil and an error.
local function nanoseconds_of(value)
  if durations[value] then
    return durations[value]
  elseif type(value) == "number" then
    if value ~= value or value >= LONGEST or value <= -LONGEST then
      return nil, invalid("invalid duration: the number is out of range")
    end
    return integer(value) or whole(value, 1)
  elseif type(value) == "string" then
    return host.parse_duration(value)
  end
  return nil, invalid("expected a duration: nanoseconds, a text such as \"1h30m\", or a Duration")
end

function Duration.__tostring(duration)
  return (host.duration_text(durations[duration]))
end

function Duration.__eq(left, right)
  return durations[left] == durations[right]
end

function Duration.__lt(left, right)
  return insist(nanoseconds_of(left)) < insist(nanoseconds_of(right))
end

function Duration.__le(left, right)
  return insist(nanoseconds_of(left)) <= insist(nanoseconds_of(right))
end

for name, unit in next, { microseconds = 1000, milliseconds = 1000000 } do
  duration_methods[name] = function(duration)
    return whole(kept(durations, duration, "time.Duration"), unit)
  end
end
for name, unit in next, { seconds = NANOSECONDS, minutes = 60 * NANOSECONDS, hours = 3600 * NANOSECONDS } do
  duration_methods[name] = function(duration)
    return kept(durations, duration, "time.Duration") / unit
  end
end
function duration_methods.nanoseconds(duration)
  return kept(durations, duration, "time.Duration")
end

-- ---- locations --------------------------------------------------------------------------------------------

local location_methods = {}
local Location = { __index = location_methods, __metatable = "time.Location" }

local function make_location(text)
  local location = setmetatable({}, Location)
  locations[location] = text
  return location
end

function location_methods.string(location)
  return (host.zone_name(kept(locations, location, "time.Location")))
end
Location.__tostring = location_methods.string

function Location.__eq(left, right)
  return locations[left] == locations[right]
end

-- ---- moments ----------------------------------------------------------------------------------------------

local methods = {}
local Time = { __index = methods, __metatable = "time.Time" }

local function make_time(seconds, nanoseconds, zone)
  local moment = setmetatable({}, Time)
  moments[moment] = { seconds, nanoseconds, zone }
  return moment
end

-- A moment of the host as an object, or nil and an error.
local function landed(found, problem)
  if problem then
    return nil, problem
  end
  return make_time(found[1], found[2], found[3]), nil
end

local function time_of(object)
  return kept(moments, object, "time.Time")
end

local function other_time(object)
  local found = moments[object]
  if not found then
    error("expected a time.Time as argument", 3)
  end
  return found
end

function Time.__tostring(moment)
  local found = moments[moment]
  return (host.format(found[1], found[2], found[3], "2006-01-02 15:04:05.999999999 -0700 MST"))
end

local function is_earlier(left, right)
  return left[1] < right[1] or (left[1] == right[1] and left[2] < right[2])
end

local function is_same(left, right)
  return left[1] == right[1] and left[2] == right[2]
end

function Time.__eq(left, right)
  return is_same(moments[left], moments[right])
end

function Time.__lt(left, right)
  return is_earlier(other_time(left), other_time(right))
end

function Time.__le(left, right)
  return not is_earlier(other_time(right), other_time(left))
end

function methods.before(moment, other)
  return is_earlier(time_of(moment), other_time(other))
end

function methods.after(moment, other)
  return is_earlier(other_time(other), time_of(moment))
end

function methods.equal(moment, other)
  return is_same(time_of(moment), other_time(other))
end

local function with_duration(compute)
  return function(moment, duration)
    local found = time_of(moment)
    local nanoseconds, problem = nanoseconds_of(duration)
    if not nanoseconds then
      return nil, problem
    end
    local moved, refused = compute(found[1], found[2], nanoseconds)
    if not moved then
      return nil, refused
    end
    return make_time(moved[1], moved[2], found[3]), nil
  end
end
methods.add = with_duration(host.add)
methods.round = with_duration(host.round)
methods.truncate = with_duration(host.truncate)

function methods.sub(moment, other)
  local found, against = time_of(moment), other_time(other)
  return make_duration(insist(host.between(found[1], found[2], against[1], against[2])))
end

function methods.add_date(moment, years, months, days)
  local found = time_of(moment)
  local seconds, problem = host.add_date(found[1], found[3], years, months, days)
  if not seconds then
    return nil, problem
  end
  return make_time(seconds, found[2], found[3]), nil
end

function methods.format(moment, layout)
  local found = time_of(moment)
  return host.format(found[1], found[2], found[3], layout)
end

function methods.format_rfc3339(moment)
  local found = time_of(moment)
  return (host.format(found[1], found[2], found[3], "2006-01-02T15:04:05Z07:00"))
end

function methods.unix(moment)
  return time_of(moment)[1]
end

function methods.unix_nano(moment)
  local found = time_of(moment)
  return found[1] * NANOSECONDS + found[2]
end

local function fields_of(moment)
  local found = time_of(moment)
  return (host.fields(found[1], found[3]))
end

function methods.date(moment)
  local fields = fields_of(moment)
  return fields.year, fields.month, fields.day
end

function methods.clock(moment)
  local fields = fields_of(moment)
  return fields.hour, fields.minute, fields.second
end

for _, name in ipairs({ "year", "month", "day", "hour", "minute", "second", "weekday", "year_day" }) do
  methods[name] = function(moment)
    return fields_of(moment)[name]
  end
end

function methods.nanosecond(moment)
  return time_of(moment)[2]
end

function methods.is_zero(moment)
  local found = time_of(moment)
  return found[1] == YEAR_ONE and found[2] == 0
end

function methods.in_location(moment, location)
  local found = time_of(moment)
  local zone = locations[location]
  if not zone then
    return nil, invalid("expected a time.Location")
  end
  return make_time(found[1], found[2], zone), nil
end

function methods.location(moment)
  return make_location(time_of(moment)[3])
end

function methods.utc(moment)
  local found = time_of(moment)
  return make_time(found[1], found[2], "UTC")
end

function methods.in_local(moment)
  local found = time_of(moment)
  return make_time(found[1], found[2], "Local")
end

-- ---- waiting ----------------------------------------------------------------------------------------------

local function now()
  return landed(insist(host.now()))
end

local function positive(duration)
  local nanoseconds, problem = nanoseconds_of(duration)
  if nanoseconds and nanoseconds <= 0 then
    return nil, invalid("expected a duration above 0")
  end
  return nanoseconds and nanoseconds / NANOSECONDS, problem
end

local function always()
  return true
end

local function sleep(duration)
  local nanoseconds, problem = nanoseconds_of(duration)
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
  return kept(timers, object, "timer").channel
end

local Timer = { __metatable = "time.Timer" }
Timer.__index = {
  response = channel_of,
  channel = channel_of,
  stop = function(object)
    return tasks.stop_timer(kept(timers, object, "timer").timer)
  end,
  reset = function(object, duration)
    local held = kept(timers, object, "timer")
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
    tasks.stop_timer(kept(timers, object, "ticker").timer)
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
  if location ~= nil and not locations[location] then
    return nil, invalid("expected a time.Location")
  end
  return locations[location], nil
end

local function as_location(text, problem)
  if not text then
    return nil, problem
  end
  return make_location(text), nil
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
  utc = make_location("UTC"),
  localtz = make_location("Local"),
  now = function()
    return (now())
  end,
  sleep = sleep,
  timer = timer_maker(Timer, false),
  ticker = timer_maker(Ticker, true),
  unix = function(seconds, nanoseconds)
    return landed(host.unix(seconds, nanoseconds))
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
  return landed(host.date(year, month, day, hour, minute, second, nanosecond, zone))
end

function time.parse(layout, text, location)
  local zone, problem = zone_of(location)
  if problem then
    return nil, problem
  end
  return landed(host.parse(layout, text, zone))
end

function time.parse_duration(value)
  local nanoseconds, problem = nanoseconds_of(value)
  if not nanoseconds then
    return nil, problem
  end
  return make_duration(nanoseconds), nil
end

function time.load_location(name)
  return as_location(host.load_location(name))
end

function time.fixed_zone(name, seconds)
  return as_location(host.fixed_zone(name, seconds))
end

return time
