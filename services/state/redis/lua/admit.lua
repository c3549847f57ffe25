-- Give a new session a place, if one is free.
-- KEYS: until, epochs, seen. ARGV: session, epoch, capacity, lease in milliseconds.
-- Returns the number of places taken, and "admitted", "full", or "held" where it has one already.
local count = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return {count, 'held'}
end
if count >= tonumber(ARGV[3]) then
  return {count, 'full'}
end
redis.call('ZADD', KEYS[1], look_after(ARGV[4]) + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {count + 1, 'admitted'}
