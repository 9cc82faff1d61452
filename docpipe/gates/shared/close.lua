-- Give no place for a while, as after a 429.
-- ARGV: hold lease duration why
-- Returns {clock}.
if now + n(ARGV[3]) > closed then
  redis.call('HSET', STATE, 'closed', int(now + n(ARGV[3])), 'why', ARGV[4])
end
return {int(clock)}
