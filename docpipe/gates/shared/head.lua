-- What every script of a quota begins with. Times are microseconds of Redis' clock since the epoch.
-- KEYS: state places line expected health; ARGV: hold lease ...
--   state     hash: server, last (time of the latest call), closed, why, next (with even spacing), keep, grants
--   places    sorted set: grant -> when its place begins to run out; and MARK, which shows that it is whole
--   line      sorted set: process -> urgency of the caller at the head of its line
--   expected  sorted set: process -> when it comes again
--   health    hash of the service: row, since, reason, interval, probe_at, probes, prober, probe_sent, prober_until
local STATE, PLACES, LINE, EXPECTED, HEALTH = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local FORGET = 86400 * 1000 -- milliseconds: state that nothing has used for a day
local MARK = 'mark'
local function n(x) return tonumber(x or '0') or 0 end
local function int(x) return string.format('%d', x) end
local hold, lease = n(ARGV[1]), n(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local clock = now
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not server then return redis.error_reply('NORUNID INFO does not name the run_id of the server') end
local s = redis.call('HMGET', STATE, 'server', 'last', 'closed', 'why', 'next', 'keep')
local last, closed, why, next_at, keep = n(s[2]), n(s[3]), s[4] or '', n(s[5]), n(s[6])
if s[1] ~= server or now < last - 1000000 or not redis.call('ZSCORE', PLACES, MARK) then
  -- Another Redis, one that has lost or evicted keys, or whose clock was set back: nobody knows what is spent.
  redis.call('DEL', PLACES, LINE, EXPECTED)
  closed, why, next_at, last = math.max(now + lease + hold, math.min(closed, now + 600000000)), 'store', 0, now
  redis.call('ZADD', PLACES, '+inf', MARK)
  redis.call('HSET', STATE, 'server', server, 'closed', int(closed), 'why', why, 'next', '0')
elseif hold > keep and now + hold > closed then
  -- A longer window than any before: of it only a part is known.
  closed, why = now + hold, 'new rate'
  redis.call('HSET', STATE, 'closed', int(closed), 'why', why)
end
keep, now = math.max(keep, hold), math.max(now, last)
redis.call('HSET', STATE, 'last', int(now), 'keep', int(keep))
redis.call('PEXPIRE', STATE, FORGET)
redis.call('PEXPIRE', PLACES, FORGET)
local function health()
  local h = redis.call('HMGET', HEALTH, 'since', 'probe_at', 'probes', 'row', 'reason', 'prober_until')
  return n(h[1]), n(h[2]), n(h[3]), n(h[4]), h[5] or '', n(h[6])
end
