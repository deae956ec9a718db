"""What happens inside the server, in one step each: Lua that runs there.

Knows: the keys of a queue, streams, consumer groups. Must not know: connections, Python's side of anything.

Every script has the five keys of a queue (keys.py), and works on its consumer group. An entry that is not settled is
always in the stream, and is in one of these places:

    ready       not yet delivered to the group, or pending for `-released-`: the head of the queue, in old order
    in flight   pending for the consumer that has it
    delayed     pending for `-delayed-`, and in `delayed` with the time when it is due

What is put back behind the others is added anew, and then taken out of its old place, within one script. A consumer
without a lease has nothing: whatever it says, comes too late.

They need nothing that Redis 7.0 and Valkey 7.2 do not have. `allow-oom`: what was accepted can be settled and put back
also where the server has no memory left for anything new.
"""

from .script import CLOCK, COUNTS, FENCE, GIVE_BACK, PROMOTE, PUT_BACK, REMOVE, script

# The group, and with it the stream, if they are not there. Without memory for it, that is told by whoever publishes.
DECLARE = script("""
local made = redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
return 1
""")

# limit, then id, headers and body of each message. How many were stored.
PUBLISH = script(
    COUNTS,
    """
local count = math.min((#ARGV - 1) / 3, room(tonumber(ARGV[1])))
for i = 2, count * 3 + 1, 3 do
    redis.call('XADD', stream, '*', 'id', ARGV[i], 'headers', ARGV[i + 1], 'body', ARGV[i + 2])
end
return count
""",
    flags="",
)

# consumer, credit, 1 to take more than a fair share. Nil without a lease; else entries from the head with their notes,
# entries that nobody had before, milliseconds until the next delay is over, and whether something was left for others.
#
# A consumer's share is what brings it level with the others, as long as one of them may still hold more.
TAKE = script(
    CLOCK,
    COUNTS,
    REMOVE,
    PUT_BACK,
    PROMOTE,
    """
local me, credit = ARGV[1], tonumber(ARGV[2])
if not redis.call('ZSCORE', leases, me) then return false end
local due = promote()
local ready, flying, _, held = counts()
local want, mine = math.min(credit, ready), held[me] or 0
local count, others_may = 0, false
local all = redis.call('HGETALL', capacities)
for i = 1, #all, 2 do
    count = count + 1
    if all[i] ~= me and tonumber(all[i + 1]) > (held[all[i]] or 0) then others_may = true end
end
if others_may then
    local share = math.ceil((flying + ready) / count) - mine
    if ARGV[3] == '1' then share = math.max(share, math.ceil(ready / count)) end
    want = math.max(0, math.min(want, share))
end
local old, new = {}, {}
if want > 0 and held[RELEASED] then
    local ids = {}
    for i, each in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', want, RELEASED)) do ids[i] = each[1] end
    if ids[1] then
        for i, entry in ipairs(redis.call('XCLAIM', stream, GROUP, me, 0, unpack(ids))) do
            old[i] = {entry[1], entry[2], redis.call('HGET', notes, entry[1]) or ''}
        end
    end
    want = want - #ids
    ready = ready - #ids
end
if want > 0 then
    local read = redis.call('XREADGROUP', 'GROUP', GROUP, me, 'COUNT', want, 'STREAMS', stream, '>')
    if read then new = read[1][2] end
    ready = ready - #new
end
return {old, new, due, ready > 0 and 1 or 0}
""",
)

# consumer, entry IDs.
ACK = script(FENCE, REMOVE, "table.remove(ARGV, 1)\nremove(ARGV)\nreturn 1")

# consumer, then entry ID, attempts and milliseconds of delay of each.
NACK = script(
    FENCE,
    CLOCK,
    REMOVE,
    PUT_BACK,
    """
for i = 2, #ARGV, 3 do
    local id, attempts, delay = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    if delay <= 0 then
        put_back(id, attempts)
    elseif redis.call('XCLAIM', stream, GROUP, DELAYED, 0, id, 'JUSTID')[1] then
        redis.call('HSET', notes, id, attempts)
        redis.call('ZADD', delayed, now() + delay, id)
    end
end
return 1
""",
)

# consumer, then entry ID and note of each.
RELEASE = script(
    FENCE,
    """
for i = 2, #ARGV, 2 do
    local id, note = ARGV[i], ARGV[i + 1]
    if redis.call('XCLAIM', stream, GROUP, RELEASED, 0, id, 'JUSTID')[1] then
        if note == '' then redis.call('HDEL', notes, id) else redis.call('HSET', notes, id, note) end
    end
end
return 1
""",
)

# consumer, entry ID, attempt. 1 if that is on record now.
NOTE_START = script(FENCE, "redis.call('HSET', notes, ARGV[2], ARGV[3] .. '!')\nreturn 1")

# A sixth key: the other queue's stream; a seventh to tenth: its other keys. consumer, entry ID, limit, id, headers, body.
# 1 if it was moved, 0 if there is no room, -1 if it is no longer ours.
MOVE = script(
    COUNTS,
    REMOVE,
    """
if not redis.call('ZSCORE', leases, ARGV[1]) then return -1 end
if not redis.call('XPENDING', stream, GROUP, ARGV[2], ARGV[2], 1, ARGV[1])[1] then return -1 end
local here = stream
stream = KEYS[6]
if room(tonumber(ARGV[3])) < 1 then return 0 end
redis.call('XADD', stream, '*', 'id', ARGV[4], 'headers', ARGV[5], 'body', ARGV[6])
stream = here
remove({ARGV[2]})
return 1
""",
)

