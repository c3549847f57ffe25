-- Take sessions whose lease ran out, by leasing them to the caller.
-- KEYS: until, epochs, seen. ARGV: lease in milliseconds, how many at most. Returns the sessions.
local now, none_ends = look_after(ARGV[1])
if now < none_ends then
  return {}
end
local sessions = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, session in ipairs(sessions) do
  redis.call('ZADD', KEYS[1], now + ARGV[1], session)
end
return sessions
