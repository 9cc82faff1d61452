-- How a quota and its service stand; no place is taken.
-- ARGV: hold lease
-- Returns {clock, used, closed for, why, since, probe_at, probes, row, reason}.
local used = redis.call('ZCOUNT', PLACES, '(' .. int(now - hold), '(+inf')
local since, probe_at, probes, row, reason = health()
return {int(clock), used, math.max(0, closed - now), why, int(since), int(probe_at), probes, row, reason}
