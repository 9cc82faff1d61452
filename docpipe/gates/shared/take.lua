-- May this process send a request now?
-- ARGV: hold lease places spacing process waited
--   places   how many there are, 0 for any number
--   spacing  the least time between two grants, 0 for none
--   waited   how long the head of the process's line has waited, a level of priority being worth some waiting
-- Returns {grant or '', pause, why, used, processes in line, clock, since, probe_at, probes, row, reason, probe}.
local MISSED, LONGEST, PROCESS_TURN = 500000, 1000000, 50000
local places, spacing, process, waited = n(ARGV[3]), n(ARGV[4]), ARGV[5], n(ARGV[6])
redis.call('ZREMRANGEBYSCORE', PLACES, '-inf', int(now - keep))
local used = redis.call('ZCOUNT', PLACES, '(' .. int(now - hold), '(+inf')
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', EXPECTED, '-inf', int(now - MISSED))) do
  redis.call('ZREM', LINE, gone) -- it did not come when it said: it has ended, or stands still
  redis.call('ZREM', EXPECTED, gone)
end
redis.call('ZADD', LINE, int(now - waited), process)
for _, key in ipairs({LINE, EXPECTED}) do redis.call('PEXPIRE', key, FORGET) end
local since, probe_at, probes, row, reason, prober_until = health()
local function answer(grant, pause, because, probe)
  return {grant, pause, because, used, redis.call('ZCARD', LINE), int(clock), int(since), int(probe_at), probes, row, reason, probe}
end
local function wait(pause, because)
  pause = math.max(1000, math.min(pause, LONGEST))
  redis.call('ZADD', EXPECTED, int(now + pause), process)
  return answer('', pause, because, 0)
end
if now < closed then
  redis.call('ZADD', EXPECTED, int(closed), process)
  return answer('', closed - now, why, 0)
end
if since > 0 then
  local left = math.max(prober_until, probe_at) - now
  if left > 0 then return wait(left, 'outage') end
end
local pause, because = 0, ''
if places > 0 and used >= places then
  local freed = redis.call(
    'ZRANGEBYSCORE', PLACES, '(' .. int(now - hold), '+inf', 'WITHSCORES', 'LIMIT', used - places, 1)
  pause, because = n(freed[2]) + hold - now, 'places'
elseif spacing > 0 and now < next_at then
  pause, because = next_at - now, 'places'
end
local ahead = redis.call('ZRANK', LINE, process)
if ahead > 0 then return wait(pause + ahead * PROCESS_TURN, 'turn') end
if pause > 0 then return wait(pause, because) end
local grant = process .. ':' .. int(redis.call('HINCRBY', STATE, 'grants', 1))
redis.call('ZADD', PLACES, int(now + lease), grant)
redis.call('HSET', STATE, 'next', int(now + spacing))
redis.call('ZREM', LINE, process)
redis.call('ZREM', EXPECTED, process)
used = used + 1
if since == 0 then return answer(grant, 0, '', 0) end
redis.call('HSET', HEALTH, 'prober', grant, 'probe_sent', int(now), 'prober_until', int(now + lease))
return answer(grant, 0, '', 1)
