-- The objects of `time`: Duration, Location, Time. `time.lua` makes them of what the host says.

local host, kit = ...
local setmetatable, error, type, next, ipairs = setmetatable, error, type, next, ipairs
local integer = math.tointeger or function(value)
  return value % 1 == 0 and value or nil
end

local NANOSECONDS = 1000000000
local YEAR_ONE = -62135596800
local LONGEST = 9.2e18

-- What the objects are, out of a script's reach.
local durations = kit.private() -- nanoseconds
local moments = kit.private() -- {seconds, nanoseconds, zone}
local locations = kit.private() -- the text of a zone

local kept, insist, invalid = kit.kept, kit.insist, kit.invalid

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
  local first, second = moments[left], moments[right]
  return first ~= nil and second ~= nil and is_same(first, second)
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

kit.moments = {
  nanoseconds_of = nanoseconds_of,
  make_duration = make_duration,
  make_location = make_location,
  landed = landed,
  -- The text of a location's zone, or nil for anything else.
  zone_of = function(location)
    return locations[location]
  end,
}

return {}
