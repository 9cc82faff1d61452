-- What became of grants.
-- ARGV: hold lease {what grant delay}...
--   renew    its request is still under way
--   settle   its request is over: the place begins to run out after `delay`
--   release  nothing was sent
-- Returns {clock}.
local prober = redis.call('HGET', HEALTH, 'prober')
for i = 3, #ARGV, 3 do
  local what, grant, delay = ARGV[i], ARGV[i + 1], n(ARGV[i + 2])
  if what == 'release' then
    redis.call('ZREM', PLACES, grant)
    if prober == grant then redis.call('HDEL', HEALTH, 'prober', 'prober_until') end
  elseif what == 'renew' then
    redis.call('ZADD', PLACES, 'XX', 'GT', int(now + lease), grant)
    if prober == grant then redis.call('HSET', HEALTH, 'prober_until', int(now + lease)) end
  else
    redis.call('ZADD', PLACES, 'XX', int(now + delay), grant)
  end
end
return {int(clock)}
