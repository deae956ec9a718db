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

import hashlib

from attrs import field, frozen

from .keys import DELAYED, GROUP, RELEASED

COMMON = f"""
local stream, leases, notes, delayed, capacities = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local GROUP, RELEASED, DELAYED = '{GROUP}', '{RELEASED}', '{DELAYED}'
"""

CLOCK = """
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

COUNTS = """
-- How much is ready, in flight and delayed, and how much of it each consumer has.
local function counts()
    local summary = redis.call('XPENDING', stream, GROUP)
    local held = {}
    for _, each in ipairs(summary[4] or {}) do held[each[1]] = tonumber(each[2]) end
    local released, waiting = held[RELEASED] or 0, held[DELAYED] or 0
    local ready = math.max(0, redis.call('XLEN', stream) - summary[1] + released)
    return ready, summary[1] - released - waiting, waiting, held
end
local function room(limit)
    if limit == 0 then return math.huge end
    local ready, _, waiting = counts()
    return math.max(0, limit - ready - waiting)
end
"""

REMOVE = """
local function remove(ids)
    redis.call('XACK', stream, GROUP, unpack(ids))
    redis.call('XDEL', stream, unpack(ids))
    if redis.call('EXISTS', notes) == 1 then redis.call('HDEL', notes, unpack(ids)) end
end
"""

PUT_BACK = """
-- Behind everything that is ready: a new entry, and then the old one away.
local function put_back(id, attempts)
    local found = redis.call('XRANGE', stream, id, id)[1]
    if found then
        local values, fields = {}, found[2]
        for i = 1, #fields, 2 do values[fields[i]] = fields[i + 1] end
        redis.call('XADD', stream, '*', 'id', values.id or id, 'headers', values.headers or '',
            'body', values.body or '', 'attempts', attempts or values.attempts or '0',
            'published', values.published or string.match(id, '^%d+'))
    end
    remove({id})
end
"""

PROMOTE = """
-- Whose delay is over becomes ready. In how many milliseconds the next one is due, -1 for never.
local function promote()
    local time = now()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', time, 'LIMIT', 0, 500)) do
        local note = redis.call('HGET', notes, id)
        put_back(id, note and string.match(note, '^%d+'))
        redis.call('ZREM', delayed, id)
    end
    local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
    if not first[1] then return -1 end
    return math.max(0, tonumber(first[2]) - time)
end
"""

GIVE_BACK = """
-- All that a consumer has goes to the head; the consumer is forgotten.
local function give_back(consumer, is_suspect)
    local count = 0
    repeat
        local found = redis.call('XPENDING', stream, GROUP, '-', '+', 500, consumer)
        for _, each in ipairs(found) do
            redis.call('XCLAIM', stream, GROUP, RELEASED, 0, each[1], 'JUSTID')
            if is_suspect then
                local note = redis.call('HGET', notes, each[1]) or ''
                redis.call('HSET', notes, each[1], string.gsub(note, '!', '') .. '!')
            end
        end
        count = count + #found
    until #found < 500
    redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer)
    redis.call('ZREM', leases, consumer)
    redis.call('HDEL', capacities, consumer)
    return count
end
-- From those whose lease is over, and those who have entries and none: one that was stopped for longer than its lease just
-- before it read, and read then; or whoever read by hand.
local function take_over()
    local count = 0
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now())) do
        count = count + give_back(dead, true)
    end
    for _, each in ipairs(redis.call('XPENDING', stream, GROUP)[4] or {}) do
        local name = each[1]
        if name ~= RELEASED and name ~= DELAYED and not redis.call('ZSCORE', leases, name) then
            count = count + give_back(name, true)
        end
    end
    return count
end
"""

FENCE = """
if not redis.call('ZSCORE', leases, ARGV[1]) then return 0 end
"""


@frozen
class Script:
    """One of them, and the name under which the server keeps it."""

    source: str
    digest: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode()).hexdigest())  # noqa: S324  (Redis does)

    def on(self, keys: tuple[str, ...], *args: str | bytes | int) -> tuple[str | bytes | int, ...]:
        """The command that runs it."""
        return "EVALSHA", self.digest, len(keys), *keys, *args


def _script(*parts: str, flags: str = "allow-oom") -> Script:
    first = f"#!lua flags={flags}" if flags else "#!lua"
    return Script(f"{first}\n" + "".join((COMMON, *parts)))


# The group, and with it the stream, if they are not there. Without memory for it, that is told by whoever publishes.
DECLARE = _script("""
local made = redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
return 1
""")

# limit, then id, headers and body of each message. How many were stored.
PUBLISH = _script(
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
TAKE = _script(
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
ACK = _script(FENCE, REMOVE, "table.remove(ARGV, 1)\nremove(ARGV)\nreturn 1")

# consumer, then entry ID, attempts and milliseconds of delay of each.
NACK = _script(
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
RELEASE = _script(
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
NOTE_START = _script(FENCE, "redis.call('HSET', notes, ARGV[2], ARGV[3] .. '!')\nreturn 1")

# A sixth key: the other queue's stream; a seventh to tenth: its other keys. consumer, entry ID, limit, id, headers, body.
# 1 if it was moved, 0 if there is no room, -1 if it is no longer ours.
MOVE = _script(
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
JOIN = _script(
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
PAUSE = _script(FENCE, "redis.call('HSET', capacities, ARGV[1], 0)\nreturn 1")

# consumer.
LEAVE = _script(FENCE, GIVE_BACK, "return give_back(ARGV[1], false)")

# milliseconds of lease, consumers. The server's clock, those who had no lease any more, how many entries of the dead
# are ready again, and the milliseconds until the next delay is over.
RENEW = _script(
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
INFO = _script(
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
PURGE = _script(
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

# How many at most. State, entry ID, fields and note of each.
PEEK = _script(
    CLOCK,
    REMOVE,
    PUT_BACK,
    PROMOTE,
    """
promote()
local limit, found = tonumber(ARGV[1]), {}
local function add(state, entry)
    if entry and #found < limit then
        found[#found + 1] = {state, entry[1], entry[2], redis.call('HGET', notes, entry[1]) or ''}
    end
end
local function add_id(state, id) add(state, redis.call('XRANGE', stream, id, id)[1]) end
for _, each in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', limit, RELEASED)) do
    add_id('ready', each[1])
end
local last = redis.call('XINFO', 'GROUPS', stream)
for _, group in ipairs(last) do
    local fields = {}
    for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
    if fields.name == GROUP and #found < limit then
        local first = '(' .. fields['last-delivered-id']
        for _, entry in ipairs(redis.call('XRANGE', stream, first, '+', 'COUNT', limit - #found)) do
            add('ready', entry)
        end
    end
end
if #found < limit then
    for _, id in ipairs(redis.call('ZRANGE', delayed, 0, limit - #found - 1)) do add_id('delayed', id) end
end
local from = '-'
while #found < limit do
    local pending = redis.call('XPENDING', stream, GROUP, from, '+', 500)
    for _, each in ipairs(pending) do
        if each[2] ~= RELEASED and each[2] ~= DELAYED then add_id('in_flight', each[1]) end
        from = '(' .. each[1]
    end
    if #pending < 500 then break end
end
return found
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
