-- What the processes of a fleet let each other know.
-- KEYS: workers (hash: name -> what it says of itself), heard (sorted set: name -> when), pauses (hash)
-- ARGV: name or '', its text, whether all is wanted
-- Returns {clock in ms, pauses}, and where all is wanted {.., workers, heard}.
local FORGET = 60000
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(x) return string.format('%d', x) end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[2], int(now), ARGV[1])
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(now - FORGET))) do
  redis.call('HDEL', KEYS[1], gone)
  redis.call('ZREM', KEYS[2], gone)
end
local pauses = redis.call('HGETALL', KEYS[3])
if ARGV[3] == '' then return {int(now), pauses} end
return {int(now), pauses, redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')}
