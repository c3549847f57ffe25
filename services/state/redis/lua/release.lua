-- Free the places of sessions. KEYS: until, epochs. ARGV: sessions.
-- Returns the number of places taken.
for _, session in ipairs(ARGV) do
  redis.call('ZREM', KEYS[1], session)
  redis.call('HDEL', KEYS[2], session)
end
return redis.call('ZCARD', KEYS[1])
