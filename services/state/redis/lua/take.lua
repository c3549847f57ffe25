-- Give a running session a lease in its new holder's epoch: a place too, however full it is.
-- KEYS: until, epochs, seen. ARGV: session, epoch, lease in milliseconds.
-- Returns the number of places taken.
redis.call('ZADD', KEYS[1], look_after(ARGV[3]) + ARGV[3], ARGV[1])
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known or tonumber(ARGV[2]) > tonumber(known) then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return redis.call('ZCARD', KEYS[1])
