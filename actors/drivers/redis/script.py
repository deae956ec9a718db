"""What the scripts are made of: a script itself, and the parts that several of them share.

Knows: the keys of a queue, streams, consumer groups. Must not know: what any script is for (scripts.py).
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


def script(*parts: str, flags: str = "allow-oom") -> Script:
    """A script of these parts, which names the keys first."""
    first = f"#!lua flags={flags}" if flags else "#!lua"
    return Script(f"{first}\n" + "".join((COMMON, *parts)))