# consumer, milliseconds of lease, capacity.
JOIN = script(
    CLOCK,
    GIVE_BACK,
    """
take_over()
redis.call('ZADD', leases, now() + ARGV[2], ARGV[1])
redis.call('HSET', capacities, ARGV[1], ARGV[3])
return 1
""",
)

# consumer: it takes no more.
PAUSE = script(FENCE, "redis.call('HSET', capacities, ARGV[1], 0)\nreturn 1")

# consumer.
LEAVE = script(FENCE, GIVE_BACK, "return give_back(ARGV[1], false)")

# milliseconds of lease, consumers. The server's clock, those who had no lease any more, how many entries of the dead
# are ready again, and the milliseconds until the next delay is over.
RENEW = script(
    CLOCK,
    REMOVE,
    PUT_BACK,
    PROMOTE,
    GIVE_BACK,
    """
local time, lost = now(), {}
for i = 2, #ARGV do
    if redis.call('ZSCORE', leases, ARGV[i]) then
        redis.call('ZADD', leases, time + ARGV[1], ARGV[i])
    else
        lost[#lost + 1] = ARGV[i]
    end
end
return {time, lost, take_over(), promote()}
""",
)

# Ready, in flight, delayed, consumers.
INFO = script(
    CLOCK,
    COUNTS,
    REMOVE,
    PUT_BACK,
    PROMOTE,
    """
promote()
local ready, flying, waiting = counts()
local count = 0
for _, capacity in ipairs(redis.call('HVALS', capacities)) do
    if tonumber(capacity) > 0 then count = count + 1 end
end
return {ready, flying, waiting, count}
""",
)

# How many at most. How many were removed: if that is fewer, nothing was left.
PURGE = script(
    REMOVE,
    """
local limit, ids = tonumber(ARGV[1]), {}
for _, nobody in ipairs({RELEASED, DELAYED}) do
    for _, each in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', limit - #ids + 1, nobody)) do
        if #ids < limit then ids[#ids + 1] = each[1] end
    end
end
if #ids < limit then
    local nobody = RELEASED
    local read = redis.call('XREADGROUP', 'GROUP', GROUP, nobody, 'COUNT', limit - #ids, 'STREAMS', stream, '>')
    if read then for _, entry in ipairs(read[1][2]) do ids[#ids + 1] = entry[1] end end
end
if ids[1] then
    redis.call('ZREM', delayed, unpack(ids))
    remove(ids)
end
return #ids
""",
)

# How many at most, and where to go on: in which place, behind what. State, entry ID, fields and note of each, and where
# the next page begins; in no place if that was all. A page ends with a megabyte, so that no look holds up the server.
PEEK = script(
    CLOCK,
    REMOVE,
    PUT_BACK,
    PROMOTE,
    """
local STEP, LARGEST = 16, 1048576
promote()
local limit, place, from = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local found, bytes = {}, 0
local function is_full() return #found >= limit or bytes >= LARGEST end
local function add(state, entry)
    if not entry then return end
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    found[#found + 1] = {state, entry[1], entry[2], redis.call('HGET', notes, entry[1]) or ''}
end
local function add_id(state, id) add(state, redis.call('XRANGE', stream, id, id)[1]) end
-- `list` finds so many more, `take` adds one of them and says behind what to go on.
local function walk(here, following, list, take)
    while place == here and not is_full() do
        local some = list(STEP)
        for _, each in ipairs(some) do
            if is_full() then return end
            from = take(each)
        end
        if #some < STEP then place, from = following, '' end
    end
end
local function last_delivered()
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local fields = {}
        for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
        if fields.name == GROUP then return fields['last-delivered-id'] end
    end
end
local function behind() return from == '' and '-' or '(' .. from end
walk('released', 'new', function(count)
    return redis.call('XPENDING', stream, GROUP, behind(), '+', count, RELEASED)
end, function(each)
    add_id('ready', each[1])
    return each[1]
end)
if place == 'new' and from == '' then from = last_delivered() end
walk('new', 'delayed', function(count)
    return redis.call('XRANGE', stream, '(' .. from, '+', 'COUNT', count)
end, function(entry)
    add('ready', entry)
    return entry[1]
end)
walk('delayed', 'in flight', function(count)
    local first = tonumber(from) or 0
    return redis.call('ZRANGE', delayed, first, first + count - 1)
end, function(id)
    add_id('delayed', id)
    return (tonumber(from) or 0) + 1
end)
walk('in flight', '', function(count)
    return redis.call('XPENDING', stream, GROUP, behind(), '+', count)
end, function(each)
    if each[2] ~= RELEASED and each[2] ~= DELAYED then add_id('in_flight', each[1]) end
    return each[1]
end)
return {found, place, tostring(from)}
""",
)

ALL = (
    DECLARE,
    PUBLISH,
    TAKE,
    ACK,
    NACK,
    RELEASE,
    NOTE_START,
    MOVE,
    JOIN,
    PAUSE,
    LEAVE,
    RENEW,
    INFO,
    PURGE,
    PEEK,
)
