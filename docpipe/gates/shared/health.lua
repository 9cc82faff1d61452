-- How an attempt at the service went. Follows gates.health.Health.
-- KEYS: of any of its quotas; ARGV: hold lease what prober reason retry_after trip_after first longest spread
--   what     failed, answered, abandoned, or view
--   prober   the grant under which the attempt was made, where it was a probe
--   spread   by what an interval between probes is multiplied, at most 1
-- Returns {clock, since, probe_at, probes, row, reason}.
local LEAST = 0.75 -- the spread of the shortest interval
local what, prober, reason, retry_after = ARGV[3], ARGV[4], ARGV[5], n(ARGV[6])
local trip_after, first, longest, spread = n(ARGV[7]), n(ARGV[8]), n(ARGV[9]), n(ARGV[10])
local h = redis.call('HMGET', HEALTH, 'since', 'interval', 'prober', 'probe_sent')
local down, is_probe = n(h[1]) > 0, prober ~= '' and prober == h[3]
if what == 'answered' then
  redis.call('DEL', HEALTH)
elseif what == 'abandoned' and is_probe then
  redis.call('HDEL', HEALTH, 'prober', 'prober_until')
elseif what == 'failed' and not down then
  redis.call('HSET', HEALTH, 'reason', reason)
  if redis.call('HINCRBY', HEALTH, 'row', 1) >= trip_after then
    redis.call('HSET', HEALTH, 'since', int(now), 'interval', int(first), 'probes', 0,
      'probe_at', int(now + math.max(first * spread, retry_after)))
  end
elseif what == 'failed' and is_probe then
  local interval = math.min(longest, 2 * n(h[2]))
  local probe_at = math.max(n(h[4]) + interval * spread, now + first * LEAST, now + retry_after)
  redis.call('HDEL', HEALTH, 'prober', 'prober_until')
  redis.call('HINCRBY', HEALTH, 'probes', 1)
  redis.call('HSET', HEALTH, 'reason', reason, 'interval', int(interval), 'probe_at', int(probe_at))
end
redis.call('PEXPIRE', HEALTH, FORGET)
local since, probe_at, probes, row, because = health()
return {int(clock), int(since), int(probe_at), probes, row, because}
